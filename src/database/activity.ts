import { performance } from 'node:perf_hooks'
import type { Open, OpenList } from '../open-list.js'

/** One thing that goes on at a database: a query, a wait for a connection, the use of one. */
export class Activity implements Open<Activity> {
  list: OpenList<Activity> | undefined = undefined
  older: Activity | undefined = undefined
  newer: Activity | undefined = undefined

  /** @param at when it began, in milliseconds of performance.now() */
  constructor (public at: number) {}

  /** It is over, or of no interest any more. */
  end (): void {
    this.list?.delete(this)
  }
}

/**
 * The seconds from one moment to another, in milliseconds of performance.now(). 0 where a test's clock was set back in between.
 */
export function secondsBetween (from: number, to: number): number {
  return to > from ? (to - from) / 1000 : 0
}

/** The age of the oldest in a list, in seconds; 0 where there is none. */
export function oldestAge ({ oldest }: OpenList<Activity>): number {
  return oldest === undefined ? 0 : secondsBetween(oldest.at, performance.now())
}
