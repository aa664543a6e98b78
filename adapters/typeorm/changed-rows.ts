import type { Operation } from '../../src/adapter.js'
import { dataSourceOf, type DataSourceLike, type QueryResultEventLike } from './shapes.js'

/** The parts of TypeORM's SQLite connection that are used here. */
interface SqliteConnection {
  /** sql.js: sqlite3_changes(). */
  getRowsModified?: () => number
  /** better-sqlite3 */
  prepare?: (sql: string) => { pluck?: () => { get: () => unknown } }
}

/**
 * The function that asks a better-sqlite3 connection. Its statement is prepared once, because that takes longer than
 * asking.
 */
const changesOf = new WeakMap<object, () => unknown>()

/**
 * Rows that a statement has inserted, updated or deleted; undefined when the driver does not say. Changes by triggers
 * and cascades are in none of these numbers. PostgreSQL: the command tag, `rowCount`. mysql2: `affectedRows`. For an
 * UPDATE these are the rows matched (TypeORM leaves the flag FOUND_ROWS on); a row that ON DUPLICATE KEY UPDATE changed
 * counts twice; with RETURNING the rows themselves are given. SQLite: sqlite3_changes(), asked at once, before another
 * statement runs. Oracle, React Native, Expo: `rowsAffected`. SQL Server: `rowsAffected`, one number for each statement
 * of the text. SAP: the number itself. Spanner: `rowCountExact`.
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
      return readChanges(dataSource)
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

/** mysql2's answer to a statement without rows. */
interface ResultSetHeader {
  affectedRows: number
  /** 'Records: 3  Duplicates: 2  Warnings: 0' when the statement gave several rows. */
  info: string
}

/**
 * A row that INSERT ... ON DUPLICATE KEY UPDATE changes is 2 affected rows, but one record. For a single row the server
 * does not give the number of records.
 */
function rowsWritten (header: Partial<ResultSetHeader> | null, operation: Operation): number | undefined {
  const affected = numberOf(header?.affectedRows)
  if (affected === undefined || operation !== 'insert') return affected
  const records = /^Records: (\d+) /.exec(header?.info ?? '')
  return Math.min(affected, records === null ? 1 : Number(records[1]))
}

/** Rows of a RETURNING; undefined for the results of several statements in one text, which cannot be told apart. */
function rowsReturned (raw: readonly unknown[]): number | undefined {
  const [first] = raw as [Partial<ResultSetHeader> | unknown[] | undefined]
  return Array.isArray(first) || typeof first?.affectedRows === 'number' ? undefined : raw.length
}

function readChanges ({ driver }: DataSourceLike): number | undefined {
  const { databaseConnection: connection, options } = driver as { databaseConnection?: SqliteConnection, options?: { verbose?: unknown } }
  if (connection?.getRowsModified !== undefined) return numberOf(connection.getRowsModified())
  // better-sqlite3 would pass our query to the application's `verbose`, and the application did not make it.
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
