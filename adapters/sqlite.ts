import { MetricsError, describeTarget, holds, readDatabaseScope, type DatabaseScope } from '../src/adapter.js'
import { isMaker, type Maker } from './sqlite/driver.js'
import { observe, observed } from './sqlite/instrument.js'

/** A Database of better-sqlite3, or a DatabaseSync of node:sqlite, known by its shape. */
export interface SqliteLike {
  prepare (sql: string): unknown
  exec (sql: string): unknown
  close (): unknown
}

/** Options of instrumentSqlite: `alias`, `buckets`, `registry`, `prefix`, `maxSeries`, `nativeHistograms`, `exemplars`. */
export type SqliteOptions = DatabaseScope

/**
 * Observes a database of better-sqlite3 or of node:sqlite: the connection, what the database executes, and the
 * statements that it prepares from now on, those of `pragma` and `transaction` among them. Call it where the database is
 * opened: a statement, or a function of `transaction`, that is there already is not observed. Neither are backups,
 * `serialize`, and changesets. There is no pool, so the metrics of pools are absent.
 * @returns a function that restores the database. The first call for a database counts. A later call without options, or
 * with the same options, returns the same function. A later call with other options warns (FP_WARN_OBSERVED_ALREADY) and
 * returns a function that does nothing
 * @throws MetricsError FP_ERR_INVALID_TARGET, FP_ERR_INVALID_OPTION, FP_ERR_METRIC_CONFLICT
 */
export function instrumentSqlite (database: SqliteLike, options: SqliteOptions = {}): () => void {
  const scope = readDatabaseScope('instrumentSqlite', options)
  if (!isDatabase(database)) {
    throw new MetricsError('FP_ERR_INVALID_TARGET', `instrumentSqlite expects a Database of better-sqlite3 or a DatabaseSync of node:sqlite, got ${describeTarget(database)}`)
  }
  return observed.again('instrumentSqlite', database, scope) ?? observe(database, scope)
}

function isDatabase (value: unknown): value is Maker {
  return typeof value === 'object' && value !== null && holds(() => isMaker(value))
}
