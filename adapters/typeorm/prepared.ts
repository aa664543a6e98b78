import { pay, type Frame } from './frames.js'
import type { EventLike } from './shapes.js'

const PREPARE = /^\s*(?:prepare\s+transaction|xa\s+prepare)\s+(.+?)[\s;]*$/i
const END = /^\s*(?:(commit|rollback)\s+prepared|xa\s+(commit|rollback))\s+(.+?)(?:\s+one\s+phase)?[\s;]*$/i
/** Transactions that wait; one that another process ends is never heard of again. */
const MOST_WAITING = 1000

/** What was prepared, by the database and the name of the transaction. Several subscribers and data sources may know one database. */
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

/** Which transaction a statement ends that may have been prepared: COMMIT PREPARED and ROLLBACK PREPARED, XA COMMIT and XA ROLLBACK. */
export function preparedEndOf (statement: string): PreparedEnd | undefined {
  const end = END.exec(statement)
  if (end === null) return undefined
  const [, prepared, xa, name = ''] = end
  return { name, committed: (prepared ?? xa ?? '').toLowerCase() === 'commit' }
}

/** Keeps what a prepared transaction did, which its connection leaves. */
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

/** Counts what a prepared transaction did if it commits, and forgets it. False for one that is not known. */
export function endPrepared (event: EventLike, { name, committed }: PreparedEnd): boolean {
  const key = keyOf(event, name)
  const known = waiting.get(key)
  if (known === undefined) return false
  waiting.delete(key)
  if (committed) known.forEach(pay)
  return true
}

/** A coordinator may give the transactions of two databases one name. */
function keyOf ({ queryRunner }: EventLike, name: string): string {
  const { databaseConnection } = queryRunner as { databaseConnection?: Server & { config?: Server } }
  const { host, port, database } = databaseConnection?.config ?? databaseConnection ?? {}
  return [host, port, database, name.replace(/\s/g, '')].join(' ')
}

/** Where a client of pg, or the `config` of one of mysql2, is connected to. */
interface Server {
  host?: unknown
  port?: unknown
  database?: unknown
}
