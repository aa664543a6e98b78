import { overlayMethod, type CacheOperation, type CacheRecorder, type Method } from '../../src/adapter.js'
import { taken } from './restores.js'

/** An LRUCache of lru-cache, as this adapter sees it. */
export interface LruCache {
  readonly allowStale?: boolean
  get (key: unknown, options?: unknown): unknown
  peek (key: unknown, options?: unknown): unknown
}

export function isLruCache (value: object): value is LruCache {
  const { get, peek, has, fetch, calculatedSize } = value as Record<string, unknown>
  return [get, peek, has, fetch].every((method) => typeof method === 'function') && typeof calculatedSize === 'number'
}

/** `peek` reads a value too, and only leaves it where it is in the order. */
const OTHERS = { has: 'has', delete: 'delete', clear: 'clear', set: 'set' } as const satisfies Readonly<Record<string, CacheOperation>>

type Options = { readonly allowStale?: boolean, readonly forceRefresh?: boolean } | undefined

/**
 * Observes the calls of an LRUCache. They are over when they return, and take less than a microsecond: so this makes
 * nothing at a read. `fetch` and `memo` are the read alone; what they wait for is the application's.
 */
export function observeLruCache (cache: LruCache, recorder: CacheRecorder): () => void {
  /** Whether the cache is at work: some versions call their own methods. */
  let isWithin = false
  const steps = [
    ...['get', 'peek'].map((name) => () => read(name)),
    ...['fetch', 'forceFetch', 'memo'].map((name) => () => load(name)),
    ...Object.entries(OTHERS).map(([name, operation]) => () => call(name, operation))
  ]

  function read (name: string): () => void {
    return overlayMethod(cache, name, (under) => function (...args) {
      if (!recorder.active || isWithin) return Reflect.apply(under[name] as Method, this, args)
      const began = recorder.now()
      let value
      isWithin = true
      try {
        value = Reflect.apply(under[name] as Method, this, args)
      } catch (error) {
        recorder.failed('get', began, error, recorder.exemplar())
        throw error
      } finally {
        isWithin = false
      }
      if (value !== undefined) recorder.ended('get', began, 1, 0, recorder.exemplar())
      else recorder.ended('get', began, 0, 1, recorder.exemplar())
      return value
    })
  }

  function load (name: string): () => void {
    return overlayMethod(cache, name, (under) => function (...args) {
      if (recorder.active && !isWithin) {
        const began = recorder.now()
        recorder.record(() => {
          const [key, options] = args as [unknown, Options]
          const isHit = options?.forceRefresh !== true && isServed(key, options)
          recorder.ended('get', began, isHit ? 1 : 0, isHit ? 0 : 1, recorder.exemplar())
        })
      }
      return Reflect.apply(under[name] as Method, this, args)
    })
  }

  function call (name: string, operation: CacheOperation): () => void {
    return overlayMethod(cache, name, (under) => function (...args) {
      if (!recorder.active || isWithin) return Reflect.apply(under[name] as Method, this, args)
      const began = recorder.now()
      isWithin = true
      try {
        const result = Reflect.apply(under[name] as Method, this, args)
        recorder.ended(operation, began, 0, 0, recorder.exemplar())
        return result
      } catch (error) {
        recorder.failed(operation, began, error, recorder.exemplar())
        throw error
      } finally {
        isWithin = false
      }
    })
  }

  /** Whether the cache answers by itself, with a value that may be stale. */
  function isServed (key: unknown, options: Options): boolean {
    const before = isWithin
    isWithin = true
    try {
      return cache.peek(key, { allowStale: options?.allowStale ?? cache.allowStale }) !== undefined
    } finally {
      isWithin = before
    }
  }

  return taken(steps)
}
