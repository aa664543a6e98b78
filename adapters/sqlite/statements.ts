import { operationOf, overlayMethod, type DatabaseRecorder, type Method, type Operation } from '../../src/adapter.js'
import type { Iteration, Iterations } from './iterations.js'
import { Itself } from './layers.js'

/** The operations whose `changes` are of their own rows. */
const WRITES = new Set<Operation>(['insert', 'update', 'delete', 'merge'])

/** What is known of a statement. */
export class Statement {
  readonly text: string
  readonly operation: Operation
  /** The iteration over its rows, which ends when the statement runs again. */
  iteration: Iteration | undefined = undefined

  constructor (text: string) {
    this.text = text
    this.operation = operationOf(text)
  }
}

/** A statement of the driver. What is known of it is a private field on it, which nobody sees and which costs least. */
export class Prepared extends Itself {
  readonly #known: Statement

  constructor (statement: object, text: string) {
    super(statement)
    this.#known = new Statement(text)
  }

  static of (statement: unknown): Statement | undefined {
    return typeof statement === 'object' && statement !== null && #known in statement ? statement.#known : undefined
  }
}

/** The statement that a method is called for. */
type Find = (self: unknown, args: unknown[]) => Statement | undefined

/**
 * Puts methods that record on the layer of what runs statements.
 * @returns what takes them away
 */
export function coverStatements (layer: object, find: Find, recorder: DatabaseRecorder, iterations: Iterations): Array<() => void> {
  return [
    overlayMethod(layer, 'run', (under) => function (...args) {
      const statement = recorder.active ? find(this, args) : undefined
      if (statement === undefined) return Reflect.apply(under.run, this, args)
      return ran(recorder, statement, under.run, this, args, WRITES.has(statement.operation) ? changes : none)
    }),
    overlayMethod(layer, 'get', (under) => function (...args) {
      const statement = recorder.active ? find(this, args) : undefined
      return statement === undefined ? Reflect.apply(under.get, this, args) : ran(recorder, statement, under.get, this, args, one)
    }),
    overlayMethod(layer, 'all', (under) => function (...args) {
      const statement = recorder.active ? find(this, args) : undefined
      return statement === undefined ? Reflect.apply(under.all, this, args) : ran(recorder, statement, under.all, this, args, many)
    }),
    overlayMethod(layer, 'iterate', (under) => function (...args) {
      const statement = recorder.active ? find(this, args) : undefined
      return statement === undefined ? Reflect.apply(under.iterate, this, args) : iterated(recorder, iterations, statement, under.iterate, this, args)
    })
  ]
}

/** Every statement takes this path. */
function ran (recorder: DatabaseRecorder, statement: Statement, method: Method, self: unknown, args: unknown[], rows: (result: unknown) => number | undefined): unknown {
  const began = recorder.now()
  let result
  try {
    result = Reflect.apply(method, self, args)
  } catch (error) {
    recorder.ranInVain(statement.operation, began, error)
    throw error
  }
  recorder.ran(statement.operation, began, rows(result))
  statement.iteration?.end()
  return result
}

function iterated (recorder: DatabaseRecorder, iterations: Iterations, statement: Statement, method: Method, self: unknown, args: unknown[]): unknown {
  const query = recorder.queryStarted(statement.text)
  let iterator
  try {
    iterator = Reflect.apply(method, self, args)
  } catch (error) {
    if (query !== undefined) recorder.queryFailed(query, error)
    throw error
  }
  if (query !== undefined) {
    recorder.record(() => {
      statement.iteration?.end()
      statement.iteration = iterations.begin(query, self as object, iterator as object)
    })
  }
  return iterator
}

const none = () => undefined
const one = (row: unknown) => row === undefined ? 0 : 1
const many = (rows: unknown) => (rows as unknown[]).length
/** A bigint where the application asked node:sqlite for such. */
const changes = (result: unknown) => Number((result as { changes: number | bigint }).changes)
