import { countFrames, type Frame } from './frames.js'
import type { EventLike } from './shapes.js'

const PREPARE = /^\s*(?:prepare\s+transaction|xa\s+prepare)\s+(.+?)[\s;]*$/i
const END = /^\s*(?:(commit|rollback)\s+prepared|xa\s+(commit|rollback))\s+(.+?)(?:\s+one\s+phase)?[\s;]*$/i
/** The most prepared transactions to keep: when another process ends one, this process is never told. */
const MOST_WAITING = 1000

/**
 * The frames of prepared transactions, by the database and the transaction's name. Several subscribers and data sources
 * may use one database.
 */
const waiting = new Map<string, Frame[][]>()

/** How a prepared transaction ends. */
export interface PreparedEnd {
  readonly name: string
  readonly committed: boolean
}

/** The name of the transaction that a statement prepares: PREPARE TRANSACTION of PostgreSQL, XA PREPARE of MySQL. */
export function preparedBy (statement: string): string | undefined {
  return PREPARE.exec(statement)?.[1]
}

/**
 * The transaction that a statement ends and that may have been prepared: COMMIT PREPARED and ROLLBACK PREPARED, XA
 * COMMIT and XA ROLLBACK.
 */
export function preparedEndOf (statement: string): PreparedEnd | undefined {
  const end = END.exec(statement)
  if (end === null) return undefined
  const [, prepared, xa, name = ''] = end
  return { name, committed: (prepared ?? xa ?? '').toLowerCase() === 'commit' }
}

/** Keeps the frames of a prepared transaction, which is no longer bound to its connection. */
export function keepPrepared (event: EventLike, name: string, frames: Frame[]): void {
  const key = keyOf(event, name)
  const known = waiting.get(key)
  if (known !== undefined) {
    known.push(frames)
    return
  }
  const [oldest] = waiting.keys()
  if (waiting.size >= MOST_WAITING && oldest !== undefined) waiting.delete(oldest)
  waiting.set(key, [frames])
}

/**
 * Forgets a prepared transaction, and counts its frames if it commits.
 * @returns false for a transaction that is not known
 */
export function endPrepared (event: EventLike, { name, committed }: PreparedEnd): boolean {
  const key = keyOf(event, name)
  const known = waiting.get(key)
  if (known === undefined) return false
  waiting.delete(key)
  if (committed) known.forEach(countFrames)
  return true
}

/** A coordinator may give transactions of two databases the same name, so the key has the database too. */
function keyOf ({ queryRunner }: EventLike, name: string): string {
  const { databaseConnection } = queryRunner as { databaseConnection?: Server & { config?: Server } }
  const { host, port, database } = databaseConnection?.config ?? databaseConnection ?? {}
  return [host, port, database, name.replace(/\s/g, '')].join(' ')
}

/** The server that a pg client, or a mysql2 connection in its `config`, is connected to. */
interface Server {
  host?: unknown
  port?: unknown
  database?: unknown
}
