import { MetricsError, Trouble, invalidOption, metric, operationOf, readOptions, type Counter, type CounterChild, type Scope } from '../../src/adapter.js'
import { StatementChanges, type EntityEvent, type ModelOperation } from './changes.js'
import { HiddenEvents } from './hidden.js'
import { Ledger } from './ledger.js'
import { Models, type ModelTarget } from './models.js'
import { dataSourceOf, isDataSource, type DataSourceLike, type EntityEventLike, type EntityMetadataLike, type EventLike, type QueryResultEventLike } from './shapes.js'

/** The options of modelOpsSubscriber. */
export interface ModelOpsOptions extends Pick<Scope, 'registry' | 'prefix' | 'maxSeries'> {
  /**
   * 'committed' counts an operation when its transaction commits, and not at all when it is rolled back; 'attempted'
   * counts it when its statement has succeeded. Default: 'committed'.
   */
  count?: 'committed' | 'attempted' | undefined
}

/** A TypeORM subscriber: an `EntitySubscriberInterface`, for `dataSource.subscribers`. */
export interface ModelOpsSubscriber {
  afterInsert (event: EntityEventLike): void
  afterUpdate (event: EntityEventLike): void
  afterRemove (event: EntityEventLike): void
  afterSoftRemove (event: EntityEventLike): void
  afterRecover (event: EntityEventLike): void
  afterQuery (event: QueryResultEventLike): void
  afterTransactionStart? (event: EventLike): void
  beforeTransactionRollback? (event: EventLike): void
  afterTransactionCommit? (event: EventLike): void
}

type Children = Readonly<Record<ModelOperation, CounterChild>>

/** What a subscriber of this package tells other subscribers of this package, and data sources. */
interface Claims {
  /** Two subscribers that write to the same counters must not both count one operation. */
  readonly counters: Counter<'model'>
  labelOf (metadata: EntityMetadataLike): string | undefined
  /** Learns the entities: shows zero for each label, and reports models that match no entity. */
  learn (dataSource: DataSourceLike): void
  /** An error for each model that matches no entity. */
  unknown (dataSource: DataSourceLike): readonly MetricsError[]
}

const CLAIMS = Symbol.for('fastify-prometheus.model-ops')
const SPELLINGS = { 'alias name': 'models have no alias; their label is the model', 'models entities': 'write the models as the first argument' }

/**
 * Counts inserts, updates, deletes, soft deletes and restores of models. Use it after `initialize()`, as
 * `dataSource.subscribers.push(modelOpsSubscriber('walk'))`. TypeORM makes that array anew at each initialize;
 * `instrumentDataSource(dataSource, { models })` does not need the array. Of the statements that TypeORM tells
 * subscribers of, it counts the changed rows if the driver says how many, else one for each event. It counts nothing
 * for raw SQL, `clear()`, `callListeners(false)`, `listeners: false` and the database's own cascades. Two subscribers,
 * or one that is pushed twice, count an operation once under one label.
 * @param models the models to count; a name that no entity has is reported at the first query, as a process warning
 * with the code FP_ERR_UNKNOWN_MODEL and in metrics_instrumentation_errors_total. Default: every entity.
 * @throws MetricsError FP_ERR_INVALID_OPTION, FP_ERR_METRIC_CONFLICT
 */
export function modelOpsSubscriber (models: ModelTarget | readonly ModelTarget[] = '*', options: ModelOpsOptions = {}): ModelOpsSubscriber {
  const asked = readModels(models)
  const { scope, count } = readModelOptions(options)
  const operations = new ModelOperations(asked, scope, count)
  const subscriber: ModelOpsSubscriber = {
    afterInsert: (event) => { operations.countEvent('insert', event, subscriber) },
    afterUpdate: (event) => { operations.countEvent('update', event, subscriber) },
    afterRemove: (event) => { operations.countEvent('delete', event, subscriber) },
    afterSoftRemove: (event) => { operations.countEvent('softDelete', event, subscriber) },
    afterRecover: (event) => { operations.countEvent('restore', event, subscriber) },
    afterQuery: (event) => { operations.followQuery(event, subscriber) }
  }
  if (count === 'committed') {
    subscriber.afterTransactionStart = (event) => { operations.followTransaction('started', event) }
    subscriber.beforeTransactionRollback = (event) => { operations.followTransaction('rollingBack', event) }
    subscriber.afterTransactionCommit = (event) => { operations.followTransaction('committed', event) }
  }
  return Object.defineProperty(subscriber, CLAIMS, { value: operations satisfies Claims })
}

/** The claims of a subscriber of this package; undefined for any other subscriber. */
export function claimsOf (subscriber: object): Claims | undefined {
  return (subscriber as { [CLAIMS]?: Claims })[CLAIMS]
}

function readModels (models: unknown): Models {
  if (isDataSource(models)) {
    throw invalidOption('modelOpsSubscriber', 'models', "models and no data source: write dataSource.subscribers.push(modelOpsSubscriber('walk'))", models)
  }
  let list: unknown[]
  try {
    list = Array.isArray(models) ? [...models] : [models]
  } catch {
    // A proxy of the caller threw. It is refused as no model below.
    list = [models]
  }
  // A name becomes a label, and a database's address may hold its password.
  if (list.some((model) => typeof model === 'string' && model.includes('://'))) throw invalidOption('modelOpsSubscriber', 'models', 'named as entities are, and no address', models)
  try {
    return new Models('modelOpsSubscriber', list)
  } catch (error) {
    if (error instanceof MetricsError) throw error
    throw invalidOption('modelOpsSubscriber', 'models', 'readable', models)
  }
}

function readModelOptions (given: unknown): { scope: Scope, count: 'committed' | 'attempted' } {
  const { count = 'committed', ...scope } = readOptions('modelOpsSubscriber', given, ['count', 'registry', 'prefix', 'maxSeries'], SPELLINGS)
  if (count !== 'committed' && count !== 'attempted') throw invalidOption('modelOpsSubscriber', 'count', "'committed' or 'attempted'", count)
  return { scope, count }
}

/** Counts operations of models. No method throws. */
class ModelOperations implements Claims {
  readonly counters: Counter<'model'>
  readonly #models: Models
  readonly #families: Readonly<Record<ModelOperation, Counter<'model'>>>
  readonly #ledger: Ledger | undefined
  readonly #changes = new StatementChanges()
  readonly #hidden = new HiddenEvents()
  #events = 0
  readonly #trouble: Trouble
  readonly #unknownModels: Trouble
  readonly #byLabel = new Map<string, Children>()
  /** Null for an entity that is not counted. */
  readonly #byEntity = new WeakMap<EntityMetadataLike, { label: string, children: Children } | null>()
  /** The arrays of entities that were learned: TypeORM makes a new array at each initialize of a data source. */
  readonly #learned = new WeakSet<readonly EntityMetadataLike[]>()
  #last: readonly EntityMetadataLike[] | undefined
  readonly #countHeard = (): number => this.#events
  readonly #toldEvents = new Places<{ readonly operation: EntityEvent, readonly event: EntityEventLike }>((one, other) => one.operation === other.operation &&
    one.event.metadata === other.event.metadata && one.event.entity === other.event.entity && one.event.queryRunner === other.event.queryRunner)

  readonly #toldQueries = new Places<QueryResultEventLike>((one, other) => one.query === other.query && one.queryRunner === other.queryRunner)

  constructor (models: Models, scope: Scope, count: 'committed' | 'attempted') {
    this.#models = models
    this.#families = {
      insert: metric('model_inserts_total', scope),
      upsert: metric('model_upserts_total', scope),
      update: metric('model_updates_total', scope),
      delete: metric('model_deletes_total', scope),
      softDelete: metric('model_soft_deletes_total', scope),
      restore: metric('model_restores_total', scope)
    }
    this.counters = this.#families.insert
    this.#ledger = count === 'committed' ? new Ledger() : undefined
    this.#trouble = new Trouble(scope)
    this.#unknownModels = new Trouble(scope, (_, error) => { process.emitWarning((error as MetricsError).message, { code: 'FP_ERR_UNKNOWN_MODEL' }) })
    for (const label of models.labels) this.#childrenOf(label)
  }

  countEvent (operation: EntityEvent, event: EntityEventLike, subscriber: object): void {
    this.#events++
    try {
      const dataSource = dataSourceOf(event)
      this.learn(dataSource)
      if (this.#toldEvents.isAgain({ operation, event }, dataSource.subscribers, subscriber)) return
      // Taken for every entity: an entity that is not counted may share the table of an entity that is.
      const taken = this.#changes.takeRows(operation, event)
      const model = this.#modelOf(event.metadata)
      if (model === null || taken.rows === 0 || this.#isCountedBefore(model.label, event, dataSource.subscribers, subscriber)) return
      const child = model.children[taken.operation]
      if (this.#ledger === undefined) child.inc(taken.rows)
      else this.#ledger.add(event, child, taken.rows)
    } catch (error) {
      this.#trouble.report('typeorm models', error)
    }
  }

  followQuery (event: QueryResultEventLike, subscriber: ModelOpsSubscriber): void {
    try {
      if (this.#toldQueries.isAgain(event, dataSourceOf(event).subscribers, subscriber)) return
      const operation = operationOf(event.query)
      if (event.success) {
        this.#changes.addStatement(event, operation)
        this.#hidden.expect(event, operation, subscriber, this.#countHeard)
      }
      this.#ledger?.followStatement(event, operation)
    } catch (error) {
      this.#trouble.report('typeorm models', error)
    }
    this.learn(dataSourceOf(event))
  }

  followTransaction (step: 'started' | 'rollingBack' | 'committed', event: EventLike): void {
    try {
      this.#ledger?.[step](event)
    } catch (error) {
      this.#trouble.report('typeorm models', error)
    }
  }

  labelOf (metadata: EntityMetadataLike): string | undefined {
    return this.#modelOf(metadata)?.label
  }

  learn ({ entityMetadatas }: DataSourceLike): void {
    if (entityMetadatas === this.#last) return
    this.#last = entityMetadatas
    try {
      if (this.#learned.has(entityMetadatas)) return
      this.#learned.add(entityMetadatas)
      for (const metadata of entityMetadatas) this.#modelOf(metadata)
      for (const { label, error } of this.#models.unknown(entityMetadatas)) this.#unknownModels.report(`model ${label}`, error)
    } catch (error) {
      this.#trouble.report('typeorm models', error)
    }
  }

  unknown ({ entityMetadatas }: DataSourceLike): readonly MetricsError[] {
    return this.#models.unknown(entityMetadatas).map(({ error }) => error)
  }

  #modelOf (metadata: EntityMetadataLike): { label: string, children: Children } | null {
    let model = this.#byEntity.get(metadata)
    if (model === undefined) {
      const label = this.#models.labelOf(metadata)
      model = label === undefined ? null : { label, children: this.#childrenOf(label) }
      this.#byEntity.set(metadata, model)
    }
    return model
  }

  #childrenOf (label: string): Children {
    const known = this.#byLabel.get(label)
    if (known !== undefined) return known
    const children = Object.fromEntries(Object.entries(this.#families).map(([operation, family]) => [operation, family.labels(label)])) as
      Record<ModelOperation, CounterChild>
    for (const child of Object.values(children)) child.inc(0)
    this.#byLabel.set(label, children)
    return children
  }

  /** Whether an earlier subscriber counts the same operation under the same label of the same counters. */
  #isCountedBefore (label: string, { metadata }: EntityEventLike, subscribers: readonly object[], self: object): boolean {
    for (const subscriber of subscribers) {
      if (subscriber === self) return false
      const claims = claimsOf(subscriber)
      if (claims !== undefined && claims.counters === this.counters && claims.labelOf(metadata) === label) return true
    }
    return false
  }
}

/**
 * Recognises an event that is told again. A subscriber may stand at several places in the array; TypeORM tells it of
 * each event at one place after the other.
 */
class Places<E> {
  readonly #isSame: (one: E, other: E) => boolean
  #last: { readonly event: E, readonly times: number } | undefined

  /** @param isSame whether two events are one event, told at two places */
  constructor (isSame: (one: E, other: E) => boolean) {
    this.#isSame = isSame
  }

  /** Whether this event was told before, at an earlier place. */
  isAgain (event: E, subscribers: readonly object[], self: object): boolean {
    let places = 0
    for (const subscriber of subscribers) if (subscriber === self) places++
    if (places < 2) return false
    const last = this.#last
    const again = last !== undefined && this.#isSame(last.event, event)
    const times = again ? last.times + 1 : 1
    this.#last = times < places ? { event, times } : undefined
    return again
  }
}
