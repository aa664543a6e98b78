import { errorMonitor } from 'node:events'
import type { DatabaseMetrics } from '../../src/database/metrics.js'
import { driverErrorTypeOf, overlayMethod, shadowMethod, type Method } from '../../src/instrumentation/index.js'
import type { Connections } from './queries.js'
import type { Query, QueryRecorder } from './recorder.js'
import type { QueryRunnerLike } from './shapes.js'

/** The parts of TypeORM's MysqlDriver that are used here. */
interface MysqlDriver {
  /** The module mysql2 or mysql. */
  mysql?: { createPool?: Method, createPoolCluster?: Method }
  readonly pool?: object
  readonly poolCluster?: Cluster
}

interface Cluster {
  /** The pools by the names that TypeORM gives them: MASTER, SLAVE0, SLAVE1, ... */
  readonly _nodes?: Readonly<Record<string, { readonly pool?: object } | undefined>>
}

interface Connection {
  on (event: symbol, listener: (error: unknown) => void): unknown
  removeListener (event: symbol, listener: (error: unknown) => void): unknown
}

type Got = (error: unknown, connection: object | undefined, query: Query | undefined) => void

/**
 * The messages of mysql2 and the codes of mysql when the pool has no connection left and may open none
 * (mysql2/lib/base/pool.js).
 */
const EXHAUSTED = new Set(['Queue limit reached.', 'No connections available.', 'POOL_ENQUEUELIMIT', 'POOL_CONNLIMIT'])
const CLOSED = new Set(['Pool is closed.', 'POOL_CLOSED'])
/** The codes of a cluster that has no pool left, because all have failed (mysql2/lib/pool_cluster.js). */
const NO_POOL = new Set(['POOL_NOEXIST', 'POOL_NONEONLINE'])

/**
 * Observes the mysql2 or mysql pools that a driver has, and those that it makes at each initialize: which server each
 * connection leads to, and which connections fail.
 */
export class MysqlConnections implements Connections {
  opening: Query | undefined = undefined
  readonly #recorder: QueryRecorder
  readonly #sources = new WeakMap<object, DatabaseMetrics>()
  readonly #callbacks = new WeakSet<object>()
  readonly #restore: () => void
  /** The functions that restore the pools of the last initialize. */
  #restores: Array<() => void> = []
  #watched: Array<{ readonly connection: WeakRef<Connection>, readonly lost: (error: unknown) => void }> = []

  constructor (driver: object, recorder: QueryRecorder) {
    this.#recorder = recorder
    this.#restore = shadowMethod(driver, 'connect', (connect) => {
      const observeConnect = this.#observeConnect.bind(this)
      return function (this: unknown, ...args) {
        return observeConnect(this as MysqlDriver, () => Reflect.apply(connect, this, args))
      }
    })
    const { pool, poolCluster } = driver as MysqlDriver
    this.#guard(() => {
      if (poolCluster !== undefined) this.#observeCluster(poolCluster)
      if (pool !== undefined) this.#observePool(pool, recorder.primary)
    })
  }

  of ({ databaseConnection }: QueryRunnerLike): DatabaseMetrics | undefined {
    if (databaseConnection === undefined) return undefined
    // For a connection that was handed out before the observation, only the cluster's name for its pool tells the
    // server.
    return this.#sources.get(databaseConnection) ?? this.#metricsOf((databaseConnection as { _clusterId?: unknown })._clusterId)
  }

  connectionOf ({ databaseConnection }: QueryRunnerLike): object | undefined {
    return databaseConnection
  }

  undo (): void {
    this.#restore()
    this.#restorePools()
    for (const { connection, lost } of this.#watched) connection.deref()?.removeListener(errorMonitor, lost)
    this.#watched = []
  }

  #restorePools (): void {
    for (const restore of this.#restores.splice(0)) restore()
  }

  /**
   * Observes the pools that the driver makes in its `connect`. The driver makes them, and asks for the first
   * connection, before its first await (typeorm/driver/mysql/MysqlDriver.js, connect). So the replaced module is needed
   * only until `connect` returns.
   */
  #observeConnect<R> (driver: MysqlDriver, connect: () => R): R {
    const { mysql } = driver
    if (!this.#recorder.active || mysql === undefined) return connect()
    this.#restorePools()
    driver.mysql = Object.create(mysql, {
      createPool: { value: (...args: unknown[]) => this.#observeMade(Reflect.apply(mysql.createPool as Method, mysql, args), (pool) => { this.#observePool(pool, this.#recorder.primary) }) },
      createPoolCluster: { value: (...args: unknown[]) => this.#observeMade(Reflect.apply(mysql.createPoolCluster as Method, mysql, args), (cluster) => { this.#observeCluster(cluster as Cluster) }) }
    }) as typeof mysql
    try {
      return connect()
    } finally {
      driver.mysql = mysql
    }
  }

  /** @param name the name of a pool in a cluster */
  #metricsOf (name: unknown): DatabaseMetrics {
    const replica = typeof name === 'string' ? /^SLAVE(\d{1,4})$/.exec(name)?.[1] : undefined
    return replica === undefined ? this.#recorder.primary : this.#recorder.replica(Number(replica))
  }

  #observeMade (made: unknown, observe: (made: object) => void): unknown {
    this.#guard(() => { if (typeof made === 'object' && made !== null) observe(made) })
    return made
  }

  #observeCluster (cluster: Cluster): void {
    const known = new Set<object>()
    const observeNew = (): void => {
      for (const [name, node] of Object.entries(cluster._nodes ?? {})) {
        if (node?.pool === undefined || known.has(node.pool)) continue
        known.add(node.pool)
        this.#observePool(node.pool, this.#metricsOf(name))
      }
    }
    observeNew()
    const guard = this.#guard.bind(this)
    this.#restores.push(
      shadowMethod(cluster, 'add', (add) => function (...args) {
        const added = Reflect.apply(add, this, args)
        guard(observeNew)
        return added
      }),
      this.#overlayGetConnection(cluster, (error) => {
        if (NO_POOL.has(codeOf(error))) this.#recorder.primary.connectionFailed(codeOf(error))
      })
    )
  }

  #observePool (pool: object, metrics: DatabaseMetrics): void {
    this.#restores.push(this.#overlayGetConnection(pool, (error, connection, query) => {
      if (connection !== undefined) {
        if (!this.#sources.has(connection)) this.#watchConnection(connection as Connection, metrics)
        if (query !== undefined && query.metrics === undefined) this.#recorder.began(query, metrics, connection)
        return
      }
      const said = error instanceof Error && codeOf(error) === '' ? error.message : codeOf(error)
      if (EXHAUSTED.has(said)) metrics.acquireTimedOut()
      else if (!CLOSED.has(said)) metrics.connectionFailed(driverErrorTypeOf(error))
    }))
  }

  /** Puts a method over `getConnection(..., callback)` of a pool or a cluster. */
  #overlayGetConnection (target: object, got: Got): () => void {
    const observed = this.#observedCallback.bind(this)
    return overlayMethod(target, 'getConnection', (under) => function (this: unknown, ...args) {
      const last = args.length - 1
      args[last] = observed(args[last], got)
      return Reflect.apply(under.getConnection, this, args)
    })
  }

  /** Gives a callback that calls `got` first. */
  #observedCallback (callback: unknown, got: Got): unknown {
    // A pool calls its own getConnection() again for a request that waited, with the callback that is observed already.
    if (!this.#recorder.active || typeof callback !== 'function' || this.#callbacks.has(callback)) return callback
    const { opening: query } = this
    if (query !== undefined) query.waits = true
    const call = this.#call.bind(this)
    const observed = function (this: unknown, ...results: unknown[]): unknown {
      return call(query, got, callback as Method, this, results)
    }
    this.#callbacks.add(observed)
    return observed
  }

  #call (query: Query | undefined, got: Got, callback: Method, self: unknown, results: unknown[]): unknown {
    const { opening } = this
    try {
      if (this.#recorder.active) got(results[0], results[0] ? undefined : results[1] as object | undefined, query)
    } catch (error) {
      this.#recorder.report(error)
    }
    // A cluster asks its next pool when a pool has failed.
    this.opening = query?.metrics === undefined ? query : undefined
    try {
      return Reflect.apply(callback, self, results)
    } finally {
      this.opening = opening
    }
  }

  /** Counts a connection that is lost while no query runs on it. An error during a query belongs to the query. */
  #watchConnection (connection: Connection, metrics: DatabaseMetrics): void {
    this.#sources.set(connection, metrics)
    let isLost = false
    const lost = (error: unknown): void => {
      this.#guard(() => {
        if ((error as { fatal?: unknown } | undefined)?.fatal !== true) return
        const queries = ([...metrics.queries] as Query[]).filter((query) => query.connection === connection)
        // mysql2 does not tell a stream that its connection is lost, so the stream would wait for ever.
        for (const query of queries) query.interrupt?.(error)
        if (queries.length === 0 && !isLost) metrics.connectionFailed(driverErrorTypeOf(error))
        isLost = true
      })
    }
    this.#watched = this.#watched.filter((watched) => watched.connection.deref() !== undefined)
    this.#watched.push({ connection: new WeakRef(connection), lost })
    connection.on(errorMonitor, lost)
  }

  #guard (then: () => void): void {
    try {
      if (this.#recorder.active) then()
    } catch (error) {
      this.#recorder.report(error)
    }
  }
}

function codeOf (error: unknown): string {
  const code = (error as { code?: unknown } | null | undefined)?.code
  return typeof code === 'string' ? code : ''
}
