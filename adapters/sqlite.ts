import { DATABASE_DEFAULTS, DatabaseRecorder, MetricsError, Observed, describeTarget, holds, readDatabaseScope, type DatabaseScope } from '../src/adapter.js'
import { observeDatabase } from './sqlite/database.js'
import { isMaker, makerOf, type Maker } from './sqlite/driver.js'

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

function observe (database: Maker, scope: DatabaseScope): () => void {
  const recorder = new DatabaseRecorder(scope, 'sqlite', 'sqlite')
  const maker = makerOf(database)
  const restores = [observeDatabase(maker, recorder), show(new WeakRef(maker), recorder)]
  return observed.add(database, scope, () => { for (const restore of restores) restore() })
}

/** Shows the queries under way for as long as the database is there. It has a scope of its own, which does not keep the database. */
function show (maker: WeakRef<Maker>, recorder: DatabaseRecorder): () => void {
  return recorder.show(() => maker.deref() !== undefined)
}

function isDatabase (value: unknown): value is Maker {
  return typeof value === 'object' && value !== null && holds(() => isMaker(value))
}
