import { performance } from 'node:perf_hooks'
import type { Open, OpenList } from '../instrumentation/index.js'

/** One thing that goes on at a database: a query, a wait for a connection, the use of one. */
export class Activity implements Open<Activity> {
  // Declared, so that a query is not made field by field.
  declare list: OpenList<Activity> | undefined
  declare older: Activity | undefined
  declare newer: Activity | undefined
  /** When it began, in milliseconds of performance.now(). */
  declare at: number

  constructor (at: number) {
    this.at = at
    this.list = this.older = this.newer = undefined
  }

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
