import { Activity, secondsBetween } from '../../src/database/activity.js'
import { DatabaseMetrics, type DatabaseScope } from '../../src/database/metrics.js'
import { operationOf, type Operation } from '../../src/database/operation.js'
import { errorTypeOf, Trouble, addQuery, currentUsage, type DatabaseUsage } from '../../src/instrumentation/index.js'
import type { Labels } from '../../src/metrics/index.js'
import type { Client, Method, Submittable } from './driver.js'

export const VENDOR = 'postgresql'

/** On whose behalf a query is made: what only their async context knows. */
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

/** What pg-pool says when a caller has waited in its queue for as long as it would (pg-pool/index.js, connect). */
const QUEUE_TIMEOUT = 'timeout exceeded when trying to connect'
/** What pg-pool and pg say when a connection could not be opened in that time (pg-pool/index.js, newClient; pg/lib/client.js, _connect). */
const CONNECT_TIMEOUTS = new Set(['Connection terminated due to connection timeout', 'timeout expired'])

/** Writes what happens to connections and queries to their metrics. What fails in it is reported, and reaches nobody else. */
export class Recorder {
  /** Whether anything is observed; false after undo. */
  active = true
  readonly alias: string
  readonly trouble: Trouble
  readonly metrics: DatabaseMetrics
  /** The client whose own method is at work, which may call the one of its class. */
  within: unknown
  /** Whoever waited for the connection that is being handed out right now. */
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

  /** Of queries that are still under way there, pg tells in a moment how they failed, or never. */
  connectionEnded (client: Client): void {
    for (const query of this.metrics.queries) if (query instanceof Started && query.client === client) query.end()
  }

  connectionFailed (reason: unknown): void {
    this.#record(() => this.metrics.connectionFailed(errorTypeOf(reason)))
  }

  /** On the path of every query the try is written out, here and below: a closure each costs more than what it guards. */
  connectionUsed (since: number): void {
    try {
      this.metrics.connectionUsed(secondsSince(since))
    } catch (error) {
      this.trouble.report('pg', error)
    }
  }

  /** Somebody asks for a connection. */
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
   * Connections that could not be made are counted where they are made.
   * @returns whether the caller has waited for as long as it would, because the pool was exhausted
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

  /** Whoever is calling. */
  caller (): Caller {
    const usage = currentUsage()
    const exemplar = this.metrics.exemplar()
    return usage === undefined && exemplar === undefined ? NOBODY : { usage, exemplar }
  }

  /**
   * Calls a callback that pg-pool hands a connection to. It may do so in the async context of whoever released the connection;
   * queries that the callback makes at once belong to whoever asked for it, as those of pool.query do.
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

  /** A query that is about to be sent; undefined where that cannot be said. */
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

  /** @param result pg's Result, or several for several statements */
  querySucceeded (query: Started, result: unknown): void {
    try {
      this.#ended(query, performance.now())
      const rows = rowsOf(result)
      if (rows !== undefined) this.metrics.rows(query.operation, rows)
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

  /** A query ended whose rows are counted apart. */
  queryEnded (query: Started, at: number): void {
    this.#record(() => this.#ended(query, at))
  }

  rows (query: Started, count: number): void {
    this.#record(() => this.metrics.rows(query.operation, count))
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

/** A statement's text; one prepared before may be given by its name alone, and its client knows the text. */
function textOf (client: Client, query: { text?: unknown, name?: unknown, cursor?: { text?: unknown } }): string {
  const text = query.text ?? query.cursor?.text
  if (typeof text === 'string') return text
  return typeof query.name === 'string' ? client.connection?.parsedStatements?.[query.name] ?? '' : ''
}

/** Rows returned or changed; undefined for a command that has none, as BEGIN. */
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
  // pg gives null where there are none, pg.native NaN.
  return typeof rows === 'number' && rows >= 0 ? rows : undefined
}
