import { operationOf, type CounterChild, type Operation } from '../../src/adapter.js'
import { addToFrame, countFrames, lastOf, type Frame } from './frames.js'
import { endPrepared, keepPrepared, preparedBy, preparedEndOf } from './prepared.js'
import { dataSourceOf, type EventLike, type QueryResultEventLike, type QueryRunnerLike } from './shapes.js'
import { statementsOf } from './statements.js'
import { MYSQL, POSTGRES, SQLITE, areSeveral, beganWithoutAutocommit, commitsImplicitly, endedByFailure, inTransaction, sessionOf } from './transaction-state.js'

/** The state of a runner whose connection is in a transaction, or is in none although TypeORM says that it is. */
interface Standing {
  /** Undefined when there is no transaction. */
  frames: Frame[] | undefined
  /** Whether the driver said that there is no transaction. */
  ended: boolean
  /** For MySQL alone: false when each statement begins a transaction; undefined when the server has not said. */
  autocommit: boolean | undefined
}

const SAVEPOINT = /^\s*(?:savepoint|save\s+tran(?:saction)?)\s+(\S+)/i
const RELEASE = /^\s*release\s+(?:savepoint\s+)?(\S+)/i
/** A ROLLBACK with a name goes back to a savepoint; SQL Server writes it without TO. */
const ROLLBACK_TO = /\bto\s+(?:savepoint\s+)?(\S+)|\btran(?:saction)?\s+(?!to\b|and\b)(\w+)/i
const COMMENTS = /^(?:\s|\/\*[\s\S]*?\*\/|--[^\n]*\n)+/
const CHAIN = /\band\s+chain\b/i
/** Databases where a BEGIN without TRAN begins a block of statements. */
const BLOCKS = new Set(['oracle', 'mssql'])
const BEGIN_TRAN = /\bbegin\s+tran/i
/**
 * CockroachDB's driver goes back to this savepoint to run the same statements again. It does not tell subscribers a
 * second time.
 */
const RETRY = 'cockroach_restart'

/**
 * Counts that wait until their transaction commits. Statements show what becomes of a transaction, both TypeORM's and
 * the application's own. TypeORM's events show it for drivers that control transactions without statements. Both may
 * show the same step. If the driver says whether there is a transaction, that decides.
 */
export class Ledger {
  /** Weak: a runner may be dropped in the middle of a transaction. */
  readonly #standings = new WeakMap<object, Standing>()

  /** Counts when the transaction of the event's runner commits; at once when the runner has no transaction. */
  add (event: EventLike, child: CounterChild, amount: number): void {
    const runner = event.queryRunner
    const standing = this.#standings.get(runner)
    const open = inTransaction(event) ?? (standing?.ended === true ? false : undefined)
    let frames = standing?.frames
    if (open === false || (frames === undefined && open === undefined && !runner.isTransactionActive)) {
      if (standing !== undefined) standing.frames = undefined
      return child.inc(amount)
    }
    // The transaction began unseen: before the subscriber was there, or another subscriber threw.
    frames ??= this.#begin(runner)
    addToFrame(frames[frames.length - 1], child, amount)
  }

  /** A statement has run. */
  followStatement (event: QueryResultEventLike, operation: Operation): void {
    const { query, queryRunner, success } = event
    const { type } = dataSourceOf(event).options
    if (operation === 'begin' || operation === 'commit' || operation === 'rollback' || areSeveral(event.rawResults, type)) {
      if (operation === 'begin' && BLOCKS.has(type) && !BEGIN_TRAN.test(query)) return
      this.#followControls(event)
    } else if (operation === 'other') {
      this.#followOther(event, query, event.rawResults)
    }
    if (!success) this.#followFailure(event)
    else if (MYSQL.has(type)) this.#followSession(event)
    else if (type === 'oracle' && commitsImplicitly(query, type)) this.#commit(queryRunner)
    else this.#dropIfEnded(event)
  }

  /** TypeORM's afterTransactionStart. */
  started (event: EventLike): void {
    const runner = event.queryRunner
    const standing = this.#standings.get(runner)
    const depth = (runner.transactionDepth ?? 1) - 1
    if (inTransaction(event) === false || (depth > 0 && standing?.ended === true)) return
    const frames = standing?.frames ?? this.#begin(runner)
    const savepoint = savepointAt(depth)
    if (savepoint !== undefined && !frames.some((frame) => frame.savepoint === savepoint)) frames.push({ savepoint, counts: new Map() })
  }

  /** TypeORM's beforeTransactionRollback: the depth has not changed yet. */
  rollingBack ({ queryRunner: runner }: EventLike): void {
    const savepoint = savepointAt((runner.transactionDepth ?? 1) - 1)
    if (savepoint === undefined) return this.#drop(runner)
    const frames = this.#framesOf(runner) ?? []
    const at = lastOf(frames, savepoint)
    if (at > 0) frames.length = at
  }

  /** TypeORM's afterTransactionCommit: the depth has changed already. */
  committed ({ queryRunner: runner }: EventLike): void {
    if (!runner.isTransactionActive) return this.#commit(runner)
    const savepoint = savepointAt(runner.transactionDepth ?? 0)
    if (savepoint !== undefined) this.#release(runner, savepoint)
  }

  /** Follows a text that controls transactions: one statement or several. */
  #followControls (event: QueryResultEventLike): void {
    const { query, rawResults } = event
    const { type } = dataSourceOf(event).options
    const parts = statementsOf(query, type)
    // SQLite runs only the first statement of a text.
    if (SQLITE.has(type)) parts.length = Math.min(parts.length, 1)
    if (!areSeveral(rawResults, type)) {
      for (const part of parts) this.#followControl(part, event, rawResults)
    } else if (parts.length === rawResults.length) {
      parts.forEach((part, i) => { this.#followControl(part, event, rawResults[i]) })
    } else {
      // A function's body may have semicolons of its own, so the command tags tell which statements ran.
      for (const result of rawResults) this.#followControl(commandOf(result) ?? '', event, result)
    }
  }

  #followControl (statement: string, event: QueryResultEventLike, result: unknown): void {
    const { queryRunner, success } = event
    const { type } = dataSourceOf(event).options
    switch (operationOf(statement)) {
      case 'begin':
        if (!success) return
        // In MySQL, BEGIN commits the open transaction. Elsewhere, BEGIN inside a transaction does nothing.
        if (MYSQL.has(type)) this.#commit(queryRunner)
        if (this.#framesOf(queryRunner) === undefined) this.#begin(queryRunner)
        return
      case 'commit':
        if (this.#followPreparedEnd(event, statement)) return
        if (success && commandOf(result) !== 'ROLLBACK') this.#commit(queryRunner)
        // In PostgreSQL a COMMIT that fails has ended the transaction. In SQLite the COMMIT may be tried again.
        else if (success || POSTGRES.has(type)) this.#drop(queryRunner)
        break
      case 'rollback': {
        if (!success || this.#followPreparedEnd(event, statement)) return
        const to = ROLLBACK_TO.exec(statement)
        if (to !== null) return this.#rollbackTo(queryRunner, nameOf(to[1] ?? to[2]))
        this.#drop(queryRunner)
        break
      }
      default:
        this.#followOther(event, statement, result)
        return
    }
    if (success && CHAIN.test(statement)) this.#begin(queryRunner)
  }

  /** Follows savepoints, and the first half of a two-phase commit. */
  #followOther (event: QueryResultEventLike, text: string, result: unknown): void {
    const statement = text.replace(COMMENTS, '')
    const { queryRunner: runner, success } = event
    const { type } = dataSourceOf(event).options
    if (this.#followPreparedEnd(event, statement)) return
    const frames = this.#framesOf(runner)
    const name = preparedBy(statement)
    if (name !== undefined) {
      if (frames !== undefined && success && commandOf(result) !== 'ROLLBACK') keepPrepared(event, name, frames)
      // PostgreSQL rolls back a transaction that it fails to prepare.
      if (success || POSTGRES.has(type)) this.#drop(runner)
      return
    }
    if (!success) return
    if (frames === undefined) {
      // In SQLite a savepoint begins a transaction when none is open.
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

  /**
   * Whether a statement is the second half of a two-phase commit; if so, follows it. XA uses the same statement for a
   * transaction that was not prepared.
   */
  #followPreparedEnd (event: QueryResultEventLike, statement: string): boolean {
    const end = preparedEndOf(statement)
    if (end === undefined) return false
    if (event.success && !endPrepared(event, end) && !end.committed) this.#drop(event.queryRunner)
    return true
  }

  #followFailure (event: QueryResultEventLike): void {
    const { type } = dataSourceOf(event).options
    const ended = endedByFailure(event, type)
    if (ended === 'committed') this.#commit(event.queryRunner)
    // pg learns of a failure before it learns what the failure did to the transaction.
    else if (ended === 'rolledBack' || (!POSTGRES.has(type) && inTransaction(event) === false)) this.#drop(event.queryRunner)
    else return
    this.#standingOf(event.queryRunner).ended = true
  }

  /** Drops a transaction that ended unseen: it may have been committed or rolled back, so it counts nothing. */
  #dropIfEnded (event: QueryResultEventLike): void {
    if (this.#framesOf(event.queryRunner) !== undefined && inTransaction(event) === false) this.#drop(event.queryRunner)
  }

  /**
   * Follows the session in MySQL's answer: DDL has ended a transaction, a statement without autocommit has begun one.
   */
  #followSession (event: QueryResultEventLike): void {
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
    countFrames(frames)
  }

  #release (runner: QueryRunnerLike, savepoint: string): void {
    const frames = this.#framesOf(runner) ?? []
    const at = lastOf(frames, savepoint)
    // Releasing the savepoint that began the transaction commits it.
    if (at === 0 && savepoint !== '') {
      this.#commit(runner)
      this.#standingOf(runner).ended = true
    }
    if (at < 1) return
    for (const { counts } of frames.splice(at)) for (const [child, amount] of counts) addToFrame(frames[at - 1], child, amount)
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

/**
 * PostgreSQL's command tag. After a failed statement, COMMIT rolls the transaction back without an error, and its tag
 * is ROLLBACK.
 */
function commandOf (result: unknown): string | undefined {
  const { command } = (result ?? {}) as { command?: unknown }
  return typeof command === 'string' ? command : undefined
}
