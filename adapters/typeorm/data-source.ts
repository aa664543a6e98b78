import { DatabaseMetrics, readDatabaseScope, type DatabaseScope } from '../../src/database/metrics.js'
import { MetricsError, invalidOption } from '../../src/errors.js'
import { readKnown } from '../../src/given.js'
import { SCOPE_OPTIONS } from '../../src/scope.js'
import { shadowMethod, type Method } from '../../src/shadow.js'
import { databaseSpellings } from '../../src/spellings.js'
import { Trouble } from '../../src/trouble.js'
import { instrumentPool, type PgPoolLike } from '../pg.js'
import { describeTarget } from '../pg/mistaken.js'
import { MigrationGauges } from './migrations.js'
import type { ModelTarget } from './models.js'
import { Pools } from './pools.js'
import { querySubscriber } from './queries.js'
import { isDataSource, type DataSourceLike } from './shapes.js'
import { claimsOf, modelOpsSubscriber, type ModelOpsOptions } from './subscriber.js'

/** The options of instrumentDataSource. */
export interface InstrumentDataSourceOptions extends DatabaseScope {
  /** Whether db_migrations_applied and db_migrations_pending are read, which takes two small queries. Default: true. */
  migrations?: boolean | undefined
  /** Models whose operations to count, as `modelOpsSubscriber` takes them; kept through every initialize. Default: none. */
  models?: ModelTarget | readonly ModelTarget[] | undefined
  /** When an operation of a model counts. Default: 'committed'. */
  count?: ModelOpsOptions['count']
}

const INSTRUMENTED = Symbol.for('fastify-prometheus.data-source')
/** What instrumentPool leaves on a pool. */
const POOL_UNDO = Symbol.for('fastify-prometheus.pg.undo')
const VENDORS = new Map([
  ['postgres', 'postgresql'], ['aurora-postgres', 'postgresql'], ['cockroachdb', 'cockroachdb'], ['mysql', 'mysql'], ['aurora-mysql', 'mysql'],
  ['mariadb', 'mariadb'], ['mssql', 'mssql'], ['oracle', 'oracle'], ['sap', 'sap'], ['spanner', 'spanner'], ['mongodb', 'mongodb'],
  ...['sqlite', 'better-sqlite3', 'sqljs', 'cordova', 'expo', 'react-native', 'nativescript', 'capacitor'].map((type) => [type, 'sqlite'] as const)
])
/** Their connections come from pools of `pg`. */
const POOLED = new Set(['postgres', 'cockroachdb'])

/**
 * Measures a TypeORM data source, before or after its `initialize()` and through every later one. On PostgreSQL and CockroachDB
 * its pools are instrumented as `instrumentPool` does, the primary's under the alias, the replicas' under `<alias>-replica-1` and
 * on; a pool that is instrumented already stays as it is. On other drivers TypeORM's query events are measured, which leave out
 * `.stream()`. Its migrations are counted before `initialize()` resolves, after `runMigrations()` and `undoLastMigration()`, and
 * at `refreshMigrations(dataSource)`; not on MongoDB. Give each data source an alias of its own.
 * @returns puts everything back; the same function for a data source that is instrumented already
 * @throws MetricsError FP_ERR_INVALID_TARGET, FP_ERR_INVALID_OPTION, FP_ERR_METRIC_CONFLICT, and FP_ERR_UNKNOWN_MODEL where the
 * data source is initialized and one of `models` is none of its entities
 */
export function instrumentDataSource (dataSource: DataSourceLike, options: InstrumentDataSourceOptions = {}): () => void {
  if (!isDataSource(dataSource)) {
    throw new MetricsError('FP_ERR_INVALID_TARGET', `instrumentDataSource needs a TypeORM DataSource, got ${describeTarget(dataSource)}`)
  }
  return (instrumentationOf(dataSource) ?? new Instrumentation(dataSource, readOptions(options))).undo
}

/**
 * Reads the migrations of a data source again, for when something else than this process runs them. A reading that fails is
 * reported as trouble of instrumentation, and leaves the gauges as they are.
 * @throws MetricsError FP_ERR_INVALID_TARGET for a data source that is not instrumented
 */
export async function refreshMigrations (dataSource: DataSourceLike): Promise<void> {
  const instrumentation = isDataSource(dataSource) ? instrumentationOf(dataSource) : undefined
  if (instrumentation === undefined) {
    const got = isDataSource(dataSource) ? 'one that it was not: call instrumentDataSource(dataSource) first' : describeTarget(dataSource)
    throw new MetricsError('FP_ERR_INVALID_TARGET', `refreshMigrations needs a data source that instrumentDataSource was given, got ${got}`)
  }
  await instrumentation.refresh()
}

/** What is done to one data source. */
class Instrumentation {
  /** Puts everything back. */
  readonly undo = (): void => { this.#undo() }
  readonly #dataSource: DataSourceLike
  /** Ours, that stand in front of the data source's. */
  readonly #subscribers: readonly object[]
  readonly #pools: Pools<PgPoolLike> | undefined
  readonly #migrations: MigrationGauges | undefined
  readonly #trouble: Trouble
  readonly #restores: ReadonlyArray<() => void>
  #active = true
  #initializing = false

  constructor (dataSource: DataSourceLike, { scope, migrations, models, count }: Options) {
    const { type } = dataSource.options
    const { alias = 'default', registry, prefix, maxSeries } = scope
    const operations = models === undefined ? undefined : modelOpsSubscriber(models, { registry, prefix, maxSeries, count })
    const [unknown] = operations !== undefined && dataSource.isInitialized ? claimsOf(operations)?.unknown(dataSource) ?? [] : []
    if (unknown !== undefined) throw unknown
    const trouble = new Trouble(scope)
    const queries = POOLED.has(type) ? undefined : querySubscriber(new DatabaseMetrics(scope, alias, VENDORS.get(type) ?? 'other', false), trouble)

    this.#dataSource = dataSource
    this.#trouble = trouble
    this.#subscribers = [queries, operations].filter((subscriber) => subscriber !== undefined)
    this.#migrations = migrations && type !== 'mongodb' ? new MigrationGauges(dataSource, scope, alias) : undefined
    this.#pools = queries !== undefined ? undefined : this.#poolsOf(scope, alias)
    const refresh = (): Promise<void> | undefined => this.#initializing ? undefined : this.refresh()
    this.#restores = [
      shadowMethod(dataSource, 'initialize', (initialize) => this.#initialize(initialize)),
      shadowMethod(dataSource, 'buildMetadatas', (buildMetadatas) => after(buildMetadatas, () => { this.#attach() })),
      shadowMethod(dataSource, 'runMigrations', (runMigrations) => after(runMigrations, refresh, refresh)),
      shadowMethod(dataSource, 'undoLastMigration', (undoLastMigration) => after(undoLastMigration, refresh, refresh))
    ]
    Object.defineProperty(dataSource, INSTRUMENTED, { value: this, configurable: true })
    if (dataSource.isInitialized) {
      this.#attach()
      this.refresh().catch(() => {})
    }
  }

  /** Never rejects. */
  async refresh (): Promise<void> {
    if (!this.#active || !this.#dataSource.isInitialized) return
    try {
      await this.#migrations?.refresh()
    } catch (error) {
      this.#trouble.report('typeorm migrations', error)
    }
  }

  #poolsOf (scope: DatabaseScope, alias: string): Pools<PgPoolLike> {
    return new Pools<PgPoolLike>(
      this.#dataSource.driver,
      (pool, replica) => {
        // What the application instrumented itself is its own to undo.
        if (POOL_UNDO in pool) return () => {}
        return instrumentPool(pool, { ...scope, alias: replica === undefined ? alias : `${alias}-replica-${replica + 1}` })
      },
      (error) => { this.#trouble.report('typeorm pools', error) }
    )
  }

  #initialize (initialize: Method): Method {
    const starting = (): void => { this.#initializing = true }
    const initialized = after(initialize, () => {
      this.#initializing = false
      this.#attach()
      this.#pools?.instrumentMade()
      return this.refresh()
    }, () => { this.#initializing = false })
    return function (...args) {
      starting()
      return initialized.apply(this, args)
    }
  }

  /**
   * TypeORM makes the array of subscribers anew at each initialize, before it runs migrations and synchronizes. Ours are the
   * first in it, so that one that throws does not hide an event from them.
   */
  #attach (): void {
    if (!this.#active) return
    try {
      const present = this.#dataSource.subscribers as object[]
      present.unshift(...this.#subscribers.filter((subscriber) => !present.includes(subscriber)))
      for (const subscriber of present) claimsOf(subscriber)?.learn(this.#dataSource)
    } catch (error) {
      this.#trouble.report('typeorm subscribers', error)
    }
  }

  #undo (): void {
    if (!this.#active) return
    this.#active = false
    for (const restore of this.#restores) restore()
    this.#pools?.undo()
    const present = this.#dataSource.subscribers as object[]
    for (const subscriber of this.#subscribers) if (present.includes(subscriber)) present.splice(present.indexOf(subscriber), 1)
    this.#migrations?.remove()
    Reflect.deleteProperty(this.#dataSource, INSTRUMENTED)
  }
}

/**
 * A method that does more once its promise has settled, and settles as it did after that: one chain, so a rejection that nobody
 * handles stays one and keeps its async stack. What comes after must not throw.
 */
function after (method: Method, fulfilled: () => void | Promise<void>, rejected: () => void | Promise<void> = () => {}): Method {
  return function (...args) {
    const settling = method.apply(this, args)
    if (!(settling instanceof Promise)) return settling
    return settling.then(
      (value: unknown) => afterwards(fulfilled(), () => value),
      (error: unknown) => afterwards(rejected(), () => { throw error })
    )
  }
}

function afterwards<R> (more: void | Promise<void>, then: () => R): R | Promise<R> {
  return more instanceof Promise ? more.then(then) : then()
}

interface Options {
  scope: DatabaseScope
  migrations: boolean
  models: ModelTarget | readonly ModelTarget[] | undefined
  count: ModelOpsOptions['count']
}

const OPTIONS = ['alias', 'buckets', 'migrations', 'models', 'count', ...SCOPE_OPTIONS]

function readOptions (given: unknown): Options {
  const options = readKnown('instrumentDataSource', given, OPTIONS, databaseSpellings)
  const { migrations = true, models, count, ...scope } = options
  if (typeof migrations !== 'boolean') throw invalidOption('instrumentDataSource', 'migrations', 'true or false', migrations)
  // What modelOpsSubscriber is given, it checks itself.
  return { scope: readDatabaseScope('instrumentDataSource', scope), migrations, models: models as Options['models'], count: count as Options['count'] }
}

function instrumentationOf (dataSource: DataSourceLike): Instrumentation | undefined {
  return (dataSource as { [INSTRUMENTED]?: Instrumentation })[INSTRUMENTED]
}
