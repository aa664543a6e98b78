import { performance } from 'node:perf_hooks'

/**
 * The seconds between two moments, which are milliseconds of performance.now(). 0 when a test's clock was set back in
 * between.
 */
export function secondsBetween (from: number, to: number): number {
  return to > from ? (to - from) / 1000 : 0
}

/** The seconds from a moment, which is milliseconds of performance.now(), until now. */
export function secondsSince (since: number): number {
  return secondsBetween(since, performance.now())
}
