import { AsyncLocalStorage } from 'node:async_hooks'

/** What one HTTP request did with databases. */
export interface DatabaseUsage {
  queries: number
  /** The sum over all queries; queries that ran at the same time add up. */
  seconds: number
}

/** What one HTTP request asked of other services. */
export interface OutgoingUsage {
  requests: number
  /** The sum over all outgoing requests; those that ran at the same time add up. */
  requestSeconds: number
}

/**
 * What one HTTP request did elsewhere. The adapters write it and the HTTP side reads it, and neither knows the other.
 */
export interface Usage extends DatabaseUsage, OutgoingUsage {}

const current = new AsyncLocalStorage<Usage>()

/** The usage of a request that has done nothing yet. */
export function newUsage (): Usage {
  return { queries: 0, seconds: 0, requests: 0, requestSeconds: 0 }
}

/** Runs `then`. Its queries and outgoing requests, and those of everything that it starts, are counted in `usage`. */
export function countUsage (usage: Usage, then: () => void): void {
  current.run(usage, then)
}

/**
 * The usage of the request that is being served in this async context, if it is counted. An adapter reads it when a
 * query or an outgoing request starts, and adds to it when that ends.
 */
export function currentUsage (): Usage | undefined {
  return current.getStore()
}

/** Adds a query that has ended, and that took so many seconds, to the usage of its request. */
export function addQuery (usage: DatabaseUsage | undefined, seconds: number): void {
  if (usage === undefined) return
  usage.queries += 1
  usage.seconds += seconds
}

/** Adds an outgoing request that has ended, and that took so many seconds, to the usage of the request that made it. */
export function addOutgoing (usage: OutgoingUsage | undefined, seconds: number): void {
  if (usage === undefined) return
  usage.requests += 1
  usage.requestSeconds += seconds
}
