import { shadowMethod, type CacheOperation, type CacheRecorder, type Method } from '../../src/adapter.js'
import { HIT, MISS, NOTHING, isThenable, readOf, type Read } from './calls.js'
import { Failures } from './failures.js'

/** What `createCache` of cache-manager makes, as this adapter sees it. */
export interface CacheManager {
  readonly stores: readonly object[]
  on (event: string, listener: (event: unknown) => void): unknown
  off (event: string, listener: (event: unknown) => void): unknown
}

const METHODS = { get: 'get', mget: 'get', ttl: 'touch', set: 'set', mset: 'set', del: 'delete', mdel: 'delete', clear: 'clear' } as const satisfies Readonly<Record<string, CacheOperation>>

/** The operations that answer as if the key were not there when a store has failed, and tell by an event. */
const TOLD = ['get', 'mget', 'ttl']

export function isCacheManager (value: object): value is CacheManager {
  const { wrap, mget, on, off, stores } = value as Record<string, unknown>
  return [wrap, mget, on, off].every((method) => typeof method === 'function') && Array.isArray(stores)
}

/** Observes the calls of a cache of cache-manager. Its stores are read for it and not for the application: they are not counted. */
export function observeCacheManager (cache: CacheManager, recorder: CacheRecorder): () => void {
  const failures = new Failures()
  const listen = (event: unknown) => {
    const { error } = (event ?? {}) as { error?: unknown }
    if (error !== undefined) failures.add(error)
  }
  for (const event of TOLD) cache.on(event, listen)
  const restores = [
    () => { for (const event of TOLD) cache.off(event, listen) },
    ...cache.stores.map((store) => failures.of(store, recorder)),
    observeWrap(cache, recorder)
  ]
  for (const [name, operation] of Object.entries(METHODS)) {
    restores.push(shadowMethod(cache, name, (method) => function (...args) {
      return recorder.active ? observed(name, operation, method, this, args) : Reflect.apply(method, this, args)
    }))
  }

  function observed (name: string, operation: CacheOperation, method: Method, self: unknown, args: unknown[]): unknown {
    const began = recorder.now()
    const exemplar = recorder.exemplar()
    const seen = failures.count
    const result = Reflect.apply(method, self, args)
    if (!isThenable(result)) return result
    return result.then((value) => {
      if (!recorder.active) return value
      recorder.record(() => {
        const [hits, misses] = operation === 'get' ? readBy(name, value) : NOTHING
        const isFailed = failures.count > seen && (misses > 0 || (operation !== 'get' && value === undefined))
        if (isFailed) recorder.failed(operation, began, failures.last, exemplar)
        else recorder.ended(operation, began, 0, 0, exemplar)
        recorder.keysRead(hits, isFailed ? 0 : misses)
      })
      return value
    }, (reason: unknown) => {
      if (recorder.active) recorder.failed(operation, began, reason, exemplar)
      throw reason
    })
  }

  return () => { for (const restore of restores) restore() }
}

const isThere = (value: unknown) => value !== undefined

function readBy (name: string, value: unknown): Read {
  if (name === 'mget') return readOf(value as unknown[], isThere)
  return isThere(value) ? HIT : MISS
}

type Load = (this: unknown, ...args: unknown[]) => unknown

/**
 * A wrap is a get, and a set if there was nothing. It asks for the value's threshold of a refresh if there was
 * something, and else calls the application's function: so either tells what it has found. A wrap that is made while
 * another of its key is under way is given that one's result, and reads nothing.
 */
function observeWrap (cache: CacheManager, recorder: CacheRecorder): () => void {
  const underWay = new Set<unknown>()
  return shadowMethod(cache, 'wrap', (wrap) => function (...args) {
    const [key, load, ttl, threshold] = args
    if (!recorder.active || typeof load !== 'function' || underWay.has(key)) return Reflect.apply(wrap, this, args)
    underWay.add(key)
    const began = recorder.now()
    const exemplar = recorder.exemplar()
    let isRead = false
    let loaded: number | undefined
    const read = (isHit: boolean) => {
      if (isRead) return
      isRead = true
      if (recorder.active) recorder.ended('get', began, isHit ? 1 : 0, isHit ? 0 : 1, exemplar)
    }
    const observedThreshold = (asked: unknown) => function (this: unknown, ...values: unknown[]) {
      read(true)
      return typeof asked === 'function' ? Reflect.apply(asked as Load, this, values) as unknown : asked
    }
    const observedLoad: Load = function (...given) {
      // A refresh calls it too, after what was there was found.
      const isRefresh = isRead
      read(false)
      const result = Reflect.apply(load as Load, this, given)
      if (isRefresh) return result
      if (!isThenable(result)) {
        loaded = recorder.now()
        return result
      }
      return result.then((value) => {
        loaded = recorder.now()
        return value
      })
    }
    const asked = isOptions(ttl)
      ? [key, observedLoad, { ...ttl, refreshThreshold: observedThreshold(ttl.refreshThreshold) }, ...args.slice(3)]
      : [key, observedLoad, ttl, observedThreshold(threshold), ...args.slice(4)]
    let result
    try {
      result = Reflect.apply(wrap, this, asked)
    } catch (error) {
      underWay.delete(key)
      throw error
    }
    if (!isThenable(result)) {
      underWay.delete(key)
      return result
    }
    return result.then((value) => {
      underWay.delete(key)
      read(true)
      if (loaded !== undefined && recorder.active) recorder.ended('set', loaded, 0, 0, exemplar)
      return value
    }, (reason: unknown) => {
      underWay.delete(key)
      // What the application's own function throws is no error of the cache.
      if (loaded !== undefined && recorder.active) recorder.failed('set', loaded, reason, exemplar)
      throw reason
    })
  })
}

function isOptions (value: unknown): value is { readonly refreshThreshold?: unknown } {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
