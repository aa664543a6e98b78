import { operationOf, shadowMethod, type DatabaseRecorder, type Operation } from '../../src/adapter.js'
import type { Maker, Method, Statement } from './driver.js'

/** The operations whose `changes` are of their own rows. */
const WRITES = new Set<Operation>(['insert', 'update', 'delete', 'merge'])

/** Observes all that a database is asked. @returns a function that ends that; of statements that are there too */
export function observeStatements (maker: Maker, recorder: DatabaseRecorder): () => void {
  const restores = [
    shadowMethod(maker, 'prepare', (prepare) => function (...args) {
      if (!recorder.active) return Reflect.apply(prepare, this, args)
      const began = recorder.now()
      const text = args[0] as string
      let statement
      try {
        statement = Reflect.apply(prepare, this, args)
      } catch (error) {
        // SQLite reads a statement when it is prepared, so this is where one is refused.
        if (typeof text === 'string') recorder.ranInVain(operationOf(text), began, error)
        throw error
      }
      recorder.record(() => { observe(statement as Statement, text, recorder) })
      return statement
    }),
    shadowMethod(maker, 'exec', (exec) => function (...args) {
      const text = args[0]
      return recorder.active && typeof text === 'string' ? watched(recorder, operationOf(text), exec, this, args, none) : Reflect.apply(exec, this, args)
    })
  ]
  return () => { for (const restore of restores) restore() }
}

function observe (statement: Statement, text: string, recorder: DatabaseRecorder): void {
  const operation = operationOf(text)
  const changed = WRITES.has(operation) ? changes : none
  for (const [name, rows] of [['run', changed], ['get', one], ['all', many]] as const) {
    shadowMethod(statement, name, (method) => function (...args) {
      return recorder.active ? watched(recorder, operation, method, this, args, rows) : Reflect.apply(method, this, args)
    })
  }
  shadowMethod(statement, 'iterate', (iterate) => function (...args) {
    return recorder.active ? iterated(recorder, text, iterate, this, args) : Reflect.apply(iterate, this, args)
  })
}

/** Every statement takes this path. */
function watched (recorder: DatabaseRecorder, operation: Operation, method: Method, self: unknown, args: unknown[], rows: (result: unknown) => number | undefined): unknown {
  const began = recorder.now()
  let result
  try {
    result = Reflect.apply(method, self, args)
  } catch (error) {
    recorder.ranInVain(operation, began, error)
    throw error
  }
  recorder.ran(operation, began, rows(result))
  return result
}

/** An iteration is one statement, however far it is read; its duration has all the time that its reader takes. */
function iterated (recorder: DatabaseRecorder, text: string, iterate: Method, self: unknown, args: unknown[]): unknown {
  const query = recorder.queryStarted(text)
  let iterator
  try {
    iterator = Reflect.apply(iterate, self, args) as Iterator<unknown>
  } catch (error) {
    if (query !== undefined) recorder.queryFailed(query, error)
    throw error
  }
  if (query === undefined) return iterator
  let rows = 0
  let isOver = false
  const over = () => {
    if (isOver) return
    isOver = true
    recorder.querySucceeded(query, rows)
  }
  shadowMethod(iterator, 'next', (next) => function (...given) {
    let result
    try {
      result = Reflect.apply(next, this, given) as IteratorResult<unknown>
    } catch (error) {
      if (!isOver) {
        isOver = true
        recorder.countRows(query, rows)
        recorder.queryFailed(query, error)
      }
      throw error
    }
    if (result.done === true) over()
    else rows++
    return result
  })
  shadowMethod(iterator, 'return', (end) => function (...given) {
    over()
    return Reflect.apply(end, this, given)
  })
  return iterator
}

const none = () => undefined
const one = (row: unknown) => row === undefined ? 0 : 1
const many = (rows: unknown) => (rows as unknown[]).length
/** A bigint where the application asked for safe integers. */
const changes = (result: unknown) => Number((result as { changes: number | bigint }).changes)
