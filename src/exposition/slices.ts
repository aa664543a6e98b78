import { performance } from 'node:perf_hooks'

/** Milliseconds of work between two turns of the event loop, of all scrapes together. */
const SLICE = 3

const waiting: Array<() => void> = []
let began = -Infinity

/** Resolves at once while this slice lasts, else in a later turn of the event loop: what is asked for between pieces of work. */
export function pause (): Promise<void> | undefined {
  return performance.now() - began < SLICE ? undefined : nextTurn()
}

/** Resolves in a later turn of the event loop, when a slice begins: before a piece of work that must not be cut. */
export function nextTurn (): Promise<void> {
  return new Promise((resolve) => {
    waiting.push(resolve)
    if (waiting.length === 1) setImmediate(next)
  })
}

/** One a turn: several that went on in the same one would take a slice each. */
function next (): void {
  began = performance.now()
  waiting.shift()?.()
  if (waiting.length > 0) setImmediate(next)
}
