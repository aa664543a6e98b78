import type { CounterChild } from '../../src/metrics/index.js'

/** What happened since a transaction or a savepoint began. */
export interface Frame {
  /** The savepoint's name; '' for the transaction itself. */
  readonly savepoint: string
  readonly counts: Map<CounterChild, number>
}

/** Counts what a transaction did, once it is committed. */
export function pay (frames: readonly Frame[]): void {
  for (const { counts } of frames) for (const [child, amount] of counts) child.inc(amount)
}

/** Adds to what happened in a frame. */
export function count (frame: Frame | undefined, child: CounterChild, amount: number): void {
  frame?.counts.set(child, (frame.counts.get(child) ?? 0) + amount)
}

/** The frame of a savepoint, or -1: the latest of a name hides those before it. */
export function lastOf (frames: readonly Frame[], savepoint: string): number {
  let at = frames.length - 1
  while (at >= 0 && frames[at]?.savepoint !== savepoint) at--
  return at
}
