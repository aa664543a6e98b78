import { CacheRecorder, shadowMethod, type CacheOperation, type DatabaseScope, type Method, type Trouble } from '../../src/adapter.js'

/** The part of a data source that is used here. */
interface CachingSource {
  readonly queryResultCache?: object | undefined
}

/** Observes the cache of query results that a data source has, if it has one. */
export class QueryCaches {
  readonly #dataSource: CachingSource
  readonly #trouble: Trouble
  readonly #recorderOf: () => CacheRecorder
  #recorder: CacheRecorder | undefined
  #cache: object | undefined
  #restore = (): void => {}

  /** @throws MetricsError FP_ERR_METRIC_CONFLICT */
  constructor (dataSource: object, { buckets: _, alias: __, ...scope }: DatabaseScope, trouble: Trouble) {
    this.#dataSource = dataSource
    this.#trouble = trouble
    this.#recorderOf = () => new CacheRecorder({ ...scope, backend: 'typeorm' }, 'typeorm query cache')
    if (this.#dataSource.queryResultCache !== undefined) this.#recorder = this.#recorderOf()
  }

  /** Observes the cache that is there now. Never throws. */
  observe (): void {
    try {
      const { queryResultCache: cache } = this.#dataSource
      if (cache === this.#cache) return
      this.#restore()
      this.#restore = () => {}
      this.#cache = cache
      if (typeof cache === 'object' && cache !== null) this.#restore = observeQueryCache(cache, this.#recorder ??= this.#recorderOf())
    } catch (error) {
      this.#trouble.report('typeorm query cache', error)
    }
  }

  /** Gives a method that may make the cache anew. */
  over (setOptions: Method): Method {
    const observe = this.observe.bind(this)
    return function (...args) {
      try {
        return Reflect.apply(setOptions, this, args)
      } finally {
        observe()
      }
    }
  }

  undo (): void {
    if (this.#recorder !== undefined) this.#recorder.active = false
    this.#restore()
  }
}

/**
 * Observes a cache of query results, whatever keeps it: Redis, a table of the database, or a provider of the
 * application's own. A result that is there is a hit unless TypeORM finds that it has expired. What the cache does by
 * itself, as connecting and making its table, is no operation.
 * @param cache TypeORM's QueryResultCache
 * @returns a function that restores it
 */
function observeQueryCache (cache: object, recorder: CacheRecorder): () => void {
  /** How many callers have each result, and have not asked yet whether it has expired. */
  const unjudged = new WeakMap<object, number>()

  const got = (saved: unknown): { hits: number, misses: number } => {
    if (typeof saved !== 'object' || saved === null) return { hits: 0, misses: saved ? 0 : 1 }
    unjudged.set(saved, (unjudged.get(saved) ?? 0) + 1)
    return { hits: 0, misses: 0 }
  }
  const judged = (saved: unknown, isExpired: unknown): void => {
    const callers = typeof saved === 'object' && saved !== null ? unjudged.get(saved) : undefined
    if (callers === undefined) return
    if (callers === 1) unjudged.delete(saved as object)
    else unjudged.set(saved as object, callers - 1)
    recorder.keysRead(isExpired ? 0 : 1, isExpired ? 1 : 0)
  }

  const restores = [
    overOperation(cache, 'getFromCache', 'get', recorder, got),
    overOperation(cache, 'storeInCache', 'set', recorder),
    overOperation(cache, 'remove', 'delete', recorder),
    overOperation(cache, 'clear', 'clear', recorder),
    shadowMethod(cache, 'isExpired', (isExpired) => function (...args) {
      const result = Reflect.apply(isExpired, this, args)
      if (recorder.active) recorder.record(() => { judged(args[0], result) })
      return result
    })
  ]
  return () => { for (const restore of restores) restore() }
}

const nothing = (): { hits: number, misses: number } => ({ hits: 0, misses: 0 })

function overOperation (cache: object, name: string, operation: CacheOperation, recorder: CacheRecorder, read: (result: unknown) => { hits: number, misses: number } = nothing): () => void {
  return shadowMethod(cache, name, (method) => function (...args) {
    if (!recorder.active) return Reflect.apply(method, this, args)
    const [began, exemplar] = [recorder.now(), recorder.exemplar()]
    const failed = (error: unknown): never => {
      recorder.failed(operation, began, error, exemplar)
      throw error
    }
    return settled(method, this, args, (result) => {
      recorder.record(() => {
        const { hits, misses } = read(result)
        recorder.ended(operation, began, hits, misses, exemplar)
      })
      return result
    }, failed)
  })
}

/** Calls a method, then `fulfilled` or `rejected`: at once for a method that gives no promise. One chain, no side branch. */
function settled (method: Method, self: unknown, args: unknown[], fulfilled: (result: unknown) => unknown, rejected: (error: unknown) => never): unknown {
  let result
  try {
    result = Reflect.apply(method, self, args)
  } catch (error) {
    return rejected(error)
  }
  return result instanceof Promise ? result.then(fulfilled, rejected) : fulfilled(result)
}
