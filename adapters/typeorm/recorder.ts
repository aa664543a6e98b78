import { performance } from 'node:perf_hooks'
import { Activity, secondsBetween } from '../../src/database/activity.js'
import { Gauges } from '../../src/database/gauges.js'
import { DatabaseMetrics, type DatabaseScope } from '../../src/database/metrics.js'
import { operationOf } from '../../src/database/operation.js'
import { driverErrorOf, driverErrorTypeOf, addQuery, currentUsage, type Trouble, type DatabaseUsage } from '../../src/instrumentation/index.js'
import type { Labels } from '../../src/metrics/index.js'
import { rowsOf } from './rows.js'

const SOURCE = 'typeorm queries'

/** A query, from the caller's call to its end. */
export class Query extends Activity {
  /** The metrics of its connection; undefined until the query has a connection. */
  metrics: DatabaseMetrics | undefined = undefined
  /** The connection that the query runs on, if that is known. */
  connection: object | undefined = undefined
  /** Whether the query has asked for a connection and waits for it. */
  waits = false
  /** When the database answered, in milliseconds of performance.now(). Subscribers may make the caller wait longer. */
  answeredAt: number | undefined = undefined
  /** Ends a stream whose connection is lost. Undefined for any other query: the driver tells its caller. */
  interrupt: ((error: unknown) => void) | undefined = undefined

  constructor (readonly text: string, readonly usage: DatabaseUsage | undefined, readonly exemplar: Labels | undefined) {
    super(0)
  }
}

/** Writes queries to the metrics of the connection that they run on. No method throws. */
export class QueryRecorder {
  /** Whether anything is observed; false after undo. */
  active = true
  readonly #trouble: Trouble
  readonly #scope: DatabaseScope
  readonly #vendor: string
  readonly #isThere: () => boolean
  readonly #primary: DatabaseMetrics
  readonly #replicas: DatabaseMetrics[] = []
  readonly #gauges: Gauges[] = []
  /** The latest query of each query runner. */
  readonly #latest = new WeakMap<object, Query>()
  /** Errors that the application's subscribers have thrown, and whether the query had run by then. */
  readonly #subscribersErrors = new WeakMap<object, { readonly ran: boolean }>()

  /**
   * @param isThere whether the data source still exists
   * @throws MetricsError FP_ERR_METRIC_CONFLICT
   */
  constructor (scope: DatabaseScope, vendor: string, isThere: () => boolean, trouble: Trouble) {
    this.#scope = scope
    this.#vendor = vendor
    this.#isThere = isThere
    this.#trouble = trouble
    this.#primary = this.#metricsOf(scope.alias ?? 'default')
  }

  get primary (): DatabaseMetrics {
    return this.#primary
  }

  /** @param number 0 for the first replica */
  replica (number: number): DatabaseMetrics {
    return (this.#replicas[number] ??= this.#metricsOf(`${this.#scope.alias ?? 'default'}-replica-${number + 1}`))
  }

  /** A caller asks for a query; undefined when this cannot be recorded. */
  asked (runner: object, text: string): Query | undefined {
    try {
      const query = new Query(text, currentUsage(), this.#primary.exemplar())
      this.#latest.set(runner, query)
      return query
    } catch (error) {
      this.#trouble.report(SOURCE, error)
      return undefined
    }
  }

  /** Every query begins here. */
  began (query: Query, metrics: DatabaseMetrics, connection?: object): void {
    query.metrics = metrics
    query.connection = connection
    query.at = performance.now()
    metrics.queries.add(query)
  }

  /** The database has answered a query of a runner, with a result or an error. */
  answered (runner: object, text: unknown): void {
    const query = this.#latest.get(runner)
    // When several queries run at once, each of the others ends when its caller gets the answer.
    if (query !== undefined && query.text === text) query.answeredAt ??= performance.now()
  }

  /** @param ran whether the query had run when the application's subscriber threw this error */
  subscriberThrew (error: unknown, ran: boolean): void {
    if (typeof error === 'object' && error !== null) this.#subscribersErrors.set(error, { ran })
  }

  /** @param result the runner's result, or TypeORM's QueryResult */
  succeeded (query: Query, result: unknown): void {
    try {
      const operation = operationOf(query.text)
      this.#ended(query, operation)
      const rows = rowsOf(operation, result)
      if (rows !== undefined) query.metrics?.countRows(operation, rows)
    } catch (error) {
      this.#trouble.report(SOURCE, error)
    }
  }

  /** @param rows the number of rows that the stream gave */
  streamed (query: Query, rows: number, failure?: unknown): void {
    try {
      const operation = operationOf(query.text)
      this.#ended(query, operation)
      query.metrics?.countRows(operation, rows)
      if (failure !== undefined) query.metrics?.queryFailed(driverErrorTypeOf(failure))
    } catch (error) {
      this.#trouble.report(SOURCE, error)
    }
  }

  failed (query: Query, reason: unknown): void {
    try {
      const thrown = driverErrorOf(reason)
      const subscribers = typeof thrown === 'object' && thrown !== null ? this.#subscribersErrors.get(thrown) : undefined
      if (subscribers?.ran === false || isRefusal(reason)) return this.dropped(query)
      this.#ended(query, operationOf(query.text))
      if (subscribers === undefined) query.metrics?.queryFailed(driverErrorTypeOf(thrown))
    } catch (error) {
      this.#trouble.report(SOURCE, error)
    }
  }

  /** A query never reached the database. */
  dropped (query: Query): void {
    query.end()
  }

  report (error: unknown): void {
    this.#trouble.report(SOURCE, error)
  }

  /** Ends the recording and the gauges. */
  undo (): void {
    this.active = false
    for (const gauges of this.#gauges) gauges.end()
  }

  /** Every query that has begun ends here. */
  #ended (query: Query, operation: ReturnType<typeof operationOf>): void {
    const { metrics, usage } = query
    query.end()
    if (metrics === undefined) return
    const seconds = secondsBetween(query.at, query.answeredAt ?? performance.now())
    addQuery(usage, seconds)
    metrics.query(operation, seconds, query.exemplar)
  }

  #metricsOf (alias: string): DatabaseMetrics {
    const metrics = new DatabaseMetrics(this.#scope, alias, this.#vendor, false)
    const gauges = new Gauges(this.#scope, { alias, vendor: this.#vendor }, this.#isThere, (error) => { this.report(error) })
    metrics.showQueries(gauges)
    this.#gauges.push(gauges)
    return metrics
  }
}

/**
 * Whether TypeORM itself refused a query, for example on a released runner. TypeORM's own errors carry no error of the
 * driver; QueryFailedError carries one.
 */
function isRefusal (reason: unknown): boolean {
  if (typeof reason !== 'object' || reason === null || driverErrorOf(reason) !== reason) return false
  for (let prototype = Reflect.getPrototypeOf(reason); prototype !== null; prototype = Reflect.getPrototypeOf(prototype)) {
    if ((prototype as { constructor?: { name?: unknown } }).constructor?.name === 'TypeORMError') return true
  }
  return false
}
