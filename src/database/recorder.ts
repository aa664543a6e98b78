import { performance } from 'node:perf_hooks'
import { Trouble, addQuery, currentUsage, driverErrorTypeOf, secondsBetween, secondsSince, type DatabaseUsage, type Method } from '../instrumentation/index.js'
import type { Labels } from '../metrics/index.js'
import { Activity } from './activity.js'
import { Gauges } from './gauges.js'
import { DatabaseMetrics, type DatabaseScope } from './metrics.js'
import { operationOf, type Operation } from './operation.js'

/** The caller of a query, as far as only its async context knows it. */
export interface Caller {
  readonly usage: DatabaseUsage | undefined
  readonly exemplar: Labels | undefined
}

/** A query under way. */
export class Query extends Activity {
  declare readonly operation: Operation
  declare readonly caller: Caller
  /** The connection that the query runs on, if the adapter has told it. */
  declare readonly connection: object | undefined

  constructor (operation: Operation, caller: Caller, connection: object | undefined, at: number) {
    super(at)
    this.operation = operation
    this.caller = caller
    this.connection = connection
  }
}

/** What a pool says of itself at a scrape. A number that the driver does not know is left out. */
export interface PoolNumbers {
  /** Connections in the pool that nobody uses. */
  readonly idle?: () => number
  /** Connections that are in use. */
  readonly used?: () => number
  /** Connections that the pool may have. */
  readonly max?: () => number
  /** Callers that wait for a connection. */
  readonly pending?: () => number
}

const NOBODY: Caller = { usage: undefined, exemplar: undefined }

/**
 * Writes what happens to the connections and queries of one database to its metrics. An adapter calls it at each event
 * of its driver. No method throws: an error of our own is reported as trouble, and reaches no caller. Times are in
 * milliseconds of performance.now().
 */
export class DatabaseRecorder {
  /** Whether anything is observed; false after undo. */
  active = true
  readonly alias: string
  readonly vendor: string
  readonly trouble: Trouble
  readonly metrics: DatabaseMetrics
  readonly #scope: DatabaseScope
  readonly #source: string
  /** The caller that is being called back right now: it has waited for a connection, or for a query. */
  #waiter: Caller | undefined

  /**
   * @param scope from readDatabaseScope
   * @param vendor the engine, the label `vendor`: 'postgresql', 'mysql'
   * @param source who reports trouble, the label `source` of metrics_instrumentation_errors_total: 'pg'
   * @param connections whether connections are observed as well as queries; if so, their counters show zero from now on
   * @throws MetricsError FP_ERR_METRIC_CONFLICT when the registry holds something else under one of the names
   */
  constructor (scope: DatabaseScope, vendor: string, source: string, connections = true) {
    this.alias = scope.alias ?? 'default'
    this.vendor = vendor
    this.#scope = scope
    this.#source = source
    this.metrics = new DatabaseMetrics(scope, this.alias, vendor, connections)
    this.trouble = new Trouble(scope)
  }

  /** Reports an error of the adapter itself: it is counted, and the first is logged. */
  report (error: unknown): void {
    this.trouble.report(this.#source, error)
  }

  /** Now. */
  now (): number {
    return performance.now()
  }

  /** @param since when it began to open, if that is known */
  connectionOpened (since?: number): void {
    this.record(() => this.metrics.connectionOpened(since === undefined ? undefined : secondsSince(since)))
  }

  connectionClosed (): void {
    this.record(() => this.metrics.connectionClosed())
  }

  /** Ends the queries of a connection that are still under way, without a result: their driver tells of them in a moment, or never. */
  connectionEnded (connection: object): void {
    for (const query of this.metrics.queries) if (query instanceof Query && query.connection === connection) query.end()
  }

  /** A connection could not be made, or was lost while idle. */
  connectionFailed (reason: unknown): void {
    this.record(() => this.metrics.connectionFailed(driverErrorTypeOf(reason)))
  }

  /**
   * A connection went back to its pool. Every query takes this path. The try is written out, here and below, because a
   * closure for each query costs more than the code it guards.
   * @param since when it was taken out
   */
  connectionUsed (since: number): void {
    try {
      this.metrics.connectionUsed(secondsSince(since))
    } catch (error) {
      this.report(error)
    }
  }

  /** A caller asks for a connection. */
  waitBegan (): Activity {
    const wait = new Activity(performance.now())
    this.metrics.waits.add(wait)
    return wait
  }

  /** @param at when the connection was taken out of the pool. Default: now */
  acquired (wait: Activity, at = performance.now()): void {
    try {
      wait.end()
      this.metrics.acquired(secondsBetween(wait.at, at))
    } catch (error) {
      this.report(error)
    }
  }

  /**
   * A caller got no connection. One that could not be made is counted where it is made, and not here.
   * @param timedOut whether the caller waited until a timeout, which is observed as a wait; 'exhausted' if it did so
   * because all connections were in use
   */
  acquireFailed (wait: Activity, timedOut: boolean | 'exhausted'): void {
    this.record(() => {
      wait.end()
      if (timedOut === 'exhausted') this.metrics.acquireTimedOut()
      if (timedOut !== false) this.metrics.acquired(secondsSince(wait.at))
    })
  }

  /** The caller that is being called back, or else the one in the current async context. */
  caller (): Caller {
    if (this.#waiter !== undefined) return this.#waiter
    const usage = currentUsage()
    const exemplar = this.metrics.exemplar()
    return usage === undefined && exemplar === undefined ? NOBODY : { usage, exemplar }
  }

  /**
   * Calls a caller back, in whatever async context. The queries that its callback begins at once belong to that caller.
   * A pool may hand out a connection in the context of the caller that has released it.
   * @returns what the callback returns
   */
  callBack (caller: Caller, callback: Method, self: unknown, results: unknown[]): unknown {
    const before = this.#waiter
    this.#waiter = caller
    try {
      return Reflect.apply(callback, self, results)
    } finally {
      this.#waiter = before
    }
  }

  /**
   * A query is about to be sent.
   * @param connection what it runs on, for connectionEnded()
   * @returns undefined when that cannot be recorded
   */
  queryStarted (text: string, connection?: object): Query | undefined {
    try {
      const query = new Query(operationOf(text), this.caller(), connection, performance.now())
      this.metrics.queries.add(query)
      return query
    } catch (error) {
      this.report(error)
      return undefined
    }
  }

  /**
   * A query has ended.
   * @param rows how many rows it returned or changed; undefined for a statement that has none, or that does not say
   * @param at when it ended. Default: now
   */
  querySucceeded (query: Query, rows?: number, at = performance.now()): void {
    try {
      this.#ended(query, at)
      if (rows !== undefined) this.metrics.countRows(query.operation, rows)
    } catch (error) {
      this.report(error)
    }
  }

  queryFailed (query: Query, reason: unknown, at = performance.now()): void {
    this.record(() => {
      this.#ended(query, at)
      this.metrics.queryFailed(driverErrorTypeOf(reason))
    })
  }

  /**
   * A statement has run, in one synchronous call: no scrape could have seen it under way.
   * @param began when it began
   */
  ran (operation: Operation, began: number, rows?: number): void {
    try {
      this.#took(operation, began)
      if (rows !== undefined) this.metrics.countRows(operation, rows)
    } catch (error) {
      this.report(error)
    }
  }

  /** A statement that ran in one synchronous call has failed. */
  ranInVain (operation: Operation, began: number, reason: unknown): void {
    this.record(() => {
      this.#took(operation, began)
      this.metrics.queryFailed(driverErrorTypeOf(reason))
    })
  }

  /** Rows of a query that are counted apart from its end, such as those of a cursor. */
  countRows (query: Query, count: number): void {
    this.record(() => this.metrics.countRows(query.operation, count))
  }

  /**
   * Shows the numbers of a pool, and what runs right now, at each scrape; those of one alias are added up.
   * @param isThere asked at each scrape: when it gives false, the pool is not shown any more. Neither this function nor
   * those of `numbers` may keep the pool alive
   * @returns a function that ends it
   */
  show (isThere: () => boolean, numbers?: PoolNumbers): () => void {
    const gauges = new Gauges(this.#scope, { alias: this.alias, vendor: this.vendor }, isThere, (error) => { this.report(error) })
    if (numbers !== undefined) {
      const { idle, used, max, pending } = numbers
      if (idle !== undefined) gauges.showConnections('idle', idle)
      if (used !== undefined) gauges.showConnections('used', used)
      if (max !== undefined) gauges.showSum('db_pool_connections_max', max)
      if (pending !== undefined) {
        gauges.showSum('db_pool_pending_requests', pending)
        this.metrics.showPool(gauges)
      }
    }
    this.metrics.showQueries(gauges)
    return () => { gauges.end() }
  }

  /** Does something that must not throw into the application. */
  record (write: () => void): void {
    try {
      write()
    } catch (error) {
      this.report(error)
    }
  }

  #took (operation: Operation, began: number): void {
    const seconds = secondsSince(began)
    addQuery(currentUsage(), seconds)
    this.metrics.query(operation, seconds, this.metrics.exemplar())
  }

  #ended (query: Query, at: number): void {
    query.end()
    const { operation, caller: { usage, exemplar } } = query
    const seconds = secondsBetween(query.at, at)
    addQuery(usage, seconds)
    this.metrics.query(operation, seconds, exemplar)
  }
}
