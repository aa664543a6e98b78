import type { DatabaseScope } from '../../src/database/metrics.js'
import type { Trouble } from '../../src/instrumentation/index.js'
import { showName } from '../../src/validation/errors.js'
import { Events } from './events.js'
import { MysqlConnections } from './mysql.js'
import { OneConnection, queryLayer } from './queries.js'
import { QueryRecorder } from './recorder.js'
import { Runners } from './runners.js'
import type { DataSourceLike } from './shapes.js'
import type { ModelOpsSubscriber } from './subscriber.js'
import { SQLITE } from './transaction-state.js'

const VENDORS = new Map([
  ['aurora-postgres', 'postgresql'], ['mysql', 'mysql'], ['aurora-mysql', 'mysql'], ['mariadb', 'mariadb'], ['mssql', 'mssql'],
  ['oracle', 'oracle'], ['sap', 'sap'], ['spanner', 'spanner'], ['mongodb', 'mongodb'],
  ...[...SQLITE].map((type) => [type, 'sqlite'] as const)
])
const MYSQL = new Set(['mysql', 'mariadb'])
/**
 * Drivers whose own results say all, or whose results (Spanner) are no part of TypeORM's QueryResult. For the other
 * drivers, only the QueryResult has the changed rows.
 */
const PLAIN = new Set(['mysql', 'mariadb', 'spanner'])

/** Observes the query runners of a data source: their queries, and their events about models. */
export class Observation {
  readonly #type: string
  readonly #runners: Runners
  readonly #recorder: QueryRecorder | undefined
  readonly #mysql: MysqlConnections | undefined
  #warned = false

  /**
   * @param queries whether queries are recorded here, and not by pools
   * @param operations the subscriber that counts models
   */
  constructor (dataSource: DataSourceLike, scope: DatabaseScope, queries: boolean, operations: ModelOpsSubscriber | undefined, trouble: Trouble) {
    const { driver, options: { type } } = dataSource
    this.#type = type
    const canObserve = type !== 'mongodb' && typeof (driver as { createQueryRunner?: unknown }).createQueryRunner === 'function'
    const recorder = queries && canObserve ? recorderOf(dataSource, scope, trouble) : undefined
    const events = new Events(dataSource, operations, recorder, (error) => { trouble.report('typeorm models', error) })
    this.#recorder = recorder
    this.#mysql = recorder !== undefined && MYSQL.has(type) ? new MysqlConnections(driver, recorder) : undefined
    const layer = recorder === undefined
      ? undefined
      : queryLayer(recorder, this.#mysql ?? new OneConnection(recorder.primary), VENDORS.has(type) && !PLAIN.has(type), events.queryEnded.bind(events))
    this.#runners = new Runners(driver, layer, events.layer, () => { this.#warnNotObserved() }, (error) => { trouble.report('typeorm queries', error) })
    if (queries && !canObserve) this.#warnNotObserved()
  }

  undo (): void {
    this.#recorder?.undo()
    this.#runners.undo()
    this.#mysql?.undo()
  }

  #warnNotObserved (): void {
    if (this.#warned) return
    this.#warned = true
    process.emitWarning(`fastify-prometheus: the queries of a data source of type '${showName(this.#type)}' are not observed: its driver does not run them through ` +
      "TypeORM's query runners", { code: 'FP_WARN_NOT_OBSERVED' })
  }
}

function recorderOf ({ driver, options: { type } }: DataSourceLike, scope: DatabaseScope, trouble: Trouble): QueryRecorder {
  const shown = new WeakRef(driver)
  return new QueryRecorder(scope, VENDORS.get(type) ?? 'other', () => shown.deref() !== undefined, trouble)
}
