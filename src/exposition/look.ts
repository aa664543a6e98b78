import type { Held } from './held.js'
import type { CollectionObserver, Owed } from './reading.js'

/** How somebody looks at metrics between the scrapes. */
export interface Look extends CollectionObserver {
  /** Whether `collect` callbacks are called. Metrics that have one are left out otherwise. */
  readonly collects: boolean
  /** Called with the name of each metric that is left out for that. */
  readonly waits: (metric: string) => void
  /** Whether a metric is left out, by its name. */
  readonly skips: (metric: string) => boolean
}

/** What metrics owe to those who look: a scrape that comes after is not told that they hang. */
export const owedToLooks: Owed = new WeakMap()

/**
 * The metric whose `collect` starts anew what prom-client knows of the event loop's delay (its lib/metrics/eventLoopLag.js):
 * whoever reads it takes it from the next scrape.
 */
const STARTS_ANEW = /nodejs_eventloop_lag_(\w+_)?seconds$/

/** Whether a metric is read for somebody who looks. */
export function isLookedAt ({ name, metric }: Pick<Held, 'name' | 'metric'>, { collects, skips, waits }: Pick<Look, 'collects' | 'skips' | 'waits'>): boolean {
  if (skips(name) || STARTS_ANEW.test(name)) return false
  if (collects || (metric as { collect?: unknown }).collect === undefined) return true
  waits(name)
  return false
}
