import { operationOf, type Operation } from '../../src/database/operation.js'
import { changedRowsOf } from './changed-rows.js'
import type { EntityEventLike, EntityMetadataLike, QueryResultEventLike } from './shapes.js'

/** What is counted of a model. */
export type ModelOperation = 'insert' | 'upsert' | 'update' | 'delete' | 'softDelete' | 'restore'
/** What TypeORM tells subscribers of; of an upsert it tells as of an insert. */
export type EntityEvent = Exclude<ModelOperation, 'upsert'>

type Verb = 'insert' | 'update' | 'delete'
/** What a statement looks like; an update of a query builder may look like another. 'tree' is what nested sets do to the rows around one. */
type Looks = ModelOperation | 'tree'

/** A statement that has changed rows, which events will tell of. */
interface Change {
  readonly verb: Verb
  readonly looks: Looks
  /** In lower case and without quotes; undefined where the text begins with a WITH. */
  readonly table: string | undefined
  /** Undefined where the driver does not say. */
  readonly rows: number | undefined
  /** Of an update or delete: under single-table inheritance they tell whose it is. */
  readonly query: string
  readonly lastParameter: unknown
  /** Whether an event comes for each row that was to be written, be it written or not. */
  readonly tolerant: boolean
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
const NAME = String.raw`(?:"(?:[^"]|"")*"|\`(?:[^\`]|\`\`)*\`|\[[^\]]*\]|[\w$]+)`
const BLANK = String.raw`(?:\s|/\*[\s\S]*?\*/|--[^\n]*\n)*`
const STATEMENT = new RegExp(
  `^${BLANK}(?:(?:insert|upsert|replace)\\b[\\w\\s]*?\\binto|merge\\s+into|update|delete\\s+from)\\s+(${NAME}(?:\\.${NAME}?)*)` +
  `(?:\\s+set\\s+${NAME}\\s*=\\s*(current_timestamp|null|case)\\b)?`, 'i')
const PREFIX = new RegExp(`^${BLANK}(?:(upsert|insert\\s+or\\s+update|merge)|insert\\s+(?:or\\s+)?ignore)\\b`, 'i')

/**
 * How many rows the statements of each runner have changed, for the events that tell of them. TypeORM tells after the statements:
 * a query builder once for each statement, or for each row it was to insert; `save()` and `remove()` when all of theirs have run, once for each entity,
 * though one statement inserts or deletes several. The latest statement of a table is the one that an event tells of.
 */
export class StatementChanges {
  readonly #byRunner = new WeakMap<object, Changes>()

  /** A statement has run. */
  statement (event: QueryResultEventLike): void {
    const operation = operationOf(event.query)
    const verb = verbOf(operation)
    if (verb === undefined || !event.success) return
    const { query, queryRunner, parameters } = event
    let changes = this.#byRunner.get(queryRunner)
    if (changes === undefined) this.#byRunner.set(queryRunner, changes = { pending: [], told: [] })
    changes.told = []
    const { pending } = changes
    const [, path, value] = STATEMENT.exec(query) ?? []
    const table = path === undefined ? undefined : path.replace(/["`[\]]/g, '').toLowerCase()
    const conflict = verb === 'insert' ? conflictOf(query) : undefined
    const looks = conflict === 'update' ? 'upsert' : looksOf(verb, value)
    const rows = changedRowsOf(event, operation)
    const last = pending[pending.length - 1]
    // Where a driver cannot return what it inserts, save() inserts one after the other.
    if (rows === 1 && verb === 'insert' && conflict === undefined && last?.verb === verb && last.table === table && last.rows === rows && !last.tolerant) {
      last.times++
      return
    }
    if (pending.length >= MOST_PENDING) pending.splice(0, MOST_PENDING / 2)
    pending.push({
      verb,
      looks,
      table,
      rows,
      query: verb === 'insert' ? '' : query,
      lastParameter: verb !== 'insert' && Array.isArray(parameters) ? parameters[parameters.length - 1] : undefined,
      tolerant: conflict !== undefined,
      times: 1
    })
  }

  /**
   * What to count for an event: the rows of its statement at the first event, nothing at the others; one for each event where no statement
   * was seen or its rows are not known.
   */
  told (operation: EntityEvent, event: EntityEventLike): { operation: ModelOperation, rows: number } {
    const changes = this.#byRunner.get(event.queryRunner)
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
    const now = { change, metadata, left: change.rows, due: verb === 'delete' || change.tolerant ? Infinity : change.rows - 1 }
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
    if ((verb === 'update' && change.looks !== operation) || narrowed?.(change) === false) continue
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
  return change.table === undefined || change.table === table
}

function counted (operation: EntityEvent, { looks }: Change): ModelOperation {
  return looks === 'upsert' ? looks : operation
}

function verbOf (operation: Operation): Verb | undefined {
  if (operation === 'merge') return 'insert'
  return operation === 'insert' || operation === 'update' || operation === 'delete' ? operation : undefined
}

function looksOf (verb: Verb, value: string | undefined): Looks {
  switch (value?.toLowerCase()) {
    case 'null': return 'restore'
    case 'current_timestamp': return 'softDelete'
    case 'case': return 'tree'
    default: return verb
  }
}

/** What an insert does with a row that is there already, in the words that TypeORM writes. */
function conflictOf (query: string): 'update' | 'nothing' | undefined {
  const prefix = PREFIX.exec(query)
  if (prefix !== null) return prefix[1] === undefined || (prefix[1].toLowerCase() === 'merge' && !query.includes('WHEN MATCHED')) ? 'nothing' : 'update'
  if (query.includes(' ON DUPLICATE KEY UPDATE ')) return 'update'
  const at = query.indexOf(' ON CONFLICT')
  if (at === -1) return undefined
  return /\bdo\s+update\b/i.test(query.slice(at)) ? 'update' : 'nothing'
}
