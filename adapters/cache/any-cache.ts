import { shadowMethod, type CacheOperation, type CacheRecorder, type Method } from '../../src/adapter.js'
import { HIT, MISS, NOTHING, observedCall, readOf, type Read } from './calls.js'

/** Anything that has `get` and `set`. */
export interface AnyCache {
  get (...args: never[]): unknown
  set (...args: never[]): unknown
}

const METHODS: ReadonlyMap<string, CacheOperation> = new Map(Object.entries({
  get: 'get getMany getMulti mget mGet',
  set: 'set setMany mset mSet add replace put',
  delete: 'delete deleteMany del mdel remove',
  has: 'has exists',
  touch: 'touch expire ttl',
  increment: 'incr decr increment decrement',
  clear: 'clear flush flushAll flushall reset'
} satisfies Partial<Record<CacheOperation, string>>).flatMap(([operation, names]) => names.split(' ').map((name) => [name, operation as CacheOperation] as const)))

/**
 * Observes the methods of a cache by their names. Those that it calls itself before it returns are its own.
 */
export function observeAnyCache (cache: AnyCache, recorder: CacheRecorder): () => void {
  let isWithin = false
  const tellsNull = typeof (cache as { has?: unknown }).has === 'function'
  const restores = [...METHODS].map(([name, operation]) => shadowMethod(cache, name, (method) => {
    // A function may be a key or a value, too.
    const firstCallback = operation === 'clear' ? 0 : operation === 'set' ? 2 : 1
    const guarded: Method = function (...args) {
      isWithin = true
      try {
        return Reflect.apply(method, this, args)
      } finally {
        isWithin = false
      }
    }
    return function (...args) {
      if (!recorder.active || isWithin) return Reflect.apply(method, this, args)
      const [key] = args
      const read = (result: unknown) => operation === 'get' ? readBy(key, result) : NOTHING
      const callback = args.length > firstCallback ? args.at(-1) : undefined
      if (typeof callback !== 'function') return observedCall(recorder, operation, guarded, this, args, read)
      return calledBack(operation, guarded, this, args, callback as Method, read)
    }
  }))

  /** What a key's value is when the cache does not have it: undefined; and null, unless the cache can say more by `has`. */
  function readBy (key: unknown, result: unknown): Read {
    if (Array.isArray(key)) {
      if (Array.isArray(result)) return readOf(result, isThere)
      const values = result instanceof Map ? [...result.values()] : typeof result === 'object' && result !== null ? Object.values(result) : []
      const hits = Math.min(key.length, values.filter(isThere).length)
      return [hits, key.length - hits]
    }
    return isThere(result) || (result === undefined && cache instanceof Map && Map.prototype.has.call(cache, key)) ? HIT : MISS
  }

  function isThere (value: unknown): boolean {
    return value !== undefined && (value !== null || tellsNull)
  }

  /** A method that returns nothing tells its last argument. One that returns something has only been given a function. */
  function calledBack (operation: CacheOperation, method: Method, self: unknown, args: unknown[], callback: Method, read: (result: unknown) => Read): unknown {
    const began = recorder.now()
    const exemplar = recorder.exemplar()
    let isOver = false
    const over = (end: () => void) => {
      if (isOver) return
      isOver = true
      if (recorder.active) recorder.record(end)
    }
    const observed: Method = function (this: unknown, ...given) {
      const [error, value] = given
      if (!isReturning) {
        over(() => {
          if (error !== null && error !== undefined) recorder.failed(operation, began, error, exemplar)
          else recorder.ended(operation, began, ...read(value), exemplar)
        })
      }
      return Reflect.apply(callback, this, given)
    }
    let isReturning = false
    let result
    try {
      result = Reflect.apply(method, self, [...args.slice(0, -1), observed])
    } catch (error) {
      over(() => { recorder.failed(operation, began, error, exemplar) })
      throw error
    }
    if (result === undefined) return result
    isReturning = true
    if (isOver) return result
    isOver = true
    return observedCall(recorder, operation, () => result, self, args, read)
  }

  return () => { for (const restore of restores) restore() }
}
