import type { CounterChild } from '../../src/adapter.js'

/** The counts since a transaction or a savepoint began. */
export interface Frame {
  /** The savepoint's name; '' for the transaction itself. */
  readonly savepoint: string
  readonly counts: Map<CounterChild, number>
}

/** Counts the frames of a transaction, once it is committed. */
export function countFrames (frames: readonly Frame[]): void {
  for (const { counts } of frames) for (const [child, amount] of counts) child.inc(amount)
}

/** Adds an amount to the counts of a frame. */
export function addToFrame (frame: Frame | undefined, child: CounterChild, amount: number): void {
  frame?.counts.set(child, (frame.counts.get(child) ?? 0) + amount)
}

/** The index of a savepoint's frame, or -1. The latest savepoint of a name hides the earlier ones. */
export function lastOf (frames: readonly Frame[], savepoint: string): number {
  let at = frames.length - 1
  while (at >= 0 && frames[at]?.savepoint !== savepoint) at--
  return at
}
