import type { Operation } from '../../src/database/operation.js'
import { changedRowsOf } from './changed-rows.js'
import type { EntityEventLike, EntityMetadataLike, QueryResultEventLike, QueryRunnerLike } from './shapes.js'
import { verbOf, writeTextOf, type Verb, type WriteText } from './write-text.js'

/** What is counted of a model. */
export type ModelOperation = 'insert' | 'upsert' | 'update' | 'delete' | 'softDelete' | 'restore'
/** What TypeORM tells subscribers of; of an upsert it tells as of an insert. */
export type EntityEvent = Exclude<ModelOperation, 'upsert'>

/** A statement that has changed rows, which events will tell of. */
interface Change {
  readonly verb: Verb
  readonly text: WriteText
  /** Undefined where the driver does not say. */
  readonly rows: number | undefined
  /** Of an update or delete: under single-table inheritance they tell whose it is. */
  readonly query: string
  readonly lastParameter: unknown
  /** How many in a row were the same. */
  times: number
}

/** A statement of which at least one event has been, and more may come before the next statement. */
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

/** Statements without events that are kept: those of somebody who has switched listeners off. */
const MOST_PENDING = 1000
const NOTHING: Changes = { pending: [], told: [] }
/**
 * How many rows the statements of each runner have changed, for the events that tell of them. TypeORM tells after the statements:
 * a query builder once for each statement, or for each row it was to insert; `save()` and `remove()` when all of theirs have run, once for each entity,
 * though one statement inserts or deletes several. The latest statement of a table is the one that an event tells of.
 */
export class StatementChanges {
  readonly #byRunner = new WeakMap<object, Changes>()
  /** The runner of the latest statement: its events mostly come next, and then nothing of it need be kept. */
  #runner: object | undefined
  #changes: Changes = NOTHING

  /** A statement has succeeded. */
  statement (event: QueryResultEventLike, operation: Operation): void {
    const verb = verbOf(operation)
    if (verb === undefined) return
    const { query, queryRunner, parameters } = event
    const changes = this.#enter(queryRunner)
    changes.told = []
    const { pending } = changes
    const text = writeTextOf(query, verb)
    const rows = changedRowsOf(event, operation)
    const last = pending[pending.length - 1]
    // Where a driver cannot return what it inserts, save() inserts one after the other.
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
   * What to count for an event: the rows of its statement at the first event, nothing at the others; one for each event where no statement
   * was seen or its rows are not known.
   */
  told (operation: EntityEvent, event: EntityEventLike): { operation: ModelOperation, rows: number } {
    const changes = this.#runner === event.queryRunner ? this.#changes : this.#byRunner.get(event.queryRunner)
    if (changes === undefined) return { operation, rows: 1 }
    const { metadata } = event
    const verb = operation === 'insert' || operation === 'delete' ? operation : 'update'
    const table = (metadata.tablePath ?? metadata.tableName).toLowerCase()
    const before = changes.told.find((told) => told.change.verb === verb && isOf(told.change, table) && (verb === 'insert' || told.metadata === metadata))
    // A query builder's one event of a statement has neither; orphans that save() removes have an identifier at least.
    const whole = verb === 'update' || (verb === 'delete' && event.entity === undefined && event.entityId === undefined)
    if (before !== undefined && before.due > 0 && !whole) {
      before.due--
      return { operation: counted(operation, before.change), rows: one(before) }
    }
    const change = take(changes.pending, operation, verb, table, metadata)
    if (change === undefined) return { operation, rows: before === undefined ? 1 : 0 }
    const as = counted(operation, change)
    if (change.rows === undefined) return { operation: as, rows: 1 }
    if (verb === 'update') return { operation: as, rows: change.rows }
    const now = { change, metadata, left: change.rows, due: verb === 'delete' || change.text.conflict !== undefined ? Infinity : change.rows - 1 }
    changes.told = [now, ...changes.told.filter((told) => told !== before)]
    // An insert's events may be those of several models, which share a table.
    if (verb === 'insert' && isShared(metadata)) return { operation: as, rows: one(now) }
    now.left = 0
    return { operation: as, rows: change.rows }
  }
}

function one (told: Told): number {
  if (told.left === 0) return 0
  told.left--
  return 1
}

/** The latest statement that looks like the operation and the model's own, else the latest that may be. */
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

/** Under single-table inheritance: whether several models have one table. */
function isShared ({ parentEntityMetadata, childEntityMetadatas }: EntityMetadataLike): boolean {
  return parentEntityMetadata !== undefined || (childEntityMetadatas ?? []).length > 0
}

/**
 * Whether an update or delete is of a model and no other of its table: of a child, TypeORM adds `AND "kind" IN ($2)` with the value of
 * the child last (typeorm/query-builder/QueryBuilder.js, createWhereExpression).
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

function counted (operation: EntityEvent, { text }: Change): ModelOperation {
  return text.conflict === 'update' ? 'upsert' : operation
}
