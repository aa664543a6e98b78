import { AsyncLocalStorage } from 'node:async_hooks'

/**
 * What one HTTP request did with databases. The adapters write it and the HTTP side reads it, and neither knows the
 * other.
 */
export interface DatabaseUsage {
  queries: number
  /** The sum over all queries; queries that ran at the same time add up. */
  seconds: number
}

const current = new AsyncLocalStorage<DatabaseUsage>()

/** Runs `then`. Its queries, and those of everything that it starts, are counted in `usage`. */
export function countUsage (usage: DatabaseUsage, then: () => void): void {
  current.run(usage, then)
}

/**
 * The usage of the request that is being served in this async context, if it is counted. An adapter reads it when a
 * query starts, and adds to it when the query ends.
 */
export function currentUsage (): DatabaseUsage | undefined {
  return current.getStore()
}

/** Adds a query that has ended, and that took so many seconds, to the usage of its request. */
export function addQuery (usage: DatabaseUsage | undefined, seconds: number): void {
  if (usage === undefined) return
  usage.queries += 1
  usage.seconds += seconds
}
