import { dataSourceOf, type EventLike, type QueryResultEventLike } from './shapes.js'

/** Of MySQL's protocol: what an OK packet says of the session (SERVER_STATUS_IN_TRANS, SERVER_STATUS_AUTOCOMMIT). */
const IN_TRANSACTION = 1
const AUTOCOMMIT = 2

/** Drivers of MySQL's family that answer with OK packets. */
export const MYSQL: ReadonlySet<string> = new Set(['mysql', 'mariadb', 'aurora-mysql'])
export const SQLITE: ReadonlySet<string> =
  new Set(['sqlite', 'better-sqlite3', 'sqljs', 'cordova', 'expo', 'react-native', 'nativescript', 'capacitor'])
export const POSTGRES: ReadonlySet<string> = new Set(['postgres', 'aurora-postgres', 'cockroachdb'])

/**
 * InnoDB has rolled back the whole transaction: a deadlock, the table of locks is full, a record changed under a snapshot (MariaDB),
 * an XA branch that was rolled back. A lock wait timeout, 1205, rolls back its statement alone, unless innodb_rollback_on_timeout is set.
 */
const ROLLED_BACK = new Set<unknown>([1213, 1206, 1020, 1613, 1614])
const PARSE_ERROR = 1064

/**
 * Whether the connection of a runner is in a transaction, asked of the driver: pg's getTransactionStatus() (from 8.19 on) and better-sqlite3's `inTransaction`.
 * Undefined where the driver cannot be asked.
 */
export function inTransaction (event: EventLike): boolean | undefined {
  const { driver } = dataSourceOf(event)
  const { inTransaction: open } = (driver as { databaseConnection?: { inTransaction?: unknown } }).databaseConnection ?? {}
  if (typeof open === 'boolean') return open
  const client = (event.queryRunner as { databaseConnection?: { getTransactionStatus?: () => unknown } }).databaseConnection
  const status = client?.getTransactionStatus?.()
  return typeof status === 'string' ? status !== 'I' : undefined
}

/** The same, in what a statement of MySQL was answered; `autocommit` is false where every statement is in a transaction. */
export function sessionOf (event: QueryResultEventLike): { inTransaction: boolean, autocommit: boolean } | undefined {
  const raw = event.rawResults
  // Of several statements, the last that was answered so.
  const header: unknown = areSeveral(raw, 'mysql') ? raw.filter(hasStatus).pop() : raw
  if (!hasStatus(header)) return undefined
  const { serverStatus: status } = header
  return { inTransaction: (status & IN_TRANSACTION) !== 0, autocommit: (status & AUTOCOMMIT) !== 0 }
}

/** Whether it is what several statements of one text gave: pg gives an array of results, mysql2 one of headers and rows. */
export function areSeveral (rawResults: unknown, type: string): rawResults is unknown[] {
  if (!Array.isArray(rawResults)) return false
  return POSTGRES.has(type) || (MYSQL.has(type) && (Array.isArray(rawResults[0]) || hasStatus(rawResults[0])))
}

function hasStatus (result: unknown): result is { serverStatus: number } {
  return typeof (result as { serverStatus?: unknown } | null | undefined)?.serverStatus === 'number'
}

/** Whether the session of a runner began with autocommit switched off, as the server said when it was made. */
export function beganWithoutAutocommit ({ queryRunner }: EventLike): boolean {
  const { databaseConnection } = queryRunner as { databaseConnection?: { _handshakePacket?: { statusFlags?: unknown } } }
  const flags = databaseConnection?._handshakePacket?.statusFlags
  return typeof flags === 'number' && (flags & AUTOCOMMIT) === 0
}

/** What becomes of the transaction when a statement fails; undefined where it goes on, or that is not known. */
export function endedByFailure ({ query, error }: QueryResultEventLike, type: string): 'committed' | 'rolledBack' | undefined {
  const { errno, fatal, message } = (error ?? {}) as { errno?: unknown, fatal?: unknown, message?: unknown }
  if (MYSQL.has(type)) {
    if (ROLLED_BACK.has(errno) || fatal === true) return 'rolledBack'
    // It had committed before it failed, but was not even begun where it could not be read.
    return errno !== PARSE_ERROR && commitsImplicitly(query, type) ? 'committed' : undefined
  }
  if (!SQLITE.has(type)) return undefined
  return /\bor\s+rollback\b/i.test(query) || /\bno transaction is active\b/.test(String(message)) ? 'rolledBack' : undefined
}

const DDL = /^\W*(?:create|alter|drop|truncate|rename|grant|revoke|analyze|optimize|repair|lock\s+tables)\b/i
const TEMPORARY = /^\W*(?:create|drop)\s+(?:or\s+replace\s+)?temporary\b/i

/** Whether a statement commits the transaction that it is in: DDL of MySQL (manual, 13.3.3) and Oracle. */
export function commitsImplicitly (query: string, type: string): boolean {
  return (MYSQL.has(type) || type === 'oracle') && DDL.test(query) && !TEMPORARY.test(query)
}
