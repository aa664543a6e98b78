import { AsyncLocalStorage } from 'node:async_hooks'

/** What one HTTP request did with databases: how the adapters tell the HTTP side, without knowing it. */
export interface DatabaseUsage {
  queries: number
  /** Sum over the queries; those that ran at once add up. */
  seconds: number
}

const current = new AsyncLocalStorage<DatabaseUsage>()

/** Runs `then`, and all it starts, with its queries counted in `usage`. */
export function countUsage (usage: DatabaseUsage, then: () => void): void {
  current.run(usage, then)
}

/** The request that is being served here, if its usage is counted. An adapter asks when a query starts and adds when it ends. */
export function currentUsage (): DatabaseUsage | undefined {
  return current.getStore()
}

/** A query that a request made has ended, after so many seconds. */
export function addQuery (usage: DatabaseUsage | undefined, seconds: number): void {
  if (usage === undefined) return
  usage.queries += 1
  usage.seconds += seconds
}
