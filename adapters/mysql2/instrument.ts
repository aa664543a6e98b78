import { DATABASE_DEFAULTS, DatabaseRecorder, Observed, type DatabaseScope } from '../../src/adapter.js'
import { observeCluster, watchExhaustion } from './cluster.js'
import { Connections } from './connections.js'
import { isCluster, isPool, type Cluster, type Connection, type Pool } from './driver.js'
import { observePool } from './pool.js'

export const observed = new Observed<DatabaseScope>('mysql2', 'a pool, cluster or connection', DATABASE_DEFAULTS)

/** Observes a pool, a connection or a cluster, under the alias and the vendor that its data source has. */
export function observe (core: Pool | Connection | Cluster, scope: DatabaseScope, vendor = 'mysql'): () => void {
  // A cluster has no numbers of its own.
  const recorder = new DatabaseRecorder(scope, vendor, 'mysql2', !isCluster(core))
  const end = isCluster(core) ? observeNodes(core, scope, vendor, recorder) : isPool(core) ? observePool(core, recorder) : observeConnection(core, recorder)
  return observed.add(core, scope, () => {
    recorder.active = false
    end()
  })
}

function observeNodes (cluster: Cluster, scope: DatabaseScope, vendor: string, recorder: DatabaseRecorder): () => void {
  const endNodes = observeCluster(cluster, (pool, id) => {
    return observed.has(pool) ? undefined : observe(pool, { ...scope, alias: `${recorder.alias}-${id}` }, vendor)
  }, (error) => { recorder.report(error) })
  const endWatch = watchExhaustion(cluster, (error) => { recorder.connectionFailed(error) })
  return () => {
    endWatch()
    endNodes()
  }
}

function observeConnection (connection: Connection, recorder: DatabaseRecorder): () => void {
  const connections = new Connections(recorder)
  connections.add(connection, recorder.now())
  const end = showConnection(new WeakRef(connection), recorder)
  return () => {
    end()
    connections.restore()
  }
}

/** Shows what runs on a connection until it is closed. Nothing here may keep it alive. */
function showConnection (reference: WeakRef<Connection>, recorder: DatabaseRecorder): () => void {
  return recorder.show(() => reference.deref()?.stream.destroyed === false)
}
