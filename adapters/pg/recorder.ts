import { performance } from 'node:perf_hooks'
import { Activity, secondsBetween } from '../../src/database/activity.js'
import { DatabaseMetrics, type DatabaseScope } from '../../src/database/metrics.js'
import { operationOf, type Operation } from '../../src/database/operation.js'
import { errorTypeOf, Trouble, addQuery, currentUsage, type DatabaseUsage } from '../../src/instrumentation/index.js'
import type { Labels } from '../../src/metrics/index.js'
import type { Client, Method, Submittable } from './driver.js'

export const VENDOR = 'postgresql'

/** The caller of a query, as far as only its async context knows it. */
export interface Caller {
  readonly usage: DatabaseUsage | undefined
  readonly exemplar: Labels | undefined
}

/** A query under way. */
export class Started extends Activity {
  declare readonly operation: Operation
  declare readonly caller: Caller
  declare readonly client: Client

  constructor (operation: Operation, caller: Caller, client: Client, at: number) {
    super(at)
    this.operation = operation
    this.caller = caller
    this.client = client
  }
}

const NOBODY: Caller = { usage: undefined, exemplar: undefined }

/** pg-pool's message when a caller has waited in its queue until the timeout (pg-pool/index.js, connect). */
const QUEUE_TIMEOUT = 'timeout exceeded when trying to connect'
/**
 * The messages of pg-pool and pg when a connection did not open in time (pg-pool/index.js, newClient; pg/lib/client.js,
 * _connect).
 */
const CONNECT_TIMEOUTS = new Set(['Connection terminated due to connection timeout', 'timeout expired'])

/**
 * Writes what happens to connections and queries to their metrics. Its own errors are reported, and reach no caller.
 */
export class Recorder {
  /** Whether anything is observed; false after undo. */
  active = true
  readonly alias: string
  readonly trouble: Trouble
  readonly metrics: DatabaseMetrics
  /** The client whose own method is running: that method may call the method of its class. */
  within: unknown
  /** The caller that waited for the connection that is being handed out right now. */
  #waiter: Caller | undefined

  constructor (scope: DatabaseScope) {
    this.alias = scope.alias ?? 'default'
    this.metrics = new DatabaseMetrics(scope, this.alias, VENDOR)
    this.trouble = new Trouble(scope)
  }

  /** Now, in milliseconds. */
  now (): number {
    return performance.now()
  }

  connectionOpened (since?: number): void {
    this.#record(() => this.metrics.connectionOpened(since === undefined ? undefined : secondsSince(since)))
  }

  connectionClosed (): void {
    this.#record(() => this.metrics.connectionClosed())
  }

  /** Ends the client's queries that are still under way: pg reports their failure in a moment, or never. */
  connectionEnded (client: Client): void {
    for (const query of this.metrics.queries) if (query instanceof Started && query.client === client) query.end()
  }

  connectionFailed (reason: unknown): void {
    this.#record(() => this.metrics.connectionFailed(errorTypeOf(reason)))
  }

  /**
   * Every query takes this path. The try is written out, here and below, because a closure for each query costs more
   * than the code it guards.
   */
  connectionUsed (since: number): void {
    try {
      this.metrics.connectionUsed(secondsSince(since))
    } catch (error) {
      this.trouble.report('pg', error)
    }
  }

  /** A caller asks for a connection. */
  waitBegan (): Activity {
    const wait = new Activity(performance.now())
    this.metrics.waits.add(wait)
    return wait
  }

  /** @param at when the connection was taken out of the pool, in milliseconds of performance.now(). Default: now */
  acquired (wait: Activity, at = performance.now()): void {
    try {
      wait.end()
      this.metrics.acquired(secondsBetween(wait.at, at))
    } catch (error) {
      this.trouble.report('pg', error)
    }
  }

  /**
   * A connection that could not be made is counted where it is made, and not here.
   * @returns whether the caller has waited until its timeout because the pool was exhausted
   */
  acquireFailed (wait: Activity, reason: unknown): boolean {
    let exhausted = false
    this.#record(() => {
      wait.end()
      const message = reason instanceof Error ? reason.message : ''
      exhausted = message === QUEUE_TIMEOUT
      if (exhausted) this.metrics.acquireTimedOut()
      if (exhausted || CONNECT_TIMEOUTS.has(message)) this.metrics.acquired(secondsBetween(wait.at, performance.now()))
    })
    return exhausted
  }

  /** The caller in the current async context. */
  caller (): Caller {
    const usage = currentUsage()
    const exemplar = this.metrics.exemplar()
    return usage === undefined && exemplar === undefined ? NOBODY : { usage, exemplar }
  }

  /**
   * Calls the callback that pg-pool hands a connection to. pg-pool may do so in the async context of the caller that
   * released the connection. Queries that the callback makes at once, as those of pool.query, belong to the caller that
   * asked for the connection.
   */
  handOut (waiter: Caller, callback: Method, self: unknown, results: unknown[]): unknown {
    const before = this.#waiter
    this.#waiter = waiter
    try {
      return Reflect.apply(callback, self, results)
    } finally {
      this.#waiter = before
    }
  }

  /** Records that a query is about to be sent; undefined when that fails. */
  queryStarted (client: Client, query: Submittable | string | { text?: unknown, name?: unknown }): Started | undefined {
    try {
      const text = typeof query === 'string' ? query : textOf(client, query)
      const started = new Started(operationOf(text), this.#waiter ?? this.caller(), client, performance.now())
      this.metrics.queries.add(started)
      return started
    } catch (error) {
      this.trouble.report('pg', error)
      return undefined
    }
  }

  /** @param result pg's Result, or an array of them for several statements */
  querySucceeded (query: Started, result: unknown): void {
    try {
      this.#ended(query, performance.now())
      const rows = rowsOf(result)
      if (rows !== undefined) this.metrics.countRows(query.operation, rows)
    } catch (error) {
      this.trouble.report('pg', error)
    }
  }

  queryFailed (query: Started, reason: unknown, at: number): void {
    this.#record(() => {
      this.#ended(query, at)
      this.metrics.queryFailed(errorTypeOf(reason))
    })
  }

  /** Records the end of a query whose rows are counted separately. */
  queryEnded (query: Started, at: number): void {
    this.#record(() => this.#ended(query, at))
  }

  countRows (query: Started, count: number): void {
    this.#record(() => this.metrics.countRows(query.operation, count))
  }

  #record (write: () => void): void {
    try {
      write()
    } catch (error) {
      this.trouble.report('pg', error)
    }
  }

  #ended (query: Started, at: number): void {
    query.end()
    const { operation, caller: { usage, exemplar } } = query
    const seconds = secondsBetween(query.at, at)
    addQuery(usage, seconds)
    this.metrics.query(operation, seconds, exemplar)
  }
}

function secondsSince (since: number): number {
  return secondsBetween(since, performance.now())
}

/** The text of a statement. A prepared statement may be given by its name alone; its client knows the text. */
function textOf (client: Client, query: { text?: unknown, name?: unknown, cursor?: { text?: unknown } }): string {
  const text = query.text ?? query.cursor?.text
  if (typeof text === 'string') return text
  return typeof query.name === 'string' ? client.connection?.parsedStatements?.[query.name] ?? '' : ''
}

/** Rows returned or changed; undefined for a command that has none, such as BEGIN. */
function rowsOf (result: unknown): number | undefined {
  if (!Array.isArray(result)) return rowCountOf(result)
  let sum: number | undefined
  for (const one of result) {
    const rows = rowCountOf(one)
    if (rows !== undefined) sum = (sum ?? 0) + rows
  }
  return sum
}

function rowCountOf (result: unknown): number | undefined {
  const rows = (result as { rowCount?: unknown } | undefined)?.rowCount
  // Without a row count pg gives null, and pg.native gives NaN.
  return typeof rows === 'number' && rows >= 0 ? rows : undefined
}
