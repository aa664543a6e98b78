import { differingOptions, readDatabaseScope, warnOfOtherOptions, type DatabaseScope } from '../../src/database/metrics.js'
import { SCOPE_OPTIONS, shadowMethod, Trouble, type Method } from '../../src/instrumentation/index.js'
import { MetricsError, invalidOption } from '../../src/validation/errors.js'
import { readKnown } from '../../src/validation/given.js'
import { databaseSpellings } from '../../src/validation/spellings.js'
import { instrumentPool, type PgPoolLike } from '../pg.js'
import { describeTarget } from '../pg/mistaken.js'
import { MigrationGauges } from './migrations.js'
import type { ModelTarget } from './models.js'
import { Observation } from './observation.js'
import { Pools } from './pools.js'
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

const INSTRUMENTED = Symbol.for('fastify-prometheus.data-source')
/** The undo that instrumentPool leaves on a pool. */
const POOL_UNDO = Symbol.for('fastify-prometheus.pg.undo')
/** Databases whose connections come from pools of `pg`. */
const POOLED = new Set(['postgres', 'cockroachdb'])

/**
 * Measures a TypeORM data source. Call it before or after `initialize()`; it lasts through every later one.
 *
 * On PostgreSQL and CockroachDB it instruments the data source's pools as `instrumentPool` does: the primary's under
 * the alias, the replicas' under `<alias>-replica-1` and so on. A pool that is instrumented already stays as it is. On
 * other drivers it measures the queries of the query runners, streams too; the queries of MySQL's replicas get such
 * aliases, and MySQL's failed connections are counted. A driver whose queries cannot be observed, such as MongoDB's, is
 * named in a process warning (FP_WARN_NOT_OBSERVED). `dataSource.subscribers` is not changed.
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
  const inForce = instrumentationOf(dataSource)
  if (inForce === undefined) return new Instrumentation(dataSource, asked).undo
  const differing = [...differingOptions(asked.scope, inForce.options.scope), ...differingOwn(asked, inForce.options)]
  return warnOfOtherOptions('instrumentDataSource', 'a data source', differing) ? () => {} : inForce.undo
}

/**
 * Reads the migrations of a data source again, for example after another process has run them. A reading that fails is
 * reported as an error of instrumentation, and leaves the gauges as they are.
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

/** The instrumentation of one data source. */
class Instrumentation {
  /** Restores everything. */
  readonly undo = (): void => { this.#undo() }
  readonly options: Options
  readonly #dataSource: DataSourceLike
  /** The subscriber that counts models. */
  readonly #operations: ModelOpsSubscriber | undefined
  readonly #observation: Observation | undefined
  readonly #pools: Pools<PgPoolLike> | undefined
  readonly #migrations: MigrationGauges | undefined
  readonly #trouble: Trouble
  readonly #restores: ReadonlyArray<() => void>
  #active = true
  #initializing = false

  constructor (dataSource: DataSourceLike, options: Options) {
    const { scope, migrations = true, models, count } = options
    const { type } = dataSource.options
    const { alias = 'default', registry, prefix, maxSeries } = scope
    const operations = models === undefined ? undefined : modelOpsSubscriber(models, { registry, prefix, maxSeries, count })
    const [unknown] = operations !== undefined && dataSource.isInitialized ? claimsOf(operations)?.unknown(dataSource) ?? [] : []
    if (unknown !== undefined) throw unknown

    this.options = options
    this.#dataSource = dataSource
    this.#trouble = new Trouble(scope)
    this.#operations = operations
    this.#migrations = migrations && type !== 'mongodb' ? new MigrationGauges(dataSource, scope, alias) : undefined
    // This is the first change to the data source. Everything that may throw comes before it.
    this.#observation = POOLED.has(type) && operations === undefined ? undefined : new Observation(dataSource, scope, !POOLED.has(type), operations, this.#trouble)
    this.#pools = POOLED.has(type) ? this.#poolsOf(scope, alias) : undefined
    const refresh = (): Promise<void> | undefined => this.#initializing ? undefined : this.refresh()
    this.#restores = [
      shadowMethod(dataSource, 'initialize', (initialize) => this.#overInitialize(initialize)),
      shadowMethod(dataSource, 'buildMetadatas', (buildMetadatas) => followedBy(buildMetadatas, () => { this.#learn() })),
      shadowMethod(dataSource, 'runMigrations', (runMigrations) => followedBy(runMigrations, refresh, refresh)),
      shadowMethod(dataSource, 'undoLastMigration', (undoLastMigration) => followedBy(undoLastMigration, refresh, refresh))
    ]
    Object.defineProperty(dataSource, INSTRUMENTED, { value: this, configurable: true })
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

  #poolsOf (scope: DatabaseScope, alias: string): Pools<PgPoolLike> {
    return new Pools<PgPoolLike>(
      this.#dataSource.driver,
      (pool, replica) => {
        // The application undoes a pool that it instrumented itself.
        if (POOL_UNDO in pool) return () => {}
        return instrumentPool(pool, { ...scope, alias: replica === undefined ? alias : `${alias}-replica-${replica + 1}` })
      },
      (error) => { this.#trouble.report('typeorm pools', error) }
    )
  }

  #overInitialize (initialize: Method): Method {
    const starting = (): void => { this.#initializing = true }
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

  #undo (): void {
    if (!this.#active) return
    this.#active = false
    for (const restore of this.#restores) restore()
    this.#pools?.undo()
    this.#observation?.undo()
    this.#migrations?.remove()
    Reflect.deleteProperty(this.#dataSource, INSTRUMENTED)
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

interface Options {
  scope: DatabaseScope
  migrations: boolean | undefined
  models: ModelTarget | readonly ModelTarget[] | undefined
  count: ModelOpsOptions['count']
}

const OPTIONS = ['alias', 'buckets', 'migrations', 'models', 'count', ...SCOPE_OPTIONS]

function readOptions (given: unknown): Options {
  const options = readKnown('instrumentDataSource', given, OPTIONS, databaseSpellings)
  const { migrations, models, count, ...scope } = options
  if (migrations !== undefined && typeof migrations !== 'boolean') throw invalidOption('instrumentDataSource', 'migrations', 'true or false', migrations)
  // modelOpsSubscriber checks its own options.
  return { scope: readDatabaseScope('instrumentDataSource', scope), migrations, models: models as Options['models'], count: count as Options['count'] }
}

/**
 * The names of the given options that differ from those in force. Only options that no other adapter has are compared
 * here.
 */
function differingOwn ({ migrations, models, count }: Options, inForce: Options): string[] {
  const names: string[] = []
  if (migrations !== undefined && migrations !== (inForce.migrations ?? true)) names.push('migrations')
  if (models !== undefined && !areSame(models, inForce.models)) names.push('models')
  if (count !== undefined && count !== (inForce.count ?? 'committed')) names.push('count')
  return names
}

function areSame (asked: unknown, inForce: unknown): boolean {
  const [some, others] = [asked, inForce].map((models) => Array.isArray(models) ? models as unknown[] : [models]) as [unknown[], unknown[]]
  return some.length === others.length && some.every((model) => others.includes(model))
}

function instrumentationOf (dataSource: DataSourceLike): Instrumentation | undefined {
  return (dataSource as { [INSTRUMENTED]?: Instrumentation })[INSTRUMENTED]
}
