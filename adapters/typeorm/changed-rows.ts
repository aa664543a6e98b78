import type { Operation } from '../../src/database/operation.js'
import { dataSourceOf, type DataSourceLike, type QueryResultEventLike } from './shapes.js'

/** What TypeORM's connection of SQLite is, as far as it is asked here. */
interface SqliteConnection {
  /** sql.js: sqlite3_changes(). */
  getRowsModified?: () => number
  /** better-sqlite3 */
  prepare?: (sql: string) => { pluck?: () => { get: () => unknown } }
}

/** How to ask a connection of better-sqlite3; prepared once, as that takes longer than asking. */
const changesOf = new WeakMap<object, () => unknown>()

/**
 * Rows that a statement has inserted, updated or deleted; undefined where the driver does not say.
 * Triggers' and cascades' own changes are in none of these. PostgreSQL: the command tag, `rowCount`. mysql2: `affectedRows`, which is
 * rows matched by an UPDATE (TypeORM leaves the flag FOUND_ROWS on) and twice a row that ON DUPLICATE KEY UPDATE changed; with RETURNING
 * the rows themselves. SQLite: sqlite3_changes(), asked at once, before another statement runs. Oracle, React Native, Expo: `rowsAffected`.
 * SQL Server: `rowsAffected`, one for each statement of the text. SAP: the number itself. Spanner: `rowCountExact`.
 */
export function changedRowsOf (event: QueryResultEventLike, operation: Operation): number | undefined {
  if (typeof event.affected === 'number') return event.affected
  const { rawResults: raw } = event
  const dataSource = dataSourceOf(event)
  switch (dataSource.options.type) {
    case 'postgres':
    case 'cockroachdb':
      return numberOf((raw as { rowCount?: unknown } | null)?.rowCount)
    case 'mysql':
    case 'mariadb':
      return Array.isArray(raw) ? rowsReturned(raw) : rowsWritten(raw as Partial<ResultSetHeader> | null, operation)
    case 'sqljs':
    case 'better-sqlite3':
      return changes(dataSource)
    case 'spanner':
      return Array.isArray(raw) ? numberOf(Number((raw[1] as { rowCountExact?: unknown } | undefined)?.rowCountExact)) : undefined
    case 'sap':
      return numberOf(raw)
    default: {
      const affected = (raw as { rowsAffected?: unknown } | null | undefined)?.rowsAffected
      return numberOf(Array.isArray(affected) && affected.length === 1 ? affected[0] : affected)
    }
  }
}

/** Of mysql2. */
interface ResultSetHeader {
  affectedRows: number
  /** 'Records: 3  Duplicates: 2  Warnings: 0' where several rows were given. */
  info: string
}

/** A row that INSERT ... ON DUPLICATE KEY UPDATE changes is 2 affected rows, and one of the records; of one row alone nothing is said of records. */
function rowsWritten (header: Partial<ResultSetHeader> | null, operation: Operation): number | undefined {
  const affected = numberOf(header?.affectedRows)
  if (affected === undefined || operation !== 'insert') return affected
  const records = /^Records: (\d+) /.exec(header?.info ?? '')
  return Math.min(affected, records === null ? 1 : Number(records[1]))
}

/** Rows of a RETURNING; what several statements of one text gave is not told apart. */
function rowsReturned (raw: readonly unknown[]): number | undefined {
  const [first] = raw as [Partial<ResultSetHeader> | unknown[] | undefined]
  return Array.isArray(first) || typeof first?.affectedRows === 'number' ? undefined : raw.length
}

function changes ({ driver }: DataSourceLike): number | undefined {
  const { databaseConnection: connection, options } = driver as { databaseConnection?: SqliteConnection, options?: { verbose?: unknown } }
  if (connection?.getRowsModified !== undefined) return numberOf(connection.getRowsModified())
  // The application's `verbose` would be told of a query that it did not make.
  if (connection?.prepare === undefined || typeof options?.verbose === 'function') return undefined
  let ask = changesOf.get(connection)
  if (ask === undefined) {
    const statement = connection.prepare('SELECT changes()').pluck?.()
    if (statement === undefined) return undefined
    changesOf.set(connection, ask = () => statement.get())
  }
  return numberOf(Number(ask()))
}

function numberOf (value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined
}
