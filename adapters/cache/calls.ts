import type { CacheOperation, CacheRecorder, Method } from '../../src/adapter.js'

/** How many of the keys that a call has read were there, and how many were not. */
export type Read = readonly [hits: number, misses: number]

export const HIT: Read = [1, 0]
export const MISS: Read = [0, 1]
/** Of a call that reads no key, or that does not say. */
export const NOTHING: Read = [0, 0]

export function isThenable (value: unknown): value is Promise<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
}

/** Counts each value that is there. */
export function readOf (values: readonly unknown[], isThere: (value: unknown) => boolean): Read {
  let hits = 0
  for (const value of values) if (isThere(value)) hits++
  return [hits, values.length - hits]
}

/**
 * Calls a method and observes what comes of it: what it returns, the promise that it returns, or what it throws.
 * @param read what the result says of the keys
 */
export function observedCall (recorder: CacheRecorder, operation: CacheOperation, method: Method, self: unknown, args: unknown[], read: (result: unknown) => Read): unknown {
  const began = recorder.now()
  const exemplar = recorder.exemplar()
  const ended = (result: unknown) => {
    if (!recorder.active) return
    try {
      const [hits, misses] = read(result)
      recorder.ended(operation, began, hits, misses, exemplar)
    } catch (error) {
      recorder.report(error)
    }
  }
  const failed = (reason: unknown) => { if (recorder.active) recorder.failed(operation, began, reason, exemplar) }
  let result
  try {
    result = Reflect.apply(method, self, args)
  } catch (error) {
    failed(error)
    throw error
  }
  if (isThenable(result)) {
    return result.then((value) => {
      ended(value)
      return value
    }, (reason: unknown) => {
      failed(reason)
      throw reason
    })
  }
  ended(result)
  return result
}
