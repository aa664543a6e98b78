import { Gauges } from '../../src/database/gauges.js'
import type { DatabaseScope } from '../../src/database/metrics.js'
import type { Pool } from './driver.js'
import { VENDOR, type Recorder } from './recorder.js'

/**
 * Shows a pool's connections, waits, uses and queries at each scrape, together with the other pools of its alias, until
 * the pool has ended or is garbage. The gauges do not keep the pool alive.
 * @returns a function that ends the gauges
 */
export function showPool (pool: WeakRef<Pool>, scope: DatabaseScope, { alias, trouble, metrics }: Recorder): () => void {
  const isThere = () => {
    const shown = pool.deref()
    return shown !== undefined && shown.ended !== true
  }
  const gauges = new Gauges(scope, { alias, vendor: VENDOR }, isThere, (error) => { trouble.report('pg', error) })
  const ofPool = (read: (pool: Pool) => number) => () => {
    const shown = pool.deref()
    return shown === undefined ? 0 : read(shown)
  }
  gauges.showConnections('idle', ofPool(({ idleCount }) => idleCount))
  gauges.showConnections('used', ofPool(({ idleCount, totalCount }) => totalCount - idleCount))
  gauges.showSum('db_pool_connections_max', ofPool(({ options }) => options?.max ?? 0))
  gauges.showSum('db_pool_pending_requests', ofPool(({ waitingCount }) => waitingCount))
  metrics.showPool(gauges)
  metrics.showQueries(gauges)
  return () => { gauges.end() }
}

/** Shows the queries of clients that are made without a pool, at each scrape. */
export function showClients (scope: DatabaseScope, { alias, trouble, metrics }: Recorder): void {
  metrics.showQueries(new Gauges(scope, { alias, vendor: VENDOR }, () => true, (error) => { trouble.report('pg', error) }))
}
