import { errorMonitor } from 'node:events'
import type { DatabaseRecorder, Query } from '../../src/adapter.js'
import { isHeader, type Command, type Connection, type Method } from './driver.js'

/** The statements of one connection. */
export class Statements {
  readonly #recorder: DatabaseRecorder
  readonly #connection: Connection
  /** Those without a callback. If the connection fails, the driver tells nobody about them. */
  readonly #uncalled = new Set<Statement>()
  /** The statement without a callback that is on its way to the driver right now. */
  #sending: Statement | undefined
  /** What was prepared last, if the command that executes it may follow. */
  #preparation: { readonly sql: string, readonly statement: Statement } | undefined

  constructor (recorder: DatabaseRecorder, connection: Connection) {
    this.#recorder = recorder
    this.#connection = connection
  }

  /** Passes a command on to the driver, and records it if it is a statement. */
  send (self: unknown, add: Method, args: unknown[]): unknown {
    const command = args[0] as Command | undefined
    const statement = typeof command === 'object' && command !== null ? this.#watch(command) : undefined
    try {
      return Reflect.apply(add, self, args)
    } catch (error) {
      statement?.dropped()
      throw error
    } finally {
      this.#sending = undefined
    }
  }

  /** The connection is lost, and the driver tells the statements that have a callback. */
  lost (error: unknown): void {
    for (const statement of this.#uncalled) statement.failed(error)
    this.#uncalled.clear()
  }

  /** The connection has told its listeners of an error. What is sent on a closed connection is told in no other way. */
  failed (error: unknown): void {
    if (this.#sending === undefined) this.lost(error)
    else this.#sending.failed(error)
  }

  #watch (command: Command): Statement | undefined {
    try {
      const { sql, query } = command
      if (typeof sql === 'string') return this.#started(command, sql)
      const prepared = command.statement?.query
      if (typeof prepared === 'string') return this.#started(command, prepared)
      return typeof query === 'string' ? this.#prepare(command, query) : undefined
    } catch (error) {
      this.#recorder.report(error)
      return undefined
    }
  }

  #started (command: Command, sql: string): Statement | undefined {
    const statement = this.#prepared(command, sql) ?? this.#begin(sql)
    if (statement === undefined) return undefined
    const { onResult } = command
    if (typeof onResult === 'function') {
      command.onResult = function (this: unknown, ...results: unknown[]) {
        if (results[0]) statement.failed(results[0])
        else statement.succeeded(rowsOf(results[1], results[2]))
        return statement.call(onResult, this, results)
      }
    } else {
      this.#listen(command, statement)
    }
    return statement
  }

  #begin (sql: string): Statement | undefined {
    const query = this.#recorder.queryStarted(sql, this.#connection)
    return query && new Statement(this.#recorder, query)
  }

  /** A statement without a callback tells of its rows and its end by events. */
  #listen (command: Command, statement: Statement): void {
    let rows: number | undefined
    this.#uncalled.add(statement)
    this.#sending = statement
    command.on('result', (result) => { rows = (rows ?? 0) + (isHeader(result) ? result.affectedRows : 1) })
    command.once(errorMonitor, (error) => { statement.failed(error) })
    command.once('end', () => {
      this.#uncalled.delete(statement)
      statement.succeeded(rows)
    })
  }

  /**
   * mysql2's execute() sends two commands, one right after the other: the first prepares the statement, and the second,
   * which is not carried out if the first fails, executes it. So they are one statement of ours. What the application
   * prepares by itself is a statement only if that fails.
   */
  #prepare (command: Command, sql: string): Statement | undefined {
    this.#preparation = undefined
    const { onResult } = command
    if (typeof onResult !== 'function') return undefined
    const statement = this.#begin(sql)
    if (statement === undefined) return undefined
    const preparation = this.#preparation = { sql, statement }
    const prepared = (error: unknown) => {
      if (error) return statement.failed(error)
      if (!statement.isExecuted) statement.dropped()
      // A statement that was prepared before is so at once. The command that executes it is not there yet.
      if (this.#preparation === preparation) this.#preparation = undefined
    }
    command.onResult = function (this: unknown, ...results: unknown[]) {
      prepared(results[0])
      return statement.call(onResult, this, results)
    }
    return statement
  }

  /** The statement that was prepared for this command. */
  #prepared (command: Command, sql: string): Statement | undefined {
    const preparation = this.#preparation
    if (preparation === undefined) return undefined
    this.#preparation = undefined
    if (preparation.sql !== sql || !('statement' in command)) return undefined
    preparation.statement.isExecuted = true
    return preparation.statement
  }
}

/** One statement, of which the driver may tell the end more than once. */
class Statement {
  /** Whether the command that executes it is sent; until then it is only prepared. */
  isExecuted = false
  readonly #recorder: DatabaseRecorder
  readonly #query: Query
  #isOver = false

  constructor (recorder: DatabaseRecorder, query: Query) {
    this.#recorder = recorder
    this.#query = query
  }

  /**
   * Calls a callback back. The driver does so in the async context of whoever has made the connection; what the callback
   * sends is of the same caller as this statement.
   */
  call (callback: Method, self: unknown, results: unknown[]): unknown {
    return this.#recorder.callBack(this.#query.caller, callback, self, results)
  }

  succeeded (rows: number | undefined): void {
    if (!this.#ends()) return
    this.#recorder.querySucceeded(this.#query, rows)
  }

  failed (error: unknown): void {
    if (!this.#ends()) return
    this.#recorder.queryFailed(this.#query, error)
  }

  /** It never was sent, or only prepared. */
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
