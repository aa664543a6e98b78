import type { CounterChild } from '../../src/metrics/index.js'
import { operationOf } from '../../src/database/operation.js'
import { dataSourceOf, type QueryResultEventLike, type QueryRunnerLike } from './shapes.js'

/** What happened since a transaction or a savepoint began. */
interface Frame {
  /** The savepoint's name; '' for the transaction itself. */
  readonly savepoint: string
  readonly counts: Map<CounterChild, number>
}

const SAVEPOINT = /^\s*(?:savepoint|save\s+tran(?:saction)?)\s+(\S+)/i
const RELEASE = /^\s*release\s+(?:savepoint\s+)?(\S+)/i
/** With a name it is a savepoint's; SQL Server writes it without TO. */
const ROLLBACK_TO = /\bto\s+(?:savepoint\s+)?(\S+)|\btran(?:saction)?\s+(?!to\b|and\b)(\w+)/i
const CHAIN = /\band\s+chain\b/i
const PREPARED = /^\W*commit\s+prepared\b/i
const POSTGRES = new Set(['postgres', 'aurora-postgres', 'cockroachdb'])
/** Where a BEGIN without TRAN is a block of statements. */
const BLOCKS = new Set(['oracle', 'mssql'])
const BEGIN_TRAN = /\bbegin\s+tran/i
const MYSQL = new Set(['mysql', 'mariadb', 'aurora-mysql'])
/** CockroachDB's driver goes back to it to run the same statements again, without telling subscribers a second time. */
const RETRY = 'cockroach_restart'

/**
 * Counts that wait until their transaction commits. The statements tell what becomes of it, TypeORM's and the application's own
 * alike; TypeORM's events tell where a driver controls transactions without statements. Both may tell the same twice.
 */
export class Ledger {
  /** Only those with a transaction open. Weak: a runner may be dropped in the middle of one. */
  readonly #frames = new WeakMap<object, Frame[]>()

  /** Counts one when the transaction of the runner commits; at once when it has none. */
  add (runner: QueryRunnerLike, child: CounterChild): void {
    let frames = this.#frames.get(runner)
    if (frames === undefined) {
      if (!runner.isTransactionActive) return child.inc()
      // Its beginning was missed: it began before the subscriber was there, or another subscriber threw.
      frames = this.#begin(runner)
    }
    count(frames[frames.length - 1], child, 1)
  }

  /** A statement has run. */
  statement (event: QueryResultEventLike): void {
    const { query, queryRunner } = event
    const operation = operationOf(query)
    if (operation !== 'begin' && operation !== 'commit' && operation !== 'rollback') {
      if (operation === 'other' && event.success) this.#savepoint(queryRunner, query)
      return
    }
    if (operation === 'begin' && BLOCKS.has(dataSourceOf(event).options.type) && !BEGIN_TRAN.test(query)) return
    for (const part of query.split(';')) this.#control(part, event)
  }

  /** afterTransactionStart */
  started (runner: QueryRunnerLike): void {
    const frames = this.#frames.get(runner) ?? this.#begin(runner)
    const savepoint = savepointAt((runner.transactionDepth ?? 1) - 1)
    if (savepoint !== undefined && !frames.some((frame) => frame.savepoint === savepoint)) frames.push({ savepoint, counts: new Map() })
  }

  /** beforeTransactionRollback, with the depth not yet changed. */
  rollingBack (runner: QueryRunnerLike): void {
    const savepoint = savepointAt((runner.transactionDepth ?? 1) - 1)
    if (savepoint === undefined) {
      this.#frames.delete(runner)
      return
    }
    const frames = this.#frames.get(runner) ?? []
    const at = lastOf(frames, savepoint)
    if (at > 0) frames.length = at
  }

  /** afterTransactionCommit, with the depth already changed. */
  committed (runner: QueryRunnerLike): void {
    if (!runner.isTransactionActive) return this.#commit(runner)
    const savepoint = savepointAt(runner.transactionDepth ?? 0)
    if (savepoint !== undefined) this.#release(runner, savepoint)
  }

  #control (statement: string, event: QueryResultEventLike): void {
    const { queryRunner, success } = event
    const { type } = dataSourceOf(event).options
    switch (operationOf(statement)) {
      case 'begin':
        if (!success) return
        // In MySQL it commits the transaction before; elsewhere, inside one, it does nothing.
        if (MYSQL.has(type)) this.#commit(queryRunner)
        if (!this.#frames.has(queryRunner)) this.#begin(queryRunner)
        return
      case 'commit':
        if (PREPARED.test(statement)) return
        if (success && !answeredRollback(event.rawResults)) this.#commit(queryRunner)
        // A COMMIT that fails has ended the transaction in PostgreSQL; SQLite may be asked again.
        else if (success || POSTGRES.has(type)) this.#frames.delete(queryRunner)
        break
      case 'rollback': {
        if (!success) return
        const to = ROLLBACK_TO.exec(statement)
        if (to !== null) return this.#rollbackTo(queryRunner, nameOf(to[1] ?? to[2]))
        this.#frames.delete(queryRunner)
        break
      }
      default:
        if (success) this.#savepoint(queryRunner, statement)
        return
    }
    if (success && CHAIN.test(statement)) this.#begin(queryRunner)
  }

  #savepoint (runner: QueryRunnerLike, statement: string): void {
    const frames = this.#frames.get(runner)
    if (frames === undefined) return
    const released = RELEASE.exec(statement)
    if (released !== null) return this.#release(runner, nameOf(released[1]))
    const made = SAVEPOINT.exec(statement)
    if (made === null) return
    const savepoint = nameOf(made[1])
    const top = frames[frames.length - 1]
    if (savepoint === RETRY || (top?.savepoint === savepoint && top.counts.size === 0)) return
    frames.push({ savepoint, counts: new Map() })
  }

  #begin (runner: QueryRunnerLike): Frame[] {
    const frames = [{ savepoint: '', counts: new Map() }]
    this.#frames.set(runner, frames)
    return frames
  }

  #commit (runner: QueryRunnerLike): void {
    const frames = this.#frames.get(runner)
    if (frames === undefined) return
    this.#frames.delete(runner)
    for (const { counts } of frames) for (const [child, amount] of counts) child.inc(amount)
  }

  #release (runner: QueryRunnerLike, savepoint: string): void {
    const frames = this.#frames.get(runner) ?? []
    const at = lastOf(frames, savepoint)
    if (at < 1) return
    for (const { counts } of frames.splice(at)) for (const [child, amount] of counts) count(frames[at - 1], child, amount)
  }

  /** The savepoint itself stays. */
  #rollbackTo (runner: QueryRunnerLike, savepoint: string): void {
    const frames = this.#frames.get(runner) ?? []
    const at = lastOf(frames, savepoint)
    if (at < 1) return
    frames.length = at + 1
    frames[at]?.counts.clear()
  }
}

function count (frame: Frame | undefined, child: CounterChild, amount: number): void {
  frame?.counts.set(child, (frame.counts.get(child) ?? 0) + amount)
}

/** The latest of a name hides those before it. */
function lastOf (frames: readonly Frame[], savepoint: string): number {
  let at = frames.length - 1
  while (at >= 0 && frames[at]?.savepoint !== savepoint) at--
  return at
}

/** The name TypeORM gives the savepoint of a nested transaction. */
function savepointAt (depth: number): string | undefined {
  return depth > 0 ? `typeorm_${depth}` : undefined
}

function nameOf (identifier: string | undefined): string {
  return (identifier ?? '').replace(/["'`[\];]/g, '').toLowerCase()
}

/** In PostgreSQL, COMMIT of a transaction with a failed statement rolls back, without an error, and says so in its command tag. */
function answeredRollback (rawResults: unknown): boolean {
  const results: unknown[] = Array.isArray(rawResults) ? rawResults : [rawResults]
  return results.some((result) => (result as { command?: unknown } | null | undefined)?.command === 'ROLLBACK')
}
