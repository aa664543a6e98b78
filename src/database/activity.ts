import { secondsSince, type Open, type OpenList } from '../instrumentation/index.js'

/** One activity at a database: a query, a wait for a connection, the use of a connection. */
export class Activity implements Open<Activity> {
  // Only declared, so that a new query is not filled field by field before its constructor runs.
  declare list: OpenList<Activity> | undefined
  declare older: Activity | undefined
  declare newer: Activity | undefined
  /** When it began, in milliseconds of performance.now(). */
  declare at: number

  constructor (at: number) {
    this.at = at
    this.list = this.older = this.newer = undefined
  }

  /** The activity is over, or no longer of interest. */
  end (): void {
    this.list?.delete(this)
  }
}

/** The age of the oldest activity in a list, in seconds; 0 when the list is empty. */
export function oldestAge ({ oldest }: OpenList<Activity>): number {
  return oldest === undefined ? 0 : secondsSince(oldest.at)
}
