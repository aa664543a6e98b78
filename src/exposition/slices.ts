import { performance } from 'node:perf_hooks'

/** Milliseconds that all scrapes together may work between two turns of the event loop. */
const SLICE = 3

/** Node's own, taken when this module is loaded: a test's fake clock in its place would hold up every scrape, later ones too. */
const { setImmediate } = globalThis

const waiting: Array<() => void> = []
let began = -Infinity

/**
 * Awaited between two pieces of work. Gives undefined while the current slice lasts, else a promise that resolves in a
 * later turn of the event loop.
 */
export function pause (): Promise<void> | undefined {
  return performance.now() - began < SLICE ? undefined : nextTurn()
}

/**
 * Awaited before a piece of work that must not be interrupted. Resolves in a later turn of the event loop, when a new
 * slice begins.
 */
export function nextTurn (): Promise<void> {
  return new Promise((resolve) => {
    waiting.push(resolve)
    if (waiting.length === 1) setImmediate(resumeNext)
  })
}

/** Resumes one waiting scrape in each turn. Several in the same turn would take a slice each. */
function resumeNext (): void {
  began = performance.now()
  waiting.shift()?.()
  if (waiting.length > 0) setImmediate(resumeNext)
}
