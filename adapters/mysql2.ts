import { DATABASE_DEFAULTS, DatabaseRecorder, MetricsError, Observed, describeTarget, holds, overlayMethod, readDatabaseScope, type DatabaseScope } from '../src/adapter.js'
import { Connections } from './mysql2/connections.js'
import type { Cluster, Connection, Pool } from './mysql2/driver.js'
import { observePool } from './mysql2/pool.js'

/**
 * A pool, a connection or a pool cluster of mysql2, known by its shape; of 'mysql2' (callbacks) or of 'mysql2/promise'.
 */
export interface Mysql2Like {
  end (...args: never[]): unknown
}

/** Options of instrumentMysql: `alias`, `buckets`, `registry`, `prefix`, `maxSeries`, `nativeHistograms`, `exemplars`. */
export type Mysql2Options = DatabaseScope

const observed = new Observed<DatabaseScope>('mysql2', 'a pool, cluster or connection', DATABASE_DEFAULTS)

/**
 * Observes a pool of mysql2, with the connections and statements of all who use it; or one connection; or a pool
 * cluster, each node under `<alias>-<id of the node>`. Call it where the pool is made.
 * @returns a function that restores it. The first call for a pool counts. A later call without options, or with the
 * same options, returns the same function. A later call with other options warns (FP_WARN_OBSERVED_ALREADY) and returns
 * a function that does nothing
 * @throws MetricsError FP_ERR_INVALID_TARGET, FP_ERR_INVALID_OPTION, FP_ERR_METRIC_CONFLICT
 */
export function instrumentMysql (target: Mysql2Like, options: Mysql2Options = {}): () => void {
  const scope = readDatabaseScope('instrumentMysql', options)
  const core = coreOf(target)
  if (core === undefined) {
    throw new MetricsError('FP_ERR_INVALID_TARGET', `instrumentMysql expects a pool, a connection or a pool cluster of mysql2, got ${describeTarget(target)}`)
  }
  return observed.again('instrumentMysql', core, scope) ?? observe(core, scope)
}

/** Observes a pool, under an alias and a vendor that its data source has. */
export function observe (core: Pool | Connection | Cluster, scope: DatabaseScope, vendor = 'mysql'): () => void {
  if (isCluster(core)) return observeCluster(core, scope)
  const recorder = new DatabaseRecorder(scope, vendor, 'mysql2')
  const end = isPool(core) ? observePool(core, recorder) : observeConnection(core, recorder)
  return observed.add(core, scope, () => {
    recorder.active = false
    end()
  })
}

function observeConnection (connection: Connection, recorder: DatabaseRecorder): () => void {
  const connections = new Connections(recorder)
  const shown = new WeakRef(connection)
  connections.add(connection)
  const end = recorder.show(() => shown.deref() !== undefined)
  return () => {
    end()
    connections.restore()
  }
}

/** A node may be added later. */
function observeCluster (cluster: Cluster, scope: DatabaseScope): () => void {
  const undos: Array<() => void> = []
  const learn = () => {
    for (const [id, { pool }] of Object.entries(cluster._nodes)) {
      if (!observed.has(pool)) undos.push(observe(pool, { ...scope, alias: `${scope.alias ?? 'default'}-${id}` }))
    }
  }
  learn()
  const restore = overlayMethod(cluster, 'add', (under) => function (...args) {
    const result = Reflect.apply(under.add, this, args)
    learn()
    return result
  })
  return observed.add(cluster, scope, () => {
    restore()
    for (const undo of undos) undo()
  })
}

/** The pool, connection or cluster itself: those of 'mysql2/promise' are wrappers. */
function coreOf (target: unknown): Pool | Connection | Cluster | undefined {
  if (typeof target !== 'object' || target === null) return undefined
  const { pool, connection, poolCluster } = target as { pool?: unknown, connection?: unknown, poolCluster?: unknown }
  return [target, pool, connection, poolCluster].find((each): each is Pool | Connection | Cluster => holds(() => isCluster(each) || isPool(each) || isConnection(each)))
}

function isPool (value: unknown): value is Pool {
  const { getConnection, _allConnections, _freeConnections, _connectionQueue } = value as Partial<Pool>
  return typeof getConnection === 'function' && [_allConnections, _freeConnections, _connectionQueue].every((queue) => typeof queue?.get === 'function')
}

function isConnection (value: unknown): value is Connection {
  const { addCommand, stream } = value as Partial<Connection>
  return typeof addCommand === 'function' && typeof stream?.on === 'function'
}

function isCluster (value: unknown): value is Cluster {
  const { add, _nodes } = value as Partial<Cluster>
  return typeof add === 'function' && typeof _nodes === 'object'
}
