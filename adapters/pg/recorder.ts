import { type Activity, DatabaseRecorder, type DatabaseScope, type Query } from '../../src/adapter.js'
import type { Client, Submittable } from './driver.js'

/** pg-pool's message when a caller has waited in its queue until the timeout (pg-pool/index.js, connect). */
const QUEUE_TIMEOUT = 'timeout exceeded when trying to connect'
/**
 * The messages of pg-pool and pg when a connection did not open in time (pg-pool/index.js, newClient; pg/lib/client.js,
 * _connect).
 */
const CONNECT_TIMEOUTS = new Set(['Connection terminated due to connection timeout', 'timeout expired'])

/** Writes what happens to the connections and queries of pg. */
export class Recorder extends DatabaseRecorder {
  /** The client whose own method is running: that method may call the method of its class. */
  within: unknown

  constructor (scope: DatabaseScope) {
    super(scope, 'postgresql', 'pg')
  }

  /** @returns whether the caller has waited until its timeout because the pool was exhausted */
  waitFailed (wait: Activity, reason: unknown): boolean {
    const message = reason instanceof Error ? reason.message : ''
    const isExhausted = message === QUEUE_TIMEOUT
    this.acquireFailed(wait, isExhausted ? 'exhausted' : CONNECT_TIMEOUTS.has(message))
    return isExhausted
  }

  /** A query is about to be sent; undefined when that cannot be recorded. */
  sent (client: Client, query: Submittable | string | { text?: unknown, name?: unknown }): Query | undefined {
    try {
      return this.queryStarted(typeof query === 'string' ? query : textOf(client, query), client)
    } catch (error) {
      this.report(error)
      return undefined
    }
  }

  /** @param result pg's Result, or an array of them for several statements */
  answered (query: Query, result: unknown): void {
    this.querySucceeded(query, rowsOf(result))
  }
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
