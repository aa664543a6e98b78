import type { Scope } from '../catalogue.js'
import { SCOPE_DEFAULTS, SCOPE_OPTIONS, readScope } from '../instrumentation/index.js'
import { invalidOption } from '../validation/errors.js'
import { readBuckets, readKnown } from '../validation/given.js'
import { cacheSpellings } from '../validation/spellings.js'

/** The options that every adapter of a cache takes. */
export interface CacheScope extends Scope {
  /** The cache's name, the label `backend`. Caches of one name are counted together. Default: 'default'. */
  backend?: string | undefined
  /** Upper bounds of cache_operation_duration_seconds, in seconds. Default: .0001 .00025 .0005 .001 .0025 .005 .01 .025 .05 .1 .5 1. */
  buckets?: readonly number[] | undefined
}

const OPTIONS = ['backend', 'buckets', ...SCOPE_OPTIONS] as const satisfies ReadonlyArray<keyof CacheScope>

/** An address may hold a password, and the name becomes a label. */
const IS_ADDRESS = /:\/\//

/** What an option of an adapter of a cache is that was not given. */
export const CACHE_DEFAULTS: CacheScope = { backend: 'default', ...SCOPE_DEFAULTS }

/**
 * Checks the options of an adapter of a cache.
 * @param owner the public function that the options were passed to
 * @throws MetricsError FP_ERR_INVALID_OPTION for an option that is unknown or has a wrong value
 */
export function readCacheScope (owner: string, given: unknown = {}): CacheScope {
  const options = readKnown(owner, given, OPTIONS, cacheSpellings)
  const { backend, buckets } = options
  if (backend !== undefined && (typeof backend !== 'string' || backend === '')) throw invalidOption(owner, 'backend', 'a name', backend)
  if (backend !== undefined && IS_ADDRESS.test(backend)) throw invalidOption(owner, 'backend', 'a name, and no address', undefined)
  return { backend, buckets: readBuckets(owner, buckets), ...readScope(owner, options) }
}
