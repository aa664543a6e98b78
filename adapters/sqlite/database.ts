import { operationOf, shadowMethod, type DatabaseRecorder } from '../../src/adapter.js'
import { isOpen, type Maker } from './driver.js'
import { Iterations, coverIterators } from './iterations.js'
import { Layers } from './layers.js'
import { Prepared, Statement, coverStatements } from './statements.js'

/** The layers of one database. They stay when it is not observed any more, for its statements keep them. */
class DatabaseLayers {
  readonly statements = new Layers()
  readonly tagStores = new Layers()
  readonly iterators = new Layers()
}

const layersOf = new WeakMap<Maker, DatabaseLayers>()

/** Counts the connection of a database as closed when the database is collected. */
const collected = new FinalizationRegistry<DatabaseRecorder>((recorder) => { if (recorder.active) recorder.connectionClosed() })

/**
 * Observes a database: its connection, what it executes, and the statements that it prepares.
 * @returns a function that ends that. Statements that are there lose what they have of us, and are observed again if
 * their database is
 */
export function observeDatabase (maker: Maker, recorder: DatabaseRecorder): () => void {
  const layers = layersOf.get(maker) ?? new DatabaseLayers()
  layersOf.set(maker, layers)
  const iterations = new Iterations(recorder, layers.iterators)
  const restores = [
    layers.iterators.cover(coverIterators),
    layers.statements.cover((layer) => coverStatements(layer, Prepared.of, recorder, iterations)),
    layers.tagStores.cover((layer) => coverStatements(layer, templates(), recorder, iterations)),
    observePrepare(maker, layers.statements, recorder),
    observeExec(maker, recorder),
    shadowMethod(maker, 'createTagStore', (createTagStore) => function (...args) {
      const store = Reflect.apply(createTagStore, this, args) as object
      recorder.record(() => { layers.tagStores.put(store) })
      return store
    }),
    ...observeConnection(maker, recorder, iterations)
  ]
  return () => {
    recorder.active = false
    iterations.forget()
    for (const restore of restores) restore()
  }
}

function observePrepare (maker: Maker, statements: Layers, recorder: DatabaseRecorder): () => void {
  return shadowMethod(maker, 'prepare', (prepare) => function (...args) {
    if (!recorder.active) return Reflect.apply(prepare, this, args)
    const text = args[0] as string
    const began = recorder.now()
    let statement
    try {
      statement = Reflect.apply(prepare, this, args) as object
    } catch (error) {
      // SQLite reads a statement when it is prepared, so this is where one is refused.
      if (typeof text === 'string') recorder.ranInVain(operationOf(text), began, error)
      throw error
    }
    try {
      statements.put(new Prepared(statement, text))
    } catch (error) {
      recorder.report(error)
    }
    return statement
  })
}

function observeExec (maker: Maker, recorder: DatabaseRecorder): () => void {
  return shadowMethod(maker, 'exec', (exec) => function (...args) {
    const text = args[0]
    if (!recorder.active || typeof text !== 'string') return Reflect.apply(exec, this, args)
    const began = recorder.now()
    let result
    try {
      result = Reflect.apply(exec, this, args)
    } catch (error) {
      recorder.ranInVain(operationOf(text), began, error)
      throw error
    }
    recorder.ran(operationOf(text), began)
    return result
  })
}

function observeConnection (maker: Maker, recorder: DatabaseRecorder, iterations: Iterations): Array<() => void> {
  const opened = (since?: number) => {
    recorder.connectionOpened(since)
    collected.register(maker, recorder, recorder)
  }
  if (isOpen(maker)) opened()
  const close = (name: PropertyKey) => shadowMethod(maker, name, (method) => function (...args) {
    const wasOpen = isOpen(maker)
    const result = Reflect.apply(method, this, args)
    if (recorder.active && wasOpen && !isOpen(maker)) {
      collected.unregister(recorder)
      iterations.end()
      recorder.connectionClosed()
    }
    return result
  })
  return [
    shadowMethod(maker, 'open', (open) => function (...args) {
      const wasOpen = isOpen(maker)
      const began = recorder.now()
      let result
      try {
        result = Reflect.apply(open, this, args)
      } catch (error) {
        if (recorder.active && !wasOpen) recorder.connectionFailed(error)
        throw error
      }
      if (recorder.active && !wasOpen) opened(began)
      return result
    }),
    close('close'),
    close(Symbol.dispose),
    () => { collected.unregister(recorder) }
  ]
}

/** Finds the statement of a template: `store.get\`SELECT ...\`` gives the same strings at each call. */
function templates (): (self: unknown, args: unknown[]) => Statement | undefined {
  const statements = new WeakMap<object, Statement>()
  return (self, [strings]) => {
    if (!Array.isArray(strings)) return undefined
    let statement = statements.get(strings)
    if (statement === undefined) statements.set(strings, statement = new Statement(strings.join('?')))
    return statement
  }
}
