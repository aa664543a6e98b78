import { Chart } from './chart.js'
import { Flow } from './flow.js'
import type { History, Step } from './history.js'
import { present, type LabelValues, type Tap } from './intake.js'
import { Level } from './level.js'
import type { SummaryItem } from './shape.js'
import { summaryItem } from './summary.js'

/** Aliases of databases that are told apart; more are one together. */
const MOST_ALIASES = 8

/** What is known of the connections under one alias. */
export interface Connections {
  readonly alias: string
  /** Such as 'postgresql'; '' while that is not known. */
  vendor: string
  readonly used: Level
  readonly max: Level
  readonly pending: Level
  readonly migrationsPending: Level
  readonly oldestQuery: Level
  readonly connectionErrors: Flow
  readonly timeouts: Flow
  readonly queries: Flow
  readonly queryErrors: Flow
  /** Of the query errors those that are no fault of the database: broken constraints, transactions to try again. */
  readonly expectedErrors: Flow
  readonly pool: Chart
}

/** As in the alert DatabaseQueryErrors (examples/prometheus/rules/recordings.js). */
export const EXPECTED = /^((unique|foreign_key|not_null|check|exclusion|restrict|integrity_constraint|with_check_option)_violation|class_23|serialization_failure|deadlock_detected|(transaction_)?(rollback|integrity_constraint_violation)|class_40)$/

const VERBS = { inserts: 'inserted', upserts: 'upserted', updates: 'updated', deletes: 'deleted', soft_deletes: 'deleted softly', restores: 'restored' } as const

/** What goes to databases. */
export class Databases {
  readonly #history: History
  readonly #aliases = new Map<string, Connections>()
  readonly #queries: Chart
  readonly #latency: Chart
  readonly #errors: Chart
  readonly #acquire: Chart
  readonly #oldest: Chart
  readonly #models: Chart
  readonly #migrations: Chart

  constructor (history: History) {
    this.#history = history
    const chart = (id: string, title: string, unit: Chart['settings']['unit'], help: string, kind: 'line' | 'area' = 'line') =>
      new Chart(history, { id, section: 'database', title, unit, kind, of: 'all', help })
    this.#queries = chart('db.queries', 'Queries', 'per second', 'Queries that ended, by operation, failed ones included.', 'area')
    this.#latency = chart('db.latency', 'Query latency, p95', 'seconds', 'Duration of queries, by operation.')
    this.#errors = chart('db.errors', 'Errors', 'per second', 'Queries that failed and connections that could not be made or were lost, by type.', 'area')
    this.#acquire = chart('db.acquire', 'Time to acquire a connection, p95', 'seconds', 'Time to get a connection from the pool.')
    this.#oldest = chart('db.oldest', 'Oldest', 'seconds', 'Ages of the oldest query under way and of the oldest wait for a connection. What hangs is in no latency.')
    this.#models = chart('model.operations', 'Model operations', 'per second', 'Rows that were written, by model, once their transaction is committed.', 'area')
    this.#migrations = chart('db.migrations', 'Migrations pending', 'number', 'Migrations that the code has and the database has not.')
  }

  get taps (): Readonly<Record<string, Tap>> {
    // Most models never have most of the operations.
    const model = (verb: keyof typeof VERBS): Tap => ({ model = '' }, value) => value === 0 ? undefined : [this.#models.flow(`${model} ${VERBS[verb]}`)]
    return {
      db_query_duration_seconds: (labels) => {
        const operation = labels['operation'] ?? ''
        const flow = this.#queries.flow(operation)
        const latency = this.#latency.flow(operation, (step, own) => step.quantile(own, 0.95))
        return [flow, latency, this.of(labels).queries]
      },
      db_query_errors_total: (labels) => {
        const { type = '' } = labels
        const { queryErrors, expectedErrors } = this.of(labels)
        return [this.#errors.flow(type), queryErrors, ...EXPECTED.test(type) ? [expectedErrors] : []]
      },
      db_connection_errors_total: (labels) => [this.#errors.flow(`connection: ${labels['type'] ?? ''}`), this.of(labels).connectionErrors],
      db_pool_acquire_timeouts_total: (labels) => [this.of(labels).timeouts],
      db_pool_acquire_duration_seconds: ({ alias = '' }) => [this.#acquire.flow(alias, (step, own) => step.quantile(own, 0.95))],
      db_pool_connections: (labels) => {
        const { used, pool } = this.of(labels)
        const { state = '' } = labels
        return [...present(pool.level(state)), ...state === 'used' ? [used] : []]
      },
      db_pool_connections_max: (labels) => [...present(this.of(labels).pool.level('max')), this.of(labels).max],
      db_pool_pending_requests: (labels) => [...present(this.of(labels).pool.level('waiting')), this.of(labels).pending],
      db_pool_oldest_pending_seconds: () => present(this.#oldest.level('wait for a connection', 'max')),
      db_query_oldest_seconds: (labels) => [...present(this.#oldest.level('query', 'max')), this.of(labels).oldestQuery],
      db_migrations_pending: (labels) => [...present(this.#migrations.level(labels['alias'] ?? '', 'max')), this.of(labels).migrationsPending],
      model_inserts_total: model('inserts'),
      model_upserts_total: model('upserts'),
      model_updates_total: model('updates'),
      model_deletes_total: model('deletes'),
      model_soft_deletes_total: model('soft_deletes'),
      model_restores_total: model('restores')
    }
  }

  get aliases (): Iterable<Connections> {
    return this.#aliases.values()
  }

  get charts (): Chart[] {
    const pools = [...this.#aliases.values()].map(({ pool }) => pool)
    return [this.#queries, this.#latency, ...pools, this.#acquire, this.#errors, this.#oldest, this.#models, this.#migrations].filter(({ isEmpty }) => !isEmpty)
  }

  summary (minute: Step): SummaryItem[] {
    const pools = [...this.#aliases.values()].filter(({ max }) => max.value !== undefined).map(({ alias, used, max }) =>
      summaryItem(`pool.${alias}`, this.#aliases.size === 1 ? 'Pool in use' : `Pool ${alias}`, 'number', used.value, max.value))
    const flows = [...this.#aliases.values()].flatMap(({ queries }) => minute.rate(queries) ?? [])
    if (flows.length === 0) return pools
    return [summaryItem('queries', 'Queries', 'per second', flows.reduce((sum, rate) => sum + rate, 0)), ...pools]
  }

  of ({ alias = '', vendor = '' }: LabelValues): Connections {
    const found = this.#of(alias)
    // Migrations say none.
    if (found.vendor === '') found.vendor = vendor
    return found
  }

  #of (alias: string): Connections {
    const chosen = this.#aliases.has(alias) || this.#aliases.size < MOST_ALIASES ? alias : 'all others'
    const known = this.#aliases.get(chosen)
    if (known !== undefined) return known
    const history = this.#history
    const [used, max, pending, migrationsPending] = [new Level(), new Level(), new Level(), new Level('max')].map((level) => history.level(level)) as [Level, Level, Level, Level]
    const [connectionErrors, timeouts, queries, queryErrors, expectedErrors] = Array.from({ length: 5 }, () => history.flow(new Flow())) as [Flow, Flow, Flow, Flow, Flow]
    const pool = new Chart(history, { id: `db.pool.${chosen}`, section: 'database', title: `Pool ${chosen}`, unit: 'number', kind: 'line', of: 'all', help: 'Connections of the pool that are used and idle, those that it may have, and requests that wait for one.' })
    const made = { alias: chosen, vendor: '', used, max, pending, migrationsPending, oldestQuery: history.level(new Level('max')), connectionErrors, timeouts, queries, queryErrors, expectedErrors, pool }
    this.#aliases.set(chosen, made)
    return made
  }
}
