import type { Operation } from '../../src/adapter.js'
import { changedRowsOf } from './changed-rows.js'
import type { EntityEventLike, EntityMetadataLike, QueryResultEventLike, QueryRunnerLike } from './shapes.js'
import { verbOf, writeTextOf, type Verb, type WriteText } from './write-text.js'

/** The operations of a model that are counted. */
export type ModelOperation = 'insert' | 'upsert' | 'update' | 'delete' | 'softDelete' | 'restore'
/** The operations that TypeORM tells subscribers of. It tells of an upsert as of an insert. */
export type EntityEvent = Exclude<ModelOperation, 'upsert'>

/** A statement that has changed rows. Events of these rows will follow. */
interface Change {
  readonly verb: Verb
  readonly text: WriteText
  /** Undefined when the driver does not say. */
  readonly rows: number | undefined
  /**
   * For an update or delete. Under single-table inheritance, the query and its last parameter tell the statement's
   * model.
   */
  readonly query: string
  readonly lastParameter: unknown
  /** How many equal statements came in a row. */
  times: number
}

/** A statement of which at least one event has come. More events may come before the next statement. */
interface Told {
  readonly change: Change
  readonly metadata: EntityMetadataLike
  /** Rows that are not counted yet. */
  left: number
  /** Events that are still to come. */
  due: number
}

interface Changes {
  readonly pending: Change[]
  told: Told[]
}

/** The most statements without events that are kept: an application may have switched listeners off. */
const MOST_PENDING = 1000
const NOTHING: Changes = { pending: [], told: [] }
/**
 * The rows that the statements of each runner have changed, for the events that tell of them. TypeORM sends its events
 * after the statements. A query builder sends one event for each statement, or for each row that it was to insert.
 * `save()` and `remove()` send one event for each entity when all their statements have run, though one statement
 * inserts or deletes several entities. An event tells of the latest statement of its table.
 */
export class StatementChanges {
  readonly #byRunner = new WeakMap<object, Changes>()
  /** The runner of the latest statement. Its events mostly come next, and then the map needs no entry for it. */
  #runner: object | undefined
  #changes: Changes = NOTHING

  /** Remembers a statement that has succeeded. */
  addStatement (event: QueryResultEventLike, operation: Operation): void {
    const verb = verbOf(operation)
    if (verb === undefined) return
    const { query, queryRunner, parameters } = event
    const changes = this.#enter(queryRunner)
    changes.told = []
    const { pending } = changes
    const text = writeTextOf(query, verb)
    const rows = changedRowsOf(event, operation)
    const last = pending[pending.length - 1]
    // When a driver cannot return inserted rows, save() inserts them one after the other.
    if (rows === 1 && verb === 'insert' && text.conflict === undefined && last?.verb === verb && last.text.table === text.table && last.rows === rows && last.text.conflict === undefined) {
      last.times++
      return
    }
    if (pending.length >= MOST_PENDING) pending.splice(0, MOST_PENDING / 2)
    const narrows = verb !== 'insert' && Array.isArray(parameters)
    pending.push({ verb, text, rows, query: narrows ? query : '', lastParameter: narrows ? parameters[parameters.length - 1] : undefined, times: 1 })
  }

  #enter (runner: QueryRunnerLike): Changes {
    if (this.#runner === runner) return this.#changes
    if (this.#runner !== undefined && this.#changes.pending.length > 0) this.#byRunner.set(this.#runner, this.#changes)
    this.#runner = runner
    return (this.#changes = this.#byRunner.get(runner) ?? { pending: [], told: [] })
  }

  /**
   * Gives what to count for an event: all rows of its statement at the first event, none at the others. One for each
   * event when its statement was not seen or the statement's rows are not known.
   */
  takeRows (operation: EntityEvent, event: EntityEventLike): { operation: ModelOperation, rows: number } {
    const changes = this.#runner === event.queryRunner ? this.#changes : this.#byRunner.get(event.queryRunner)
    if (changes === undefined) return { operation, rows: 1 }
    const { metadata } = event
    const verb = operation === 'insert' || operation === 'delete' ? operation : 'update'
    const table = (metadata.tablePath ?? metadata.tableName).toLowerCase()
    const before = changes.told.find((told) => told.change.verb === verb && isOf(told.change, table) && (verb === 'insert' || told.metadata === metadata))
    // The one event of a query builder's statement has no entity and no identifier. Orphans that save() removes have at
    // least an identifier.
    const whole = verb === 'update' || (verb === 'delete' && event.entity === undefined && event.entityId === undefined)
    if (before !== undefined && before.due > 0 && !whole) {
      before.due--
      return { operation: countedAs(operation, before.change), rows: takeOne(before) }
    }
    const change = take(changes.pending, operation, verb, table, metadata)
    if (change === undefined) return { operation, rows: before === undefined ? 1 : 0 }
    const as = countedAs(operation, change)
    if (change.rows === undefined) return { operation: as, rows: 1 }
    if (verb === 'update') return { operation: as, rows: change.rows }
    const now = { change, metadata, left: change.rows, due: verb === 'delete' || change.text.conflict !== undefined ? Infinity : change.rows - 1 }
    changes.told = [now, ...changes.told.filter((told) => told !== before)]
    // The events of one insert may be of several models that share a table.
    if (verb === 'insert' && isShared(metadata)) return { operation: as, rows: takeOne(now) }
    now.left = 0
    return { operation: as, rows: change.rows }
  }
}

function takeOne (told: Told): number {
  if (told.left === 0) return 0
  told.left--
  return 1
}

/** Takes the latest statement that fits both the operation and the model, else the latest that may fit. */
function take (pending: Change[], operation: EntityEvent, verb: Verb, table: string, metadata: EntityMetadataLike): Change | undefined {
  const narrowed = verb === 'insert' ? undefined : narrowedBy(metadata)
  let at = -1
  for (let i = pending.length - 1; i >= 0; i--) {
    const change = pending[i] as Change
    if (change.verb !== verb || !isOf(change, table)) continue
    if (at === -1) at = i
    if ((verb === 'update' && change.text.looks !== operation) || narrowed?.(change) === false) continue
    at = i
    break
  }
  const change = pending[at]
  if (change === undefined) return undefined
  if (--change.times === 0) pending.splice(at, 1)
  return change
}

/** Whether several models share one table, under single-table inheritance. */
function isShared ({ parentEntityMetadata, childEntityMetadatas }: EntityMetadataLike): boolean {
  return parentEntityMetadata !== undefined || (childEntityMetadatas ?? []).length > 0
}

/**
 * Tells whether an update or delete is of this model and not of another model of its table. For a child, TypeORM adds
 * `AND "kind" IN ($2)` with the child's value as the last parameter (typeorm/query-builder/QueryBuilder.js,
 * createWhereExpression).
 */
function narrowedBy (metadata: EntityMetadataLike): ((change: Change) => boolean) | undefined {
  const { discriminatorColumn, discriminatorValue, parentEntityMetadata } = metadata
  if (!isShared(metadata) || discriminatorColumn === undefined) return undefined
  const condition = new RegExp(`${discriminatorColumn.databaseName.replace(/\W/g, '\\$&')}["\`\\]]? IN \\(`)
  return ({ query, lastParameter }) => condition.test(query) ? parentEntityMetadata !== undefined && lastParameter === discriminatorValue : parentEntityMetadata === undefined
}

function isOf (change: Change, table: string): boolean {
  return change.text.table === undefined || change.text.table === table
}

function countedAs (operation: EntityEvent, { text }: Change): ModelOperation {
  return text.conflict === 'update' ? 'upsert' : operation
}
