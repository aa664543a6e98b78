import { Gauges } from '../../src/database/gauges.js'
import type { DatabaseScope } from '../../src/database/metrics.js'
import type { Pool } from './driver.js'
import { VENDOR, type Recorder } from './recorder.js'

/**
 * Shows a pool's connections, and what goes on there, at each scrape, with those of other pools of its alias, until it has ended
 * or is garbage: this does not keep it. The function it gives back stops that.
 */
export function showPool (pool: WeakRef<Pool>, scope: DatabaseScope, { alias, trouble, metrics }: Recorder): () => void {
  const isThere = () => {
    const shown = pool.deref()
    return shown !== undefined && shown.ended !== true
  }
  const gauges = new Gauges(scope, { alias, vendor: VENDOR }, isThere, (error) => { trouble.report('pg', error) })
  const of = (read: (pool: Pool) => number) => () => {
    const shown = pool.deref()
    return shown === undefined ? 0 : read(shown)
  }
  gauges.connections('idle', of(({ idleCount }) => idleCount))
  gauges.connections('used', of(({ idleCount, totalCount }) => totalCount - idleCount))
  gauges.sum('db_pool_connections_max', of(({ options }) => options?.max ?? 0))
  gauges.sum('db_pool_pending_requests', of(({ waitingCount }) => waitingCount))
  metrics.showPool(gauges)
  metrics.showQueries(gauges)
  return () => { gauges.end() }
}

/** Shows what goes on at clients that are made without a pool. */
export function showClients (scope: DatabaseScope, { alias, trouble, metrics }: Recorder): void {
  metrics.showQueries(new Gauges(scope, { alias, vendor: VENDOR }, () => true, (error) => { trouble.report('pg', error) }))
}
