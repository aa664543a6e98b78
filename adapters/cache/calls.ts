import { types } from 'node:util'
import { disguised, holds, shadow, type CacheOperation, type CacheRecorder, type Method } from '../../src/adapter.js'

/** How many of the keys that a call has read were there, and how many were not. */
export type Read = readonly [hits: number, misses: number]

export const HIT: Read = [1, 0]
export const MISS: Read = [0, 1]
/** Of a call that reads no key, or that does not say. */
export const NOTHING: Read = [0, 0]

interface Thenable {
  then (...args: unknown[]): unknown
}

/** Whether something is awaited as a promise is. A value whose `then` cannot be read is none. */
function isThenable (value: unknown): value is Thenable {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return false
  return holds(() => typeof (value as { then?: unknown }).then === 'function')
}

/**
 * Counts each value of a read of many keys that is there, and every other key as missing.
 * @param values what the cache has answered with: an array, a Map, or an object by keys. Anything else has no values
 * @param keys how many keys it was asked for. More values than that are no hits
 */
export function readOf (values: unknown, keys: number, isThere: (value: unknown) => boolean): Read {
  const all: Iterable<unknown> = Array.isArray(values) ? values : values instanceof Map ? values.values() : typeof values === 'object' && values !== null ? Object.values(values) : []
  let hits = 0
  for (const value of all) if (hits < keys && isThere(value)) hits++
  return [hits, keys - hits]
}

/** What a result says of the keys. One whose getters throw says nothing, and what they throw is the application's. */
export function readSafely (read: () => Read): Read {
  try {
    return read()
  } catch {
    return NOTHING
  }
}

/** How a call has ended. Neither function throws. */
export interface End {
  ended (result: unknown): void
  failed (reason: unknown): void
}

/**
 * Calls a method, and tells what comes of it: what is returned, what a returned promise is settled with, or what is
 * thrown. It has one frame on the stack, of which the application sees ten.
 * @param settle tells what a result comes to, and returns what the caller is to be given
 * @returns what the caller is to be given
 */
export function watched (method: Method, self: unknown, args: unknown[], end: End, settle = settled): unknown {
  let result
  try {
    result = Reflect.apply(method, self, args)
  } catch (error) {
    end.failed(error)
    throw error
  }
  return settle(result, end)
}

/** Tells what a result comes to. */
export function settled (result: unknown, end: End): unknown {
  if (isPromise(result)) return followed(result, end)
  if (isThenable(result)) listen(result, end)
  else end.ended(result)
  return result
}

/** Whether something is a promise of the class itself: `await` asks those for no `then`. */
export function isPromise (value: unknown): value is Promise<unknown> {
  return types.isPromise(value) && Object.getPrototypeOf(value) === Promise.prototype
}

/** The same promise again, for one that is listened to has no unhandled rejection. */
function followed (promise: Promise<unknown>, { ended, failed }: End): Promise<unknown> {
  const again = Reflect.apply(Promise.prototype.then, promise, [(value: unknown) => {
    ended(value)
    return value
  }, (reason: unknown) => {
    failed(reason)
    throw reason
  }]) as Promise<unknown>
  // A loop of this kind makes nothing, and a promise has hardly ever anything of its own.
  for (const key in promise) if (Object.hasOwn(promise, key)) Object.defineProperty(again, key, Object.getOwnPropertyDescriptor(promise, key) as PropertyDescriptor)
  return again
}

/**
 * Waits for a thenable that may do its work only when it is asked for its result, or that has more methods: so it stays
 * what it is, and the caller's own `then` is listened to, once.
 */
function listen (thenable: Thenable, { ended, failed }: End): void {
  const then = thenable.then as Method
  const heard: Method = function (onFulfilled, onRejected, ...rest) {
    restore()
    const fulfilled = function (this: unknown, value: unknown, ...more: unknown[]) {
      ended(value)
      return typeof onFulfilled === 'function' ? Reflect.apply(onFulfilled, this, [value, ...more]) as unknown : value
    }
    const rejected = function (this: unknown, reason: unknown, ...more: unknown[]) {
      failed(reason)
      if (typeof onRejected === 'function') return Reflect.apply(onRejected, this, [reason, ...more]) as unknown
      throw reason
    }
    try {
      return Reflect.apply(then, this, [fulfilled, rejected, ...rest])
    } catch (error) {
      failed(error)
      throw error
    }
  }
  let restore = () => {}
  // One that is frozen is not observed.
  holds(() => {
    restore = shadow(thenable, 'then', disguised(then, heard))
    return true
  })
}

/** Records the end of a call, once. @param read what the result says of the keys */
export function endOf (recorder: CacheRecorder, operation: CacheOperation, read: (result: unknown) => Read): End {
  const began = recorder.now()
  const exemplar = recorder.exemplar()
  let isOver = false
  return {
    ended (result) {
      if (isOver) return
      isOver = true
      if (!recorder.active) return
      const [hits, misses] = readSafely(() => read(result))
      recorder.ended(operation, began, hits, misses, exemplar)
    },
    failed (reason) {
      if (isOver) return
      isOver = true
      if (recorder.active) recorder.failed(operation, began, reason, exemplar)
    }
  }
}
