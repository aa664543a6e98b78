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
  /** Models whose operations to count, as `modelOpsSubscriber` takes them; kept through every initialize. Default: none. */
  models?: ModelTarget | readonly ModelTarget[] | undefined
  /** When an operation of a model counts. Default: 'committed'. */
  count?: ModelOpsOptions['count']
}

const INSTRUMENTED = Symbol.for('fastify-prometheus.data-source')
/** What instrumentPool leaves on a pool. */
const POOL_UNDO = Symbol.for('fastify-prometheus.pg.undo')
/** Their connections come from pools of `pg`. */
const POOLED = new Set(['postgres', 'cockroachdb'])

/**
 * Measures a TypeORM data source, before or after its `initialize()` and through every later one. On PostgreSQL and CockroachDB
 * its pools are instrumented as `instrumentPool` does, the primary's under the alias, the replicas' under `<alias>-replica-1` and
 * on; a pool that is instrumented already stays as it is. On other drivers the queries of its query runners are measured, streams
 * too, those of MySQL's replicas under such aliases, and MySQL's connections that fail are counted; a driver whose queries cannot
 * be is named in a process warning (FP_WARN_NOT_OBSERVED), as MongoDB's. `dataSource.subscribers` stays the application's. Its
 * migrations are counted before `initialize()` resolves, after `runMigrations()` and `undoLastMigration()`, and at
 * `refreshMigrations(dataSource)`; not on MongoDB. Give each data source an alias of its own.
 * @returns puts everything back. The first call for a data source counts: a later one without options, or with the same, returns
 * the same function; one with others warns (FP_WARN_OBSERVED_ALREADY) and returns one that does nothing
 * @throws MetricsError FP_ERR_INVALID_TARGET, FP_ERR_INVALID_OPTION, FP_ERR_METRIC_CONFLICT, and FP_ERR_UNKNOWN_MODEL where the
 * data source is initialized and one of `models` is none of its entities
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
  readonly options: Options
  readonly #dataSource: DataSourceLike
  /** Counts models. */
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
    // The first that changes anything: what may throw comes before it.
    this.#observation = POOLED.has(type) && operations === undefined ? undefined : new Observation(dataSource, scope, !POOLED.has(type), operations, this.#trouble)
    this.#pools = POOLED.has(type) ? this.#poolsOf(scope, alias) : undefined
    const refresh = (): Promise<void> | undefined => this.#initializing ? undefined : this.refresh()
    this.#restores = [
      shadowMethod(dataSource, 'initialize', (initialize) => this.#initialize(initialize)),
      shadowMethod(dataSource, 'buildMetadatas', (buildMetadatas) => after(buildMetadatas, () => { this.#learn() })),
      shadowMethod(dataSource, 'runMigrations', (runMigrations) => after(runMigrations, refresh, refresh)),
      shadowMethod(dataSource, 'undoLastMigration', (undoLastMigration) => after(undoLastMigration, refresh, refresh))
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
      this.#learn()
      this.#pools?.instrumentMade()
      return this.refresh()
    }, () => { this.#initializing = false })
    return function (...args) {
      starting()
      return initialized.apply(this, args)
    }
  }

  /** The entities are known: to ours, and to those that the application has pushed. TypeORM makes them anew at each initialize. */
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
  migrations: boolean | undefined
  models: ModelTarget | readonly ModelTarget[] | undefined
  count: ModelOpsOptions['count']
}

const OPTIONS = ['alias', 'buckets', 'migrations', 'models', 'count', ...SCOPE_OPTIONS]

function readOptions (given: unknown): Options {
  const options = readKnown('instrumentDataSource', given, OPTIONS, databaseSpellings)
  const { migrations, models, count, ...scope } = options
  if (migrations !== undefined && typeof migrations !== 'boolean') throw invalidOption('instrumentDataSource', 'migrations', 'true or false', migrations)
  // What modelOpsSubscriber is given, it checks itself.
  return { scope: readDatabaseScope('instrumentDataSource', scope), migrations, models: models as Options['models'], count: count as Options['count'] }
}

/** The names of the options of a data source alone that were given and differ from those in force. */
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
