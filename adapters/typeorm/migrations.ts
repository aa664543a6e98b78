import { metric, type GaugeChild, type Scope } from '../../src/adapter.js'
import type { DataSourceLike } from './shapes.js'

/** The parts of a data source with which TypeORM's MigrationExecutor finds the executed migrations. */
interface MigrationsSource extends DataSourceLike {
  readonly options: DataSourceLike['options'] & { readonly migrationsTableName?: string }
  readonly driver: {
    readonly database?: string
    readonly options: { readonly schema?: string }
    /** The shared runner of a database with one connection. */
    readonly queryRunner?: object
    buildTableName (table: string, schema?: string, database?: string): string
    escape (column: string): string
  }
  readonly manager: { createQueryBuilder (runner: object): QueryBuilder }
  createQueryRunner (): MigrationsRunner
}

interface MigrationsRunner {
  hasTable (table: string): Promise<boolean>
  release (): Promise<void>
}

interface QueryBuilder {
  select (column: string, alias: string): QueryBuilder
  from (table: string, alias: string): QueryBuilder
  getRawMany (): Promise<Array<{ name: string }>>
}

/** The gauges of one data source's migrations. */
export class MigrationGauges {
  readonly #dataSource: MigrationsSource
  readonly #applied: GaugeChild
  readonly #pending: GaugeChild
  #reading = Promise.resolve()
  readonly #remove: () => void
  #removed = false

  constructor (dataSource: DataSourceLike, scope: Scope, alias: string) {
    this.#dataSource = dataSource as MigrationsSource
    const families = [metric('db_migrations_applied', scope), metric('db_migrations_pending', scope)] as const
    this.#applied = families[0].labels(alias)
    this.#pending = families[1].labels(alias)
    this.#remove = () => { for (const family of families) family.remove(alias) }
  }

  /** Reads the migrations, after any reading that is under way. Rejects with the database's error. */
  refresh (): Promise<void> {
    return (this.#reading = this.#reading.catch(() => {}).then(() => this.#read()))
  }

  /** Removes the series. */
  remove (): void {
    this.#removed = true
    this.#remove()
  }

  async #read (): Promise<void> {
    if (!this.#dataSource.isInitialized) return
    let executed: Set<string>
    try {
      executed = await executedMigrations(this.#dataSource)
    } catch (error) {
      // The data source was closed meanwhile, so the numbers are no longer needed.
      if (!this.#dataSource.isInitialized) return
      throw error
    }
    if (this.#removed) return
    const names = this.#dataSource.migrations.map((migration) => (migration as { name?: string }).name ?? migration.constructor.name)
    this.#applied.set(executed.size)
    this.#pending.set(names.filter((name) => !executed.has(name)).length)
  }
}

/**
 * The names of the migrations that the database has, found as MigrationExecutor.getExecutedMigrations finds them
 * (typeorm/migration/MigrationExecutor.js). It only reads, and does not make a missing table.
 */
async function executedMigrations (dataSource: MigrationsSource): Promise<Set<string>> {
  const { driver, options } = dataSource
  const name = options.migrationsTableName ?? 'migrations'
  const table = driver.buildTableName(name, driver.options.schema, driver.database)
  const runner = dataSource.createQueryRunner()
  try {
    if (!await runner.hasTable(table)) return new Set()
    const rows = await dataSource.manager.createQueryBuilder(runner).select(driver.escape('name'), 'name').from(table, name).getRawMany()
    return new Set(rows.map((row) => row.name))
  } finally {
    // On a shared runner, release() would clear what the runner remembers for its other users.
    if (driver.queryRunner !== runner) await runner.release()
  }
}
