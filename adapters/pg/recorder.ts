import { errorTypeOf } from '../../src/error-type.js'
import { DatabaseMetrics, type DatabaseScope } from '../../src/database/metrics.js'
import { operationOf, type Operation } from '../../src/database/operation.js'
import type { Labels } from '../../src/metrics/index.js'
import { Trouble } from '../../src/trouble.js'
import { currentUsage, type DatabaseUsage } from '../../src/usage.js'
import type { Client, Method, Submittable } from './driver.js'

export const VENDOR = 'postgresql'

/** On whose behalf a query is made: what only their async context knows. */
export interface Caller {
  readonly usage: DatabaseUsage | undefined
  readonly exemplar: Labels | undefined
}

/** A query under way. */
export interface Started {
  readonly operation: Operation
  /** Milliseconds of performance.now(). */
  readonly at: number
  readonly caller: Caller
}

const NOBODY: Caller = { usage: undefined, exemplar: undefined }

/** What pg-pool says when a caller has waited in its queue for as long as it would (pg-pool/index.js:219). */
const QUEUE_TIMEOUT = 'timeout exceeded when trying to connect'

/** Writes what happens to connections and queries to their metrics. What fails in it is reported, and reaches nobody else. */
export class Recorder {
  /** Whether anything is observed; false after undo. */
  active = true
  readonly alias: string
  readonly trouble: Trouble
  readonly #metrics: DatabaseMetrics
  /** Whoever waited for the connection that is being handed out right now. */
  #waiter: Caller | undefined

  constructor (scope: DatabaseScope) {
    this.alias = scope.alias ?? 'default'
    this.#metrics = new DatabaseMetrics(scope, this.alias, VENDOR)
    this.trouble = new Trouble(scope)
  }

  /** Now, in milliseconds. */
  now (): number {
    return performance.now()
  }

  connectionOpened (since?: number): void {
    this.#record(() => this.#metrics.connectionOpened(since === undefined ? undefined : secondsSince(since)))
  }

  connectionClosed (): void {
    this.#record(() => this.#metrics.connectionClosed())
  }

  connectionFailed (reason: unknown): void {
    this.#record(() => this.#metrics.connectionFailed(errorTypeOf(reason)))
  }

  /** On the path of every query the try is written out, here and below: a closure each costs more than what it guards. */
  connectionUsed (since: number): void {
    try {
      this.#metrics.connectionUsed(secondsSince(since))
    } catch (error) {
      this.trouble.report('pg', error)
    }
  }

  acquired (since: number, at: number): void {
    try {
      this.#metrics.acquired((at - since) / 1000)
    } catch (error) {
      this.trouble.report('pg', error)
    }
  }

  /** Connections that could not be made are counted where they are made. */
  acquireFailed (reason: unknown): void {
    this.#record(() => {
      if (reason instanceof Error && reason.message === QUEUE_TIMEOUT) this.#metrics.acquireTimedOut()
    })
  }

  /** Whoever is calling. */
  caller (): Caller {
    const usage = currentUsage()
    const exemplar = this.#metrics.exemplar()
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
      return { operation: operationOf(text), caller: this.#waiter ?? this.caller(), at: performance.now() }
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
      if (rows !== undefined) this.#metrics.rows(query.operation, rows)
    } catch (error) {
      this.trouble.report('pg', error)
    }
  }

  queryFailed (query: Started, reason: unknown, at: number): void {
    this.#record(() => {
      this.#ended(query, at)
      this.#metrics.queryFailed(errorTypeOf(reason))
    })
  }

  /** A query ended whose rows are counted apart. */
  queryEnded (query: Started, at: number): void {
    this.#record(() => this.#ended(query, at))
  }

  rows (query: Started, count: number): void {
    this.#record(() => this.#metrics.rows(query.operation, count))
  }

  #record (write: () => void): void {
    try {
      write()
    } catch (error) {
      this.trouble.report('pg', error)
    }
  }

  #ended ({ operation, at: start, caller: { usage, exemplar } }: Started, at: number): void {
    const seconds = (at - start) / 1000
    if (usage !== undefined) {
      usage.queries += 1
      usage.seconds += seconds
    }
    this.#metrics.query(operation, seconds, exemplar)
  }
}

function secondsSince (since: number): number {
  return (performance.now() - since) / 1000
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
