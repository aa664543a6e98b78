import type { DatabaseScope, Trouble } from '../../src/adapter.js'
import { observed as observedDatabases } from '../sqlite/instrument.js'
import { Events } from './events.js'
import { queryLayer } from './queries.js'
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
/**
 * Drivers whose own results say all, or whose results (Spanner) are no part of TypeORM's QueryResult. For the other
 * drivers, only the QueryResult has the changed rows.
 */
const PLAIN = new Set(['mysql', 'mariadb', 'spanner'])
const TYPE = /^[\w-]{1,30}$/

/** Observes the query runners of a data source: their queries, and their events about models. */
export class Observation {
  readonly #runners: Runners
  readonly #recorder: QueryRecorder | undefined
  readonly #endShow: (() => void) | undefined

  /**
   * @param queries whether queries are recorded here, and not by pools
   * @param operations the subscriber that counts models
   */
  constructor (dataSource: DataSourceLike, scope: DatabaseScope, queries: boolean, operations: ModelOpsSubscriber | undefined, trouble: Trouble) {
    const { driver, options: { type } } = dataSource
    const canObserve = type !== 'mongodb' && typeof (driver as { createQueryRunner?: unknown }).createQueryRunner === 'function'
    const recorder = queries && canObserve ? new QueryRecorder(scope, VENDORS.get(type) ?? 'other', () => isObservedBelow(driver)) : undefined
    const shown = new WeakRef(driver)
    this.#endShow = recorder?.show(() => shown.deref() !== undefined)
    const events = new Events(dataSource, operations, recorder, (error) => { trouble.report('typeorm models', error) })
    this.#recorder = recorder
    const layer = recorder && queryLayer(recorder, VENDORS.has(type) && !PLAIN.has(type), events.queryEnded.bind(events))
    const warn = onceWarned(type, "its driver does not run them through TypeORM's query runners")
    this.#runners = new Runners(driver, layer, events.layer, warn, (error) => { trouble.report('typeorm queries', error) })
    if (queries && !canObserve) warn()
  }

  undo (): void {
    if (this.#recorder !== undefined) this.#recorder.active = false
    this.#endShow?.()
    this.#runners.undo()
  }
}

/**
 * Gives a function that warns at its first call that the queries of a data source are not observed.
 * @param reason why, at the end of a sentence
 */
export function onceWarned (type: string, reason: string): () => void {
  let warned = false
  return () => {
    if (warned) return
    warned = true
    process.emitWarning(`fastify-prometheus: the queries of a data source of ${TYPE.test(type) ? `type '${type}'` : 'an unknown type'} are not observed: ${reason}`,
      { code: 'FP_WARN_NOT_OBSERVED' })
  }
}

/** Whether the application observes the one connection of a driver itself: its queries must not be counted twice. */
function isObservedBelow (driver: object): boolean {
  const { databaseConnection } = driver as { databaseConnection?: unknown }
  return typeof databaseConnection === 'object' && databaseConnection !== null && observedDatabases.has(databaseConnection)
}
