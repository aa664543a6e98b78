import { CACHE_DEFAULTS, CacheRecorder, MetricsError, Observed, describeTarget, holds, readCacheScope, type CacheScope } from '../src/adapter.js'
import { observeAnyCache, type AnyCache } from './cache/any-cache.js'
import { isCacheManager, observeCacheManager } from './cache/cache-manager.js'
import { isIoredis, observeIoredis } from './cache/ioredis.js'
import { isKeyv, observeKeyv } from './cache/keyv.js'
import { isLruCache, observeLruCache } from './cache/lru-cache.js'
import { isNodeRedis, observeNodeRedis } from './cache/node-redis.js'

/**
 * A cache, known by its shape: a client of ioredis or node-redis, a Keyv, a cache of cache-manager, an LRUCache, or
 * anything else with `get` and `set`.
 */
export interface CacheLike {
  get (...args: never[]): unknown
  set (...args: never[]): unknown
}

/**
 * Options of instrumentCache, each of them optional: `backend`, `buckets`, `registry`, `prefix`, `maxSeries`,
 * `nativeHistograms`, `exemplars`.
 */
export type CacheOptions = CacheScope

const observed = new Observed<CacheScope>('cache', 'a cache', CACHE_DEFAULTS)

/**
 * Observes a cache: the keys that it is asked for, which of them it has, errors, and how long each operation takes. It
 * knows ioredis (Redis and Cluster), node-redis (clients, pools and clusters), Keyv, cache-manager and lru-cache, and
 * takes anything else that has `get` and `set`.
 * @returns a function that restores the cache. The first call for a cache counts. A later call without options, or with
 * the same options, returns the same function. A later call with other options warns (FP_WARN_OBSERVED_ALREADY) and
 * returns a function that does nothing
 * @throws MetricsError FP_ERR_INVALID_TARGET when the argument is not a cache, FP_ERR_INVALID_OPTION,
 * FP_ERR_METRIC_CONFLICT
 */
export function instrumentCache (cache: CacheLike, options: CacheOptions = {}): () => void {
  const scope = readCacheScope('instrumentCache', options)
  const given: unknown = cache
  if (!isCache(given)) throw new MetricsError('FP_ERR_INVALID_TARGET', `instrumentCache expects a cache, an object with get and set, got ${describeTarget(given, adviceOn(given))}`)
  // What node-redis gives out stands before the client itself, once for each set of command options.
  const target = isNodeRedis(given) ? given._self : given
  if (!Object.isExtensible(target)) throw new MetricsError('FP_ERR_INVALID_TARGET', 'instrumentCache expects a cache that can be observed, got one that is frozen or sealed')
  return observed.again('instrumentCache', target, scope) ?? observe(target, given, scope)
}

function observe (target: object, cache: CacheLike, scope: CacheScope): () => void {
  const recorder = new CacheRecorder(scope)
  let restore = () => {}
  try {
    restore = observerOf(cache)(recorder)
    return observed.add(target, scope, () => {
      recorder.active = false
      restore()
    })
  } catch {
    restore()
    throw new MetricsError('FP_ERR_INVALID_TARGET', 'instrumentCache expects a cache that can be observed, got one whose methods cannot be replaced')
  }
}

function observerOf (cache: CacheLike): (recorder: CacheRecorder) => () => void {
  if (isNodeRedis(cache)) return (recorder) => observeNodeRedis(cache, recorder)
  if (isIoredis(cache)) return (recorder) => observeIoredis(cache, recorder)
  if (isCacheManager(cache)) return (recorder) => observeCacheManager(cache, recorder)
  if (isKeyv(cache)) return (recorder) => observeKeyv(cache, recorder)
  if (isLruCache(cache)) return (recorder) => observeLruCache(cache, recorder)
  return (recorder) => observeAnyCache(cache, recorder)
}

function isCache (value: unknown): value is AnyCache {
  if (typeof value !== 'object' || value === null) return false
  return holds(() => {
    const { get, set } = value as Partial<CacheLike>
    return typeof get === 'function' && typeof set === 'function' && !isPipeline(value) && !isApplication(value)
  })
}

/** A pipeline of ioredis or a multi of node-redis collects commands, and its cache is what sends them. */
function isPipeline (value: object): boolean {
  const { exec, get, subscribe, sendCommand, isPipeline } = value as Record<string, unknown>
  return isPipeline === true || (typeof exec === 'function' && typeof get === 'function' && subscribe === undefined && sendCommand === undefined)
}

/** A Fastify application has `get` too, and its `set` may be of a plugin. */
function isApplication (value: object): boolean {
  const { decorate, route } = value as Record<string, unknown>
  return typeof decorate === 'function' && typeof route === 'function'
}

function adviceOn (value: unknown): string | undefined {
  if (typeof value === 'function') return 'pass a client, made with new or by a function such as createClient()'
  if (typeof value !== 'object' || value === null) return undefined
  return holds(() => isApplication(value)) ? 'it is a Fastify application: pass fastify.redis' : holds(() => isPipeline(value)) ? 'it is a pipeline: pass the client that it is of' : undefined
}
