import { DATABASE_DEFAULTS, DatabaseRecorder, MetricsError, Observed, describeTarget, holds, readDatabaseScope, shadowMethod, type DatabaseScope } from '../src/adapter.js'
import { isMaker, isOpen, makerOf, type Database } from './sqlite/driver.js'
import { observeStatements } from './sqlite/statements.js'

/** A Database of better-sqlite3, or a DatabaseSync of node:sqlite, known by its shape. */
export interface SqliteLike {
  prepare (sql: string): unknown
  exec (sql: string): unknown
  close (): unknown
}

/** Options of instrumentSqlite: `alias`, `buckets`, `registry`, `prefix`, `maxSeries`, `nativeHistograms`, `exemplars`. */
export type SqliteOptions = DatabaseScope

const observed = new Observed<DatabaseScope>('sqlite', 'a database', DATABASE_DEFAULTS)

/**
 * Observes a database of better-sqlite3 or of node:sqlite: the statements that it prepares from now on, and what it
 * executes. It has no pool, so the metrics of pools are absent.
 * @returns a function that restores it. The first call for a database counts. A later call without options, or with the
 * same options, returns the same function. A later call with other options warns (FP_WARN_OBSERVED_ALREADY) and returns
 * a function that does nothing
 * @throws MetricsError FP_ERR_INVALID_TARGET, FP_ERR_INVALID_OPTION, FP_ERR_METRIC_CONFLICT
 */
export function instrumentSqlite (database: SqliteLike, options: SqliteOptions = {}): () => void {
  const scope = readDatabaseScope('instrumentSqlite', options)
  if (!isDatabase(database)) {
    throw new MetricsError('FP_ERR_INVALID_TARGET', `instrumentSqlite expects a Database of better-sqlite3 or a DatabaseSync of node:sqlite, got ${describeTarget(database)}`)
  }
  return observed.again('instrumentSqlite', database, scope) ?? observe(database, scope)
}

function observe (database: Database, scope: DatabaseScope): () => void {
  const recorder = new DatabaseRecorder(scope, 'sqlite', 'sqlite')
  const shown = new WeakRef(database)
  if (isOpen(database)) recorder.connectionOpened()
  const restores = [
    observeStatements(makerOf(database), recorder),
    shadowMethod(database, 'close', (close) => function (...args) {
      const wasOpen = isOpen(database)
      const result = Reflect.apply(close, this, args)
      if (wasOpen && recorder.active) recorder.connectionClosed()
      return result
    }),
    recorder.show(() => shown.deref() !== undefined)
  ]
  return observed.add(database, scope, () => {
    recorder.active = false
    for (const restore of restores) restore()
  })
}

function isDatabase (value: unknown): value is Database {
  return typeof value === 'object' && value !== null && holds(() => isMaker(value) && typeof (value as Partial<Database>).close === 'function')
}
