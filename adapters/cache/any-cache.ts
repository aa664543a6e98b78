import { shadowMethod, type CacheOperation, type CacheRecorder, type Method } from '../../src/adapter.js'
import { HIT, MISS, NOTHING, endOf, isPromise, readOf, settled, watched, type End, type Read } from './calls.js'
import { taken } from './restores.js'

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
  /** Whether it answers at once, with what was put into it. */
  const isMap = cache instanceof Map && (cache as { get: unknown }).get === Map.prototype.get
  const tellsNull = typeof (cache as { has?: unknown }).has === 'function'
  /** Promises that were put into the cache: when they come out again, they are values. */
  const values = new WeakSet<Promise<unknown>>()
  /** What callers were given for a promise that the cache gives more than once. */
  const given = new WeakMap<Promise<unknown>, unknown>()

  const steps = [...METHODS].map(([name, operation]) => () => shadowMethod(cache, name, (method) => {
    // A function may be a key or a value, too.
    const firstCallback = operation === 'clear' ? 0 : operation === 'set' ? 2 : 1
    return function (...args) {
      if (!recorder.active || isWithin) return Reflect.apply(method, this, args)
      if (!isMap) for (const arg of args) if (isPromise(arg)) values.add(arg)
      const end = endOf(recorder, operation, operation !== 'get' ? () => NOTHING : (result) => readBy(name, args, result))
      const callback = args.length > firstCallback ? args.at(-1) : undefined
      isWithin = true
      try {
        if (typeof callback === 'function') return calledBack(method, this, args, callback as Method, end)
        return watched(method, this, args, end, settle)
      } finally {
        isWithin = false
      }
    }
  }))

  /** What the caller is given. A Map, and a cache that a promise was put into, give values and no answers to wait for. */
  function settle (result: unknown, end: End): unknown {
    if (isMap || (isPromise(result) && values.has(result))) {
      end.ended(result)
      return result
    }
    if (!isPromise(result)) return settled(result, end)
    const before = given.get(result)
    const now = settled(result, end)
    if (before === undefined) {
      given.set(result, now)
      return now
    }
    // Whoever has the first one hears of a rejection.
    ;(now as Promise<unknown>).catch(() => {})
    return before
  }

  /** What a key's value is when the cache does not have it: undefined; and null, unless the cache can say more by `has`. */
  function readBy (name: string, args: readonly unknown[], result: unknown): Read {
    const [key] = args
    if (Array.isArray(key)) return readOf(result, key.length, isThere)
    if (name !== 'get' && Array.isArray(result)) return readOf(result, args.filter((arg) => typeof arg === 'string' || typeof arg === 'number').length, isThere)
    return isThere(result) || (isMap && Map.prototype.has.call(cache, key)) ? HIT : MISS
  }

  function isThere (value: unknown): boolean {
    return value !== undefined && (value !== null || tellsNull)
  }

  /** A method that returns nothing tells its last argument. One that returns something has only been given a function. */
  function calledBack (method: Method, self: unknown, args: unknown[], callback: Method, end: End): unknown {
    let isReturned = false
    const observed: Method = function (this: unknown, ...told) {
      const [error, value] = told
      if (!isReturned) {
        if (error !== null && error !== undefined) end.failed(error)
        else end.ended(value)
      }
      // What the application asks for from here is no call of the cache's own.
      const before = isWithin
      isWithin = false
      try {
        return Reflect.apply(callback, this, told)
      } finally {
        isWithin = before
      }
    }
    const result = watched(method, self, [...args.slice(0, -1), observed], end, (value) => value)
    if (result === undefined) return result
    isReturned = true
    return settle(result, end)
  }

  return taken(steps)
}
