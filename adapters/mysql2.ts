import { DATABASE_DEFAULTS, DatabaseRecorder, MetricsError, Observed, describeTarget, holds, readDatabaseScope, type DatabaseScope } from '../src/adapter.js'
import { observeCluster } from './mysql2/cluster.js'
import { Connections } from './mysql2/connections.js'
import { coreOf, isCluster, isPool, type Cluster, type Connection, type Pool } from './mysql2/driver.js'
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
  if (core === undefined || isOfPool(core)) {
    const advice = core === undefined ? adviceOn(target) : 'it is a connection of a pool: pass the pool'
    throw new MetricsError('FP_ERR_INVALID_TARGET', 'instrumentMysql expects a pool, a connection or a pool cluster of mysql2, ' +
      `got ${advice === undefined ? describeTarget(target) : `an object; ${advice}`}`)
  }
  return observed.again('instrumentMysql', core, scope) ?? observe(core, scope)
}

/** Observes a pool, a connection or a cluster, under the alias and the vendor that its data source has. */
export function observe (core: Pool | Connection | Cluster, scope: DatabaseScope, vendor = 'mysql'): () => void {
  // A cluster has no numbers of its own.
  const recorder = new DatabaseRecorder(scope, vendor, 'mysql2', !isCluster(core))
  const end = isCluster(core)
    ? observeCluster(core, (pool, id) => {
      return observed.has(pool) ? undefined : observe(pool, { ...scope, alias: `${recorder.alias}-${id}` }, vendor)
    }, (error) => { recorder.report(error) })
    : isPool(core) ? observePool(core, recorder) : observeConnection(core, recorder)
  return observed.add(core, scope, () => {
    recorder.active = false
    end()
  })
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

/** Its pool is what is observed: else each of its statements would be counted twice. */
function isOfPool (core: object): boolean {
  return typeof (core as Partial<Connection>)._pool === 'object' && (core as Partial<Connection>)._pool !== null
}

function adviceOn (target: unknown): string | undefined {
  if (typeof target !== 'object' || target === null) return undefined
  const has = (name: string) => holds(() => typeof (target as Record<string, unknown>)[name] === 'function')
  if (has('then')) return 'it is a promise: await the connection first'
  if (has('getConnection') || has('addCommand')) return 'what it is made of is known of mysql2 3 only'
  return undefined
}
