import { DatabaseRecorder, type DatabaseScope, type Query } from '../../src/adapter.js'
import { rowsOf } from './rows.js'

/** A query of a query runner, from the caller's call to its end. */
export interface Running {
  readonly query: Query
  readonly text: string
  /** When the database answered, in milliseconds of performance.now(). Subscribers may make the caller wait longer. */
  answeredAt: number | undefined
}

/** Writes the queries of query runners to the metrics of their data source. No method throws. */
export class QueryRecorder extends DatabaseRecorder {
  /** Whether the connection that the runners share is observed by itself. Its queries are then not recorded here. */
  readonly #isObservedBelow: () => boolean
  /** The latest query of each query runner. */
  readonly #latest = new WeakMap<object, Running>()
  /** Errors that the application's subscribers have thrown, and whether the query had run by then. */
  readonly #subscribersErrors = new WeakMap<object, { readonly ran: boolean }>()

  /** @throws MetricsError FP_ERR_METRIC_CONFLICT */
  constructor (scope: DatabaseScope, vendor: string, isObservedBelow: () => boolean) {
    super(scope, vendor, 'typeorm queries', false)
    this.#isObservedBelow = isObservedBelow
  }

  /** A caller asks for a query; undefined when this is not, or cannot be, recorded. */
  asked (runner: object, text: string): Running | undefined {
    if (this.#isObservedBelow()) return undefined
    const query = this.queryStarted(text)
    if (query === undefined) return undefined
    const running: Running = { query, text, answeredAt: undefined }
    this.#latest.set(runner, running)
    return running
  }

  /** The database has answered a query of a runner, with a result or an error. */
  answered (runner: object, text: unknown): void {
    const running = this.#latest.get(runner)
    // When several queries run at once, each of the others ends when its caller gets the answer.
    if (running !== undefined && running.text === text) running.answeredAt ??= this.now()
  }

  /** @param ran whether the query had run when the application's subscriber threw this error */
  subscriberThrew (error: unknown, ran: boolean): void {
    if (isObject(error)) this.#subscribersErrors.set(error, { ran })
  }

  /** @param result the runner's result, or TypeORM's QueryResult */
  succeeded ({ query, answeredAt }: Running, result: unknown): void {
    let rows: number | undefined
    try {
      rows = rowsOf(query.operation, result)
    } catch (error) {
      this.report(error)
    }
    this.querySucceeded(query, rows, answeredAt)
  }

  /** @param rows the number of rows that the stream gave */
  streamed ({ query }: Running, rows: number, failure?: unknown): void {
    if (failure === undefined) return this.querySucceeded(query, rows)
    this.countRows(query, rows)
    this.queryFailed(query, failure)
  }

  failed ({ query, answeredAt }: Running, reason: unknown): void {
    this.record(() => {
      const thrown = driverErrorOf(reason)
      const subscribers = isObject(thrown) ? this.#subscribersErrors.get(thrown) : undefined
      // It never reached the database.
      if (subscribers?.ran === false || isRefusal(reason)) query.end()
      else if (subscribers === undefined) this.queryFailed(query, thrown, answeredAt)
      else this.querySucceeded(query, undefined, answeredAt)
    })
  }
}

/**
 * Whether TypeORM itself refused a query, for example on a released runner. TypeORM's own errors carry no error of the
 * driver; QueryFailedError carries one.
 */
function isRefusal (reason: unknown): boolean {
  if (!isObject(reason) || driverErrorOf(reason) !== reason) return false
  for (let prototype = Reflect.getPrototypeOf(reason); prototype !== null; prototype = Reflect.getPrototypeOf(prototype)) {
    if ((prototype as { constructor?: { name?: unknown } }).constructor?.name === 'TypeORMError') return true
  }
  return false
}

/** The driver's own error in TypeORM's QueryFailedError; any other error itself. */
function driverErrorOf (reason: unknown): unknown {
  const driverError = isObject(reason) ? (reason as { driverError?: unknown }).driverError : undefined
  return isObject(driverError) ? driverError : reason
}

function isObject (value: unknown): value is object {
  return typeof value === 'object' && value !== null
}
