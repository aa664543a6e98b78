import { overlayMethod, type DatabaseRecorder, type Query } from '../../src/adapter.js'
import { Itself, type Layers } from './layers.js'

/**
 * One iteration over the rows of a statement. It is one query, however far it is read, and all the time that its reader
 * takes is its duration. SQLite has it under way until it is read to its end, or is given up by `return`, or its
 * statement runs again or is collected, or the database is closed.
 */
export class Iteration {
  readonly #recorder: DatabaseRecorder
  readonly #query: Query
  readonly #under: Set<Iteration>
  #rows = 0

  /** @param under the iterations under way */
  constructor (recorder: DatabaseRecorder, query: Query, under: Set<Iteration>) {
    this.#recorder = recorder
    this.#query = query
    this.#under = under.add(this)
  }

  read ({ done }: IteratorResult<unknown>): void {
    if (done === true) this.end()
    else this.#rows++
  }

  end (): void {
    if (this.#left()) this.#recorder.querySucceeded(this.#query, this.#rows)
  }

  fail (error: unknown): void {
    if (!this.#left()) return
    this.#recorder.countRows(this.#query, this.#rows)
    this.#recorder.queryFailed(this.#query, error)
  }

  /** Whether it was under way until now. */
  #left (): boolean {
    collected.unregister(this)
    return this.#under.delete(this)
  }
}

/** Ends the iteration of a statement that is collected. */
const collected = new FinalizationRegistry<Iteration>((iteration) => { iteration.end() })

/** The iterator of an iteration, which is a private field on it. */
export class Iterated extends Itself {
  readonly #iteration: Iteration

  constructor (iterator: object, iteration: Iteration) {
    super(iterator)
    this.#iteration = iteration
  }

  static of (iterator: unknown): Iteration | undefined {
    return typeof iterator === 'object' && iterator !== null && #iteration in iterator ? iterator.#iteration : undefined
  }
}

/** The iterations of one database that are under way. */
export class Iterations {
  readonly #recorder: DatabaseRecorder
  readonly #iterators: Layers
  readonly #under = new Set<Iteration>()

  constructor (recorder: DatabaseRecorder, iterators: Layers) {
    this.#recorder = recorder
    this.#iterators = iterators
  }

  begin (query: Query, statement: object, iterator: object): Iteration {
    const iteration = new Iteration(this.#recorder, query, this.#under)
    collected.register(statement, iteration, iteration)
    this.#iterators.put(new Iterated(iterator, iteration))
    return iteration
  }

  /** The database was closed. */
  end (): void {
    for (const iteration of this.#under) iteration.end()
  }

  /** From now on, nothing is recorded of any. */
  forget (): void {
    this.#under.clear()
  }
}

/** Puts methods that record on the layer of iterators. @returns what takes them away */
export function coverIterators (layer: object): Array<() => void> {
  return [
    overlayMethod(layer, 'next', (under) => function (...args) {
      let result
      try {
        result = Reflect.apply(under.next, this, args)
      } catch (error) {
        Iterated.of(this)?.fail(error)
        throw error
      }
      Iterated.of(this)?.read(result as IteratorResult<unknown>)
      return result
    }),
    overlayMethod(layer, 'return', (under) => function (...args) {
      const result = Reflect.apply(under.return, this, args)
      Iterated.of(this)?.end()
      return result
    })
  ]
}
