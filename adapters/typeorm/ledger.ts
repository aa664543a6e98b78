import { operationOf, type Operation } from '../../src/database/operation.js'
import type { CounterChild } from '../../src/metrics/index.js'
import { count, lastOf, pay, type Frame } from './frames.js'
import { endPrepared, keepPrepared, preparedBy, preparedEndOf } from './prepared.js'
import { dataSourceOf, type EventLike, type QueryResultEventLike, type QueryRunnerLike } from './shapes.js'
import { statementsOf } from './statements.js'
import { MYSQL, POSTGRES, SQLITE, areSeveral, beganWithoutAutocommit, commitsImplicitly, endedByFailure, inTransaction, sessionOf } from './transaction-state.js'

/** A runner whose connection is in a transaction, or is not although TypeORM says so. */
interface Standing {
  /** Undefined: in none. */
  frames: Frame[] | undefined
  /** Whether the driver said that there is no transaction. */
  ended: boolean
  /** False where each statement begins one; undefined where nothing was said. Of MySQL alone. */
  autocommit: boolean | undefined
}

const SAVEPOINT = /^\s*(?:savepoint|save\s+tran(?:saction)?)\s+(\S+)/i
const RELEASE = /^\s*release\s+(?:savepoint\s+)?(\S+)/i
/** With a name it is a savepoint's; SQL Server writes it without TO. */
const ROLLBACK_TO = /\bto\s+(?:savepoint\s+)?(\S+)|\btran(?:saction)?\s+(?!to\b|and\b)(\w+)/i
const COMMENTS = /^(?:\s|\/\*[\s\S]*?\*\/|--[^\n]*\n)+/
const CHAIN = /\band\s+chain\b/i
/** Where a BEGIN without TRAN is a block of statements. */
const BLOCKS = new Set(['oracle', 'mssql'])
const BEGIN_TRAN = /\bbegin\s+tran/i
/** CockroachDB's driver goes back to it to run the same statements again, without telling subscribers a second time. */
const RETRY = 'cockroach_restart'

/**
 * Counts that wait until their transaction commits. The statements tell what becomes of it, TypeORM's and the application's own
 * alike; TypeORM's events tell where a driver controls transactions without statements. Both may tell the same twice. Where the
 * driver says whether there is a transaction, that is believed over both.
 */
export class Ledger {
  /** Weak: a runner may be dropped in the middle of a transaction. */
  readonly #standings = new WeakMap<object, Standing>()

  /** Counts when the transaction of the event's runner commits; at once when it has none. */
  add (event: EventLike, child: CounterChild, amount: number): void {
    const runner = event.queryRunner
    const standing = this.#standings.get(runner)
    const open = inTransaction(event) ?? (standing?.ended === true ? false : undefined)
    let frames = standing?.frames
    if (open === false || (frames === undefined && open === undefined && !runner.isTransactionActive)) {
      if (standing !== undefined) standing.frames = undefined
      return child.inc(amount)
    }
    // Its beginning was missed: it began before the subscriber was there, or another subscriber threw.
    frames ??= this.#begin(runner)
    count(frames[frames.length - 1], child, amount)
  }

  /** A statement has run. */
  statement (event: QueryResultEventLike, operation: Operation): void {
    const { query, queryRunner, success } = event
    const { type } = dataSourceOf(event).options
    if (operation === 'begin' || operation === 'commit' || operation === 'rollback' || areSeveral(event.rawResults, type)) {
      if (operation === 'begin' && BLOCKS.has(type) && !BEGIN_TRAN.test(query)) return
      this.#controls(event)
    } else if (operation === 'other') {
      this.#other(event, query, event.rawResults)
    }
    if (!success) this.#failed(event)
    else if (MYSQL.has(type)) this.#session(event)
    else if (type === 'oracle' && commitsImplicitly(query, type)) this.#commit(queryRunner)
    else this.#believe(event)
  }

  /** afterTransactionStart */
  started (event: EventLike): void {
    const runner = event.queryRunner
    const standing = this.#standings.get(runner)
    const depth = (runner.transactionDepth ?? 1) - 1
    if (inTransaction(event) === false || (depth > 0 && standing?.ended === true)) return
    const frames = standing?.frames ?? this.#begin(runner)
    const savepoint = savepointAt(depth)
    if (savepoint !== undefined && !frames.some((frame) => frame.savepoint === savepoint)) frames.push({ savepoint, counts: new Map() })
  }

  /** beforeTransactionRollback, with the depth not yet changed. */
  rollingBack ({ queryRunner: runner }: EventLike): void {
    const savepoint = savepointAt((runner.transactionDepth ?? 1) - 1)
    if (savepoint === undefined) return this.#drop(runner)
    const frames = this.#framesOf(runner) ?? []
    const at = lastOf(frames, savepoint)
    if (at > 0) frames.length = at
  }

  /** afterTransactionCommit, with the depth already changed. */
  committed ({ queryRunner: runner }: EventLike): void {
    if (!runner.isTransactionActive) return this.#commit(runner)
    const savepoint = savepointAt(runner.transactionDepth ?? 0)
    if (savepoint !== undefined) this.#release(runner, savepoint)
  }

  /** Text that controls transactions: one statement or several. */
  #controls (event: QueryResultEventLike): void {
    const { query, rawResults } = event
    const { type } = dataSourceOf(event).options
    const parts = statementsOf(query, type)
    // SQLite runs the first statement of a text.
    if (SQLITE.has(type)) parts.length = Math.min(parts.length, 1)
    if (!areSeveral(rawResults, type)) {
      for (const part of parts) this.#control(part, event, rawResults)
    } else if (parts.length === rawResults.length) {
      parts.forEach((part, i) => { this.#control(part, event, rawResults[i]) })
    } else {
      // A function's body may have semicolons of its own: the command tags say what was run.
      for (const result of rawResults) this.#control(commandOf(result) ?? '', event, result)
    }
  }

  #control (statement: string, event: QueryResultEventLike, result: unknown): void {
    const { queryRunner, success } = event
    const { type } = dataSourceOf(event).options
    switch (operationOf(statement)) {
      case 'begin':
        if (!success) return
        // In MySQL it commits the transaction before; elsewhere, inside one, it does nothing.
        if (MYSQL.has(type)) this.#commit(queryRunner)
        if (this.#framesOf(queryRunner) === undefined) this.#begin(queryRunner)
        return
      case 'commit':
        if (this.#endsPrepared(event, statement)) return
        if (success && commandOf(result) !== 'ROLLBACK') this.#commit(queryRunner)
        // A COMMIT that fails has ended the transaction in PostgreSQL; SQLite may be asked again.
        else if (success || POSTGRES.has(type)) this.#drop(queryRunner)
        break
      case 'rollback': {
        if (!success || this.#endsPrepared(event, statement)) return
        const to = ROLLBACK_TO.exec(statement)
        if (to !== null) return this.#rollbackTo(queryRunner, nameOf(to[1] ?? to[2]))
        this.#drop(queryRunner)
        break
      }
      default:
        this.#other(event, statement, result)
        return
    }
    if (success && CHAIN.test(statement)) this.#begin(queryRunner)
  }

  /** Savepoints, and the first half of a commit in two phases. */
  #other (event: QueryResultEventLike, text: string, result: unknown): void {
    const statement = text.replace(COMMENTS, '')
    const { queryRunner: runner, success } = event
    const { type } = dataSourceOf(event).options
    if (this.#endsPrepared(event, statement)) return
    const frames = this.#framesOf(runner)
    const name = preparedBy(statement)
    if (name !== undefined) {
      if (frames !== undefined && success && commandOf(result) !== 'ROLLBACK') keepPrepared(event, name, frames)
      // PostgreSQL rolls back what it fails to prepare.
      if (success || POSTGRES.has(type)) this.#drop(runner)
      return
    }
    if (!success) return
    if (frames === undefined) {
      // SQLite begins a transaction by a savepoint, where none is open.
      const made = SQLITE.has(type) ? SAVEPOINT.exec(statement) : null
      if (made !== null) this.#begin(runner, nameOf(made[1]))
      return
    }
    const released = RELEASE.exec(statement)
    if (released !== null) return this.#release(runner, nameOf(released[1]))
    const made = SAVEPOINT.exec(statement)
    if (made === null) return
    const savepoint = nameOf(made[1])
    const top = frames[frames.length - 1]
    if (savepoint === RETRY || (top?.savepoint === savepoint && top.counts.size === 0)) return
    frames.push({ savepoint, counts: new Map() })
  }

  /** Whether a statement is the second half of one. XA ends a transaction so that was not prepared, too. */
  #endsPrepared (event: QueryResultEventLike, statement: string): boolean {
    const end = preparedEndOf(statement)
    if (end === undefined) return false
    if (event.success && !endPrepared(event, end) && !end.committed) this.#drop(event.queryRunner)
    return true
  }

  #failed (event: QueryResultEventLike): void {
    const { type } = dataSourceOf(event).options
    const ended = endedByFailure(event, type)
    if (ended === 'committed') this.#commit(event.queryRunner)
    // pg hears of a failure before it hears what it has done to the transaction.
    else if (ended === 'rolledBack' || (!POSTGRES.has(type) && inTransaction(event) === false)) this.#drop(event.queryRunner)
    else return
    this.#standingOf(event.queryRunner).ended = true
  }

  /** A transaction that was ended where it is not seen may have been committed or not, so it counts nothing. */
  #believe (event: QueryResultEventLike): void {
    if (this.#framesOf(event.queryRunner) !== undefined && inTransaction(event) === false) this.#drop(event.queryRunner)
  }

  /** What MySQL answers says whether there is a transaction: DDL has ended one, a statement without autocommit has begun one. */
  #session (event: QueryResultEventLike): void {
    const runner = event.queryRunner
    const session = sessionOf(event)
    const known = this.#standings.get(runner)
    if (session === undefined) {
      if (known?.frames === undefined && !(known?.autocommit ?? !beganWithoutAutocommit(event))) this.#begin(runner)
      return
    }
    if (session.inTransaction) {
      if (known?.frames === undefined) this.#begin(runner)
    } else {
      if (known === undefined && session.autocommit && !runner.isTransactionActive) return
      this.#commit(runner)
      this.#standingOf(runner).ended = true
    }
    this.#standingOf(runner).autocommit = session.autocommit
  }

  #standingOf (runner: QueryRunnerLike): Standing {
    let standing = this.#standings.get(runner)
    if (standing === undefined) this.#standings.set(runner, standing = { frames: undefined, ended: false, autocommit: undefined })
    return standing
  }

  #framesOf (runner: QueryRunnerLike): Frame[] | undefined {
    return this.#standings.get(runner)?.frames
  }

  #begin (runner: QueryRunnerLike, savepoint = ''): Frame[] {
    const standing = this.#standingOf(runner)
    standing.ended = false
    return (standing.frames = [{ savepoint, counts: new Map() }])
  }

  #drop (runner: QueryRunnerLike): void {
    const standing = this.#standings.get(runner)
    if (standing !== undefined) standing.frames = undefined
  }

  #commit (runner: QueryRunnerLike): void {
    const frames = this.#framesOf(runner)
    if (frames === undefined) return
    this.#drop(runner)
    pay(frames)
  }

  #release (runner: QueryRunnerLike, savepoint: string): void {
    const frames = this.#framesOf(runner) ?? []
    const at = lastOf(frames, savepoint)
    // The savepoint that began the transaction ends it.
    if (at === 0 && savepoint !== '') {
      this.#commit(runner)
      this.#standingOf(runner).ended = true
    }
    if (at < 1) return
    for (const { counts } of frames.splice(at)) for (const [child, amount] of counts) count(frames[at - 1], child, amount)
  }

  /** The savepoint itself stays. */
  #rollbackTo (runner: QueryRunnerLike, savepoint: string): void {
    const frames = this.#framesOf(runner) ?? []
    const at = lastOf(frames, savepoint)
    if (at < 0 || savepoint === '') return
    frames.length = at + 1
    frames[at]?.counts.clear()
  }
}

/** The name TypeORM gives the savepoint of a nested transaction. */
function savepointAt (depth: number): string | undefined {
  return depth > 0 ? `typeorm_${depth}` : undefined
}

function nameOf (identifier: string | undefined): string {
  return (identifier ?? '').replace(/["'`[\];]/g, '').toLowerCase()
}

/** PostgreSQL's command tag: COMMIT of a transaction with a failed statement rolls back, without an error, and is answered ROLLBACK. */
function commandOf (result: unknown): string | undefined {
  const { command } = (result ?? {}) as { command?: unknown }
  return typeof command === 'string' ? command : undefined
}
