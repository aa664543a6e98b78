import { shadowMethod, type CacheOperation, type CacheRecorder, type Method } from '../../src/adapter.js'
import { HIT, MISS, NOTHING, readOf, readSafely, watched, type Read } from './calls.js'
import { Failures } from './failures.js'
import { taken } from './restores.js'

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
  const failures = new Failures(recorder)
  const listen = (event: unknown) => {
    const { error } = (event ?? {}) as { error?: unknown }
    if (error !== undefined) failures.add(error)
  }
  const steps = [
    ...TOLD.map((event) => () => {
      cache.on(event, listen)
      return () => { cache.off(event, listen) }
    }),
    ...cache.stores.map((store) => () => failures.ofStore(store)),
    () => observeWrap(cache, recorder, failures),
    ...Object.entries(METHODS).map(([name, operation]) => () => shadowMethod(cache, name, (method) => function (...args) {
      return recorder.active ? observed(name, operation, method, this, args) : Reflect.apply(method, this, args)
    }))
  ]

  function observed (name: string, operation: CacheOperation, method: Method, self: unknown, args: unknown[]): unknown {
    const began = recorder.now()
    const exemplar = recorder.exemplar()
    const seen = failures.count
    return watched(method, self, args, {
      ended (value) {
        if (!recorder.active) return
        const [hits, misses] = operation === 'get' ? readSafely(() => readBy(name, args[0], value)) : NOTHING
        const isFailed = failures.count > seen && (misses > 0 || (operation !== 'get' && value === undefined))
        if (isFailed) recorder.failed(operation, began, failures.last, exemplar)
        else recorder.ended(operation, began, 0, 0, exemplar)
        recorder.keysRead(hits, isFailed ? 0 : misses)
      },
      failed (reason) {
        if (recorder.active) recorder.failed(operation, began, reason, exemplar)
      }
    })
  }

  return taken(steps)
}

const isThere = (value: unknown) => value !== undefined

function readBy (name: string, keys: unknown, value: unknown): Read {
  if (name === 'mget') return readOf(value, Array.isArray(keys) ? keys.length : 0, isThere)
  return isThere(value) ? HIT : MISS
}

/**
 * A wrap is a get, and a set if there was nothing. It asks for the value's threshold of a refresh if there was
 * something, and else calls the application's function: so either tells what it has found. A wrap that is made while
 * another of its key is under way is given that one's result, and reads nothing.
 */
function observeWrap (cache: CacheManager, recorder: CacheRecorder, failures: Failures): () => void {
  const underWay = new Set<string>()
  return shadowMethod(cache, 'wrap', (wrap) => function (...args) {
    const [key, load] = args
    const name = nameOf(key)
    if (!recorder.active || typeof load !== 'function' || name === undefined || underWay.has(name)) return Reflect.apply(wrap, this, args)
    const began = recorder.now()
    const exemplar = recorder.exemplar()
    const seen = failures.count
    let isRead = false
    let loaded: number | undefined
    const read = (isHit: boolean) => {
      if (isRead) return
      isRead = true
      if (!recorder.active) return
      if (!isHit && failures.count > seen) recorder.failed('get', began, failures.last, exemplar)
      else recorder.ended('get', began, isHit ? 1 : 0, isHit ? 0 : 1, exemplar)
    }
    const observedLoad: Method = function (...given) {
      // A refresh calls it too, after what was there was found.
      const isRefresh = isRead
      read(false)
      return isRefresh ? Reflect.apply(load as Method, this, given) : watched(load as Method, this, given, { ended () { loaded = recorder.now() }, failed () {} })
    }
    let asked = args
    recorder.record(() => { asked = [key, observedLoad, ...withThreshold(args.slice(2), () => { read(true) })] })
    underWay.add(name)
    return watched(wrap, this, asked, {
      ended () {
        underWay.delete(name)
        read(true)
        if (loaded !== undefined && recorder.active) recorder.ended('set', loaded, 0, 0, exemplar)
      },
      failed (reason) {
        underWay.delete(name)
        // What the application's own function throws is no error of the cache.
        if (loaded !== undefined && recorder.active) recorder.failed('set', loaded, reason, exemplar)
      }
    })
  })
}

/** What cache-manager knows a key of a wrap by. */
function nameOf (key: unknown): string | undefined {
  try {
    return String(key)
  } catch {
    return undefined
  }
}

/** The arguments of a wrap after its function, with a threshold of a refresh that tells when it is asked for. */
function withThreshold ([ttl, threshold, ...rest]: unknown[], tell: () => void): unknown[] {
  const telling = (asked: unknown) => function (this: unknown, ...values: unknown[]) {
    tell()
    return typeof asked === 'function' ? Reflect.apply(asked as Method, this, values) as unknown : asked
  }
  return isOptions(ttl) ? [{ ...ttl, refreshThreshold: telling(ttl.refreshThreshold) }, threshold, ...rest] : [ttl, telling(threshold), ...rest]
}

function isOptions (value: unknown): value is { readonly refreshThreshold?: unknown } {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
