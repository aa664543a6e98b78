import { DATABASE_DEFAULTS, MetricsError, Observed, Trouble, describeTarget, invalidOption, readDatabaseScope, shadowMethod, type DatabaseScope, type Method } from '../../src/adapter.js'
import { poolsOf } from './driver-pools.js'
import { MigrationGauges } from './migrations.js'
import type { ModelTarget } from './models.js'
import { Observation } from './observation.js'
import type { InstrumentedPools } from './pools.js'
import { QueryCaches } from './query-cache.js'
import { isDataSource, type DataSourceLike } from './shapes.js'
import { claimsOf, modelOpsSubscriber, type ModelOpsOptions, type ModelOpsSubscriber } from './subscriber.js'

/** The options of instrumentDataSource. */
export interface InstrumentDataSourceOptions extends DatabaseScope {
  /** Whether db_migrations_applied and db_migrations_pending are read, which takes two small queries. Default: true. */
  migrations?: boolean | undefined
  /** The models to count, as `modelOpsSubscriber` takes them; kept through every initialize. Default: none. */
  models?: ModelTarget | readonly ModelTarget[] | undefined
  /** When an operation of a model counts. Default: 'committed'. */
  count?: ModelOpsOptions['count']
}

/** The function by which a data source's migrations are read again. */
const REFRESH = Symbol.for('fastify-prometheus.typeorm.refresh')
const observedDataSources = new Observed<Options>('typeorm.data-source', 'a data source', { ...DATABASE_DEFAULTS, migrations: true, count: 'committed' })

/**
 * Measures a TypeORM data source. Call it before or after `initialize()`; it lasts through every later one.
 *
 * On PostgreSQL, CockroachDB, MySQL and MariaDB it instruments the data source's pools as `instrumentPool` and
 * `instrumentMysql` do: the primary's under the alias, the replicas' under `<alias>-replica-1` and so on. A pool that is
 * instrumented already stays as it is. On other drivers, and on the module `mysql`, it measures the queries of the query
 * runners, streams too. A driver whose queries cannot be observed, such as MongoDB's, is named in a process warning
 * (FP_WARN_NOT_OBSERVED). A cache of query results is observed as the backend 'typeorm'. `dataSource.subscribers` is not
 * changed.
 *
 * Migrations are counted before `initialize()` resolves, after `runMigrations()` and `undoLastMigration()`, and at
 * `refreshMigrations(dataSource)`; not on MongoDB. Give each data source an alias of its own.
 * @returns a function that restores everything. The first call for a data source counts. A later call without options,
 * or with the same options, returns the same function. A later call with other options warns (FP_WARN_OBSERVED_ALREADY)
 * and returns a function that does nothing
 * @throws MetricsError FP_ERR_INVALID_TARGET, FP_ERR_INVALID_OPTION, FP_ERR_METRIC_CONFLICT, and FP_ERR_UNKNOWN_MODEL
 * when the data source is initialized and one of `models` matches none of its entities
 */
export function instrumentDataSource (dataSource: DataSourceLike, options: InstrumentDataSourceOptions = {}): () => void {
  if (!isDataSource(dataSource)) {
    throw new MetricsError('FP_ERR_INVALID_TARGET', `instrumentDataSource needs a TypeORM DataSource, got ${describeTarget(dataSource)}`)
  }
  const asked = readOptions(options)
  return observedDataSources.again('instrumentDataSource', dataSource, asked) ?? new Instrumentation(dataSource, asked).undo
}

/**
 * Reads the migrations of a data source again, for example after another process has run them. A reading that fails is
 * reported as an error of instrumentation, and leaves the gauges as they are.
 * @throws MetricsError FP_ERR_INVALID_TARGET for a data source that is not instrumented
 */
export async function refreshMigrations (dataSource: DataSourceLike): Promise<void> {
  const refresh = isDataSource(dataSource) ? (dataSource as { [REFRESH]?: () => Promise<void> })[REFRESH] : undefined
  if (refresh === undefined) {
    const got = isDataSource(dataSource) ? 'one that it was not: call instrumentDataSource(dataSource) first' : describeTarget(dataSource)
    throw new MetricsError('FP_ERR_INVALID_TARGET', `refreshMigrations needs a data source that instrumentDataSource was given, got ${got}`)
  }
  await refresh()
}

/** The instrumentation of one data source. */
class Instrumentation {
  /** Restores everything. */
  readonly undo: () => void
  readonly #dataSource: DataSourceLike
  /** The subscriber that counts models. */
  readonly #operations: ModelOpsSubscriber | undefined
  readonly #observation: Observation | undefined
  readonly #pools: InstrumentedPools | undefined
  readonly #caches: QueryCaches
  readonly #migrations: MigrationGauges | undefined
  readonly #trouble: Trouble
  readonly #restores: ReadonlyArray<() => void>
  #active = true
  #initializing = false

  constructor (dataSource: DataSourceLike, options: Options) {
    const { migrations = true, models, count, ...scope } = options
    const { alias = 'default', registry, prefix, maxSeries } = scope
    const operations = models === undefined ? undefined : modelOpsSubscriber([...models], { registry, prefix, maxSeries, count })
    const [unknown] = operations !== undefined && dataSource.isInitialized ? claimsOf(operations)?.unknown(dataSource) ?? [] : []
    if (unknown !== undefined) throw unknown

    this.#dataSource = dataSource
    this.#trouble = new Trouble(scope)
    this.#operations = operations
    this.#migrations = migrations && dataSource.options.type !== 'mongodb' ? new MigrationGauges(dataSource, scope, alias) : undefined
    const instrumentPools = poolsOf(dataSource, scope, this.#trouble)
    this.#caches = new QueryCaches(dataSource, scope, this.#trouble)
    // This is the first change to the data source. Everything that may throw comes before it.
    this.#observation = instrumentPools !== undefined && operations === undefined ? undefined : new Observation(dataSource, scope, instrumentPools === undefined, operations, this.#trouble)
    this.#pools = instrumentPools?.()
    this.#caches.observe()
    const refresh = (): Promise<void> | undefined => this.#initializing ? undefined : this.refresh()
    this.#restores = [
      shadowMethod(dataSource, 'initialize', (initialize) => this.#overInitialize(initialize)),
      shadowMethod(dataSource, 'setOptions', (setOptions) => this.#caches.over(setOptions)),
      shadowMethod(dataSource, 'buildMetadatas', (buildMetadatas) => followedBy(buildMetadatas, () => { this.#learn() })),
      shadowMethod(dataSource, 'runMigrations', (runMigrations) => followedBy(runMigrations, refresh, refresh)),
      shadowMethod(dataSource, 'undoLastMigration', (undoLastMigration) => followedBy(undoLastMigration, refresh, refresh))
    ]
    Object.defineProperty(dataSource, REFRESH, { value: () => this.refresh(), configurable: true })
    this.undo = observedDataSources.add(dataSource, options, () => { this.#end() })
    if (dataSource.isInitialized) {
      this.#learn()
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

  #overInitialize (initialize: Method): Method {
    const starting = (): void => {
      this.#initializing = true
      this.#caches.observe()
    }
    const initialized = followedBy(initialize, () => {
      this.#initializing = false
      this.#learn()
      this.#pools?.instrumentMade()
      return this.refresh()
    }, () => { this.#initializing = false })
    return function (...args) {
      starting()
      return initialized.apply(this, args)
    }
  }

  /**
   * Tells the entities to our subscriber, and to those of this package that the application has pushed. TypeORM makes
   * the entities anew at each initialize.
   */
  #learn (): void {
    if (!this.#active) return
    try {
      for (const subscriber of [this.#operations, ...this.#dataSource.subscribers]) if (subscriber !== undefined) claimsOf(subscriber)?.learn(this.#dataSource)
    } catch (error) {
      this.#trouble.report('typeorm subscribers', error)
    }
  }

  #end (): void {
    this.#active = false
    for (const restore of this.#restores) restore()
    this.#pools?.undo()
    this.#caches.undo()
    this.#observation?.undo()
    this.#migrations?.remove()
    Reflect.deleteProperty(this.#dataSource, REFRESH)
  }
}

/**
 * Gives a method that calls `fulfilled` or `rejected` once its promise has settled, and only then settles in the same
 * way. It is one chain: an unhandled rejection stays unhandled, and keeps its async stack. Neither function may throw.
 */
function followedBy (method: Method, fulfilled: () => void | Promise<void>, rejected: () => void | Promise<void> = () => {}): Method {
  return function (...args) {
    const settling = method.apply(this, args)
    if (!(settling instanceof Promise)) return settling
    return settling.then(
      (value: unknown) => runThen(fulfilled(), () => value),
      (error: unknown) => runThen(rejected(), () => { throw error })
    )
  }
}

function runThen<R> (more: void | Promise<void>, then: () => R): R | Promise<R> {
  return more instanceof Promise ? more.then(then) : then()
}

interface Options extends DatabaseScope {
  migrations: boolean | undefined
  /** A set, for which the order of the models is no difference. */
  models: ReadonlySet<ModelTarget> | undefined
  count: ModelOpsOptions['count']
}

function readOptions (given: unknown): Options {
  const { migrations, models, count, ...scope } = readDatabaseScope('instrumentDataSource', given, ['migrations', 'models', 'count'])
  if (migrations !== undefined && typeof migrations !== 'boolean') throw invalidOption('instrumentDataSource', 'migrations', 'true or false', migrations)
  // modelOpsSubscriber checks its own options.
  const all = models as InstrumentDataSourceOptions['models']
  return { ...scope, migrations, models: all === undefined ? undefined : new Set([all].flat()), count: count as Options['count'] }
}
