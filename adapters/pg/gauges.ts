import { metric } from '../../src/catalogue.js'
import type { DatabaseScope } from '../../src/database/metrics.js'
import type { Pool } from './driver.js'
import { VENDOR, type Recorder } from './recorder.js'

/**
 * Shows a pool's connections at each scrape, added to those of other pools of its alias, until it has ended or is garbage: this
 * does not keep it. The function it gives back stops that.
 */
export function showPool (pool: WeakRef<Pool>, scope: DatabaseScope, { alias, trouble }: Recorder): () => void {
  const labels = { alias, vendor: VENDOR }
  const stop: Array<() => void> = []
  const end = () => { for (const remove of stop) remove() }
  const show = (record: (pool: Pool) => void) => () => {
    try {
      const shown = pool.deref()
      if (shown === undefined || shown.ended === true) end()
      else record(shown)
    } catch (error) {
      trouble.report('pg', error)
    }
  }
  const connections = metric('db_pool_connections', scope)
  const max = metric('db_pool_connections_max', scope)
  const pending = metric('db_pool_pending_requests', scope)
  stop.push(
    connections.addCallback(show(({ idleCount, totalCount }) => {
      connections.inc({ ...labels, state: 'idle' }, idleCount)
      connections.inc({ ...labels, state: 'used' }, totalCount - idleCount)
    })),
    max.addCallback(show(({ options }) => max.inc(labels, options?.max ?? 0))),
    pending.addCallback(show(({ waitingCount }) => pending.inc(labels, waitingCount)))
  )
  return end
}
