import { dataSourceOf, type EventLike, type QueryResultEventLike } from './shapes.js'

/** Flags of the session in an OK packet of MySQL's protocol: SERVER_STATUS_IN_TRANS, SERVER_STATUS_AUTOCOMMIT. */
const IN_TRANSACTION = 1
const AUTOCOMMIT = 2

/** Drivers of MySQL's family that answer with OK packets. */
export const MYSQL: ReadonlySet<string> = new Set(['mysql', 'mariadb', 'aurora-mysql'])
export const SQLITE: ReadonlySet<string> =
  new Set(['sqlite', 'better-sqlite3', 'sqljs', 'cordova', 'expo', 'react-native', 'nativescript', 'capacitor'])
export const POSTGRES: ReadonlySet<string> = new Set(['postgres', 'aurora-postgres', 'cockroachdb'])

/**
 * Errors after which InnoDB has rolled back the whole transaction: a deadlock, a full table of locks, a record changed
 * under a snapshot (MariaDB), an XA branch that was rolled back. A lock wait timeout, 1205, rolls back only its
 * statement, unless innodb_rollback_on_timeout is set.
 */
const ROLLED_BACK = new Set<unknown>([1213, 1206, 1020, 1613, 1614])
const PARSE_ERROR = 1064

/**
 * Asks the driver whether the connection of a runner is in a transaction: pg's getTransactionStatus() (from 8.19 on)
 * and better-sqlite3's `inTransaction`. Undefined when the driver cannot tell.
 */
export function inTransaction (event: EventLike): boolean | undefined {
  const { driver } = dataSourceOf(event)
  const { inTransaction: open } = (driver as { databaseConnection?: { inTransaction?: unknown } }).databaseConnection ?? {}
  if (typeof open === 'boolean') return open
  const client = (event.queryRunner as { databaseConnection?: { getTransactionStatus?: () => unknown } }).databaseConnection
  const status = client?.getTransactionStatus?.()
  return typeof status === 'string' ? status !== 'I' : undefined
}

/**
 * The session's state, read from MySQL's answer to a statement. `autocommit` is false when every statement is in a
 * transaction.
 */
export function sessionOf (event: QueryResultEventLike): { inTransaction: boolean, autocommit: boolean } | undefined {
  const raw = event.rawResults
  // For several statements, the last answer that has a status.
  const header: unknown = areSeveral(raw, 'mysql') ? raw.filter(hasStatus).pop() : raw
  if (!hasStatus(header)) return undefined
  const { serverStatus: status } = header
  return { inTransaction: (status & IN_TRANSACTION) !== 0, autocommit: (status & AUTOCOMMIT) !== 0 }
}

/**
 * Whether the results are of several statements in one text: pg gives an array of results, mysql2 an array of headers
 * and rows.
 */
export function areSeveral (rawResults: unknown, type: string): rawResults is unknown[] {
  if (!Array.isArray(rawResults)) return false
  return POSTGRES.has(type) || (MYSQL.has(type) && (Array.isArray(rawResults[0]) || hasStatus(rawResults[0])))
}

function hasStatus (result: unknown): result is { serverStatus: number } {
  return typeof (result as { serverStatus?: unknown } | null | undefined)?.serverStatus === 'number'
}

/** Whether the session of a runner began with autocommit off, according to the server's handshake. */
export function beganWithoutAutocommit ({ queryRunner }: EventLike): boolean {
  const { databaseConnection } = queryRunner as { databaseConnection?: { _handshakePacket?: { statusFlags?: unknown } } }
  const flags = databaseConnection?._handshakePacket?.statusFlags
  return typeof flags === 'number' && (flags & AUTOCOMMIT) === 0
}

/**
 * What a failed statement does to its transaction; undefined when the transaction goes on, or when that is not known.
 */
export function endedByFailure ({ query, error }: QueryResultEventLike, type: string): 'committed' | 'rolledBack' | undefined {
  const { errno, fatal, message } = (error ?? {}) as { errno?: unknown, fatal?: unknown, message?: unknown }
  if (MYSQL.has(type)) {
    if (ROLLED_BACK.has(errno) || fatal === true) return 'rolledBack'
    // The statement committed before it failed. But a statement with a parse error never began, so it commits nothing.
    return errno !== PARSE_ERROR && commitsImplicitly(query, type) ? 'committed' : undefined
  }
  if (!SQLITE.has(type)) return undefined
  return /\bor\s+rollback\b/i.test(query) || /\bno transaction is active\b/.test(String(message)) ? 'rolledBack' : undefined
}

const DDL = /^\W*(?:create|alter|drop|truncate|rename|grant|revoke|analyze|optimize|repair|lock\s+tables)\b/i
const TEMPORARY = /^\W*(?:create|drop)\s+(?:or\s+replace\s+)?temporary\b/i

/** Whether a statement commits its own transaction: DDL of MySQL (manual, 13.3.3) and Oracle. */
export function commitsImplicitly (query: string, type: string): boolean {
  return (MYSQL.has(type) || type === 'oracle') && DDL.test(query) && !TEMPORARY.test(query)
}
