import { errorMonitor } from 'node:events'
import type { DatabaseRecorder, Query } from '../../src/adapter.js'
import { isHeader, type Command, type Connection, type Method } from './driver.js'

/** The statements of one connection. */
export class Statements {
  readonly #recorder: DatabaseRecorder
  readonly #connection: Connection
  /** Those without a callback. If the connection fails, the driver tells nobody about them. */
  readonly #uncalled = new Set<Statement>()
  /** The statement that is being prepared, to be executed by the next command. */
  #preparing: { readonly sql: string, executed: Statement | undefined } | undefined

  constructor (recorder: DatabaseRecorder, connection: Connection) {
    this.#recorder = recorder
    this.#connection = connection
  }

  /** Passes a command on to the driver, and records it if it is a statement. */
  send (self: unknown, add: Method, args: unknown[]): unknown {
    const command = args[0] as Command | undefined
    const started = typeof command === 'object' ? this.#watch(command) : undefined
    try {
      return Reflect.apply(add, self, args)
    } catch (error) {
      started?.dropped()
      throw error
    }
  }

  /** The connection has failed. */
  failed (error: unknown): void {
    for (const statement of this.#uncalled) statement.failed(error)
  }

  #watch (command: Command): Statement | undefined {
    try {
      const { query, statement } = command
      const sql = command.sql ?? statement?.query
      if (typeof sql === 'string') return this.#execute(command, sql)
      return typeof query === 'string' ? this.#prepare(command, query) : undefined
    } catch (error) {
      this.#recorder.report(error)
      return undefined
    }
  }

  #execute (command: Command, sql: string): Statement | undefined {
    const preparing = this.#preparing
    this.#preparing = undefined
    const query = this.#recorder.queryStarted(sql, this.#connection)
    if (query === undefined) return undefined
    const statement = new Statement(this.#recorder, query)
    if (preparing?.sql === sql) preparing.executed = statement
    const { onResult } = command
    if (typeof onResult === 'function') {
      command.onResult = function (this: unknown, ...results: unknown[]) {
        if (results[0]) statement.failed(results[0])
        else statement.succeeded(rowsOf(results[1], results[2]))
        return Reflect.apply(onResult, this, results)
      }
    } else {
      this.#listen(command, statement)
    }
    return statement
  }

  /** A statement without a callback tells of its rows and its end by events. */
  #listen (command: Command, statement: Statement): void {
    let rows: number | undefined
    this.#uncalled.add(statement)
    command.on('result', (result) => { rows = (rows ?? 0) + (isHeader(result) ? result.affectedRows : 1) })
    command.once(errorMonitor, (error) => { statement.failed(error) })
    command.once('end', () => {
      this.#uncalled.delete(statement)
      statement.succeeded(rows)
    })
  }

  /**
   * mysql2 prepares a statement and executes it by two commands, of which the second is never sent if the first has
   * failed. Then the failure is that of the statement. A preparation alone is a statement only if it fails.
   */
  #prepare (command: Command, sql: string): Statement | undefined {
    const { onResult } = command
    if (typeof onResult !== 'function') return undefined
    const recorder = this.#recorder
    const preparing: { readonly sql: string, executed: Statement | undefined } = { sql, executed: undefined }
    this.#preparing = preparing
    const query = recorder.queryStarted(sql, this.#connection)
    const alone = query && new Statement(recorder, query)
    command.onResult = function (this: unknown, ...results: unknown[]) {
      const statement = preparing.executed ?? alone
      if (results[0]) statement?.failed(results[0])
      alone?.dropped()
      return Reflect.apply(onResult, this, results)
    }
    queueMicrotask(() => { if (preparing.executed !== undefined) alone?.dropped() })
    return alone
  }
}

/** One statement, of which the driver may tell the end more than once. */
class Statement {
  readonly #recorder: DatabaseRecorder
  readonly #query: Query
  #isOver = false

  constructor (recorder: DatabaseRecorder, query: Query) {
    this.#recorder = recorder
    this.#query = query
  }

  succeeded (rows: number | undefined): void {
    if (!this.#ends()) return
    this.#recorder.querySucceeded(this.#query, rows)
  }

  failed (error: unknown): void {
    if (!this.#ends()) return
    this.#recorder.queryFailed(this.#query, error)
  }

  /** It never reached the server. */
  dropped (): void {
    if (this.#ends()) this.#query.end()
  }

  #ends (): boolean {
    if (this.#isOver) return false
    this.#isOver = true
    return true
  }
}

/**
 * Rows returned or changed.
 * @param fields of several results a list for each; undefined for a result without rows
 */
function rowsOf (result: unknown, fields: unknown): number | undefined {
  if (isHeader(result)) return result.affectedRows
  if (!Array.isArray(result)) return undefined
  const isSeveral = Array.isArray(fields) && (fields[0] === undefined || Array.isArray(fields[0]))
  return isSeveral ? result.reduce<number>((sum, one) => sum + (rowsOf(one, undefined) ?? 0), 0) : result.length
}
