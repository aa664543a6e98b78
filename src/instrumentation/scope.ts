import type { Scope } from '../catalogue.js'
import { DEFAULT_MAX_SERIES, defaultRegistry, isGrowthFactor, isMetricName, isRegistry, isResetTime, type RegistryLike } from '../metrics/index.js'
import { MetricsError, invalidOption, showName } from '../validation/errors.js'
import { entriesOf, holds, isRecord, readGiven, readKnown, refuseUnknown } from '../validation/given.js'
import { scopeSpellings } from '../validation/spellings.js'

/** The names of the options that say where metrics go, what they are named and what they hold. */
export const SCOPE_OPTIONS = ['registry', 'prefix', 'maxSeries', 'nativeHistograms', 'exemplars'] as const satisfies ReadonlyArray<keyof Scope>

/** What an option of the scope is that was not given. */
export const SCOPE_DEFAULTS: Scope = { registry: defaultRegistry, prefix: '', maxSeries: DEFAULT_MAX_SERIES, nativeHistograms: false, exemplars: true }

const NATIVE_OPTIONS = ['growthFactor', 'classicBuckets', 'resetAfter']

/**
 * Checks the scope in a caller's options; all other options are ignored.
 * @param owner the public function that the options were passed to
 * @throws MetricsError FP_ERR_INVALID_OPTION
 */
export function readScope (owner: string, options: { readonly [K in keyof Scope]?: unknown }): Scope {
  const { registry, prefix, maxSeries, nativeHistograms, exemplars } = options
  if (isList(registry)) {
    throw new MetricsError('FP_ERR_INVALID_OPTION', `${owner} option 'registry' must be one registry of prom-client's shape, got an array of ${registry.length}; ` +
      'several on one page are for metricsPlugin and metricsServer, so give the one where these metrics shall be')
  }
  if (registry !== undefined && !canBeRegistry(registry)) throw invalidOption(owner, 'registry', "a registry of prom-client's shape", registry)
  if (prefix !== undefined && prefix !== '' && !isMetricName(prefix)) {
    throw invalidOption(owner, 'prefix', "letters, digits, '_' and ':', not starting with a digit", prefix)
  }
  if (maxSeries !== undefined && !isCount(maxSeries)) throw invalidOption(owner, 'maxSeries', 'a whole number from 1 on', maxSeries)
  if (exemplars !== undefined && typeof exemplars !== 'boolean' && typeof exemplars !== 'function') {
    throw invalidOption(owner, 'exemplars', 'true, false or a function that gives labels', exemplars)
  }
  return {
    registry,
    prefix,
    maxSeries,
    nativeHistograms: readNativeHistograms(owner, nativeHistograms),
    // What a function takes and gives cannot be checked here; each result is checked when it comes.
    exemplars: exemplars as Scope['exemplars']
  }
}

/**
 * Reads the options of a function that makes metrics, and checks its scope.
 * @param known the names of its options; those that are not the scope's are given back as the caller gave them
 * @param spellings by the names that other libraries have for them, separated by spaces: the rest of a sentence that
 * begins "must be left out;"
 * @throws MetricsError FP_ERR_INVALID_OPTION for an option that is unknown, or a scope that is wrong
 */
export function readOptions<N extends string> (owner: string, given: unknown, known: readonly N[], spellings: Readonly<Record<string, string>> = {}): Scope & { readonly [K in N]?: unknown } {
  const options = readKnown(owner, given, known, scopeSpellings(spellings)) as { readonly [K in N]?: unknown }
  return { ...options, ...readScope(owner, options) }
}

/**
 * The registries of a page, each once; the registry of our own metrics is the first.
 * @param given a registry, an array of registries, or undefined for prom-client's global registry
 * @throws MetricsError FP_ERR_INVALID_OPTION
 */
export function readRegistries (owner: string, given: unknown): readonly [RegistryLike, ...RegistryLike[]] {
  if (given === undefined) return [defaultRegistry]
  const all = isList(given) ? entriesOf(owner, 'registry', given).map(([, registry]) => registry) : [given]
  for (const [i, registry] of all.entries()) {
    if (!canBeRegistry(registry)) throw invalidOption(owner, isList(given) ? `registry[${i}]` : 'registry', "a registry of prom-client's shape", registry)
  }
  const [first, ...others] = new Set(all as RegistryLike[])
  if (first === undefined) throw invalidOption(owner, 'registry', 'a registry, or an array of at least one', given)
  return [first, ...others]
}

/**
 * Reads which metrics are switched off or on.
 * @param known the names of the metrics that can be switched
 * @throws MetricsError FP_ERR_INVALID_OPTION
 */
export function readMetrics<N extends string> (owner: string, given: unknown, known: readonly N[]): Partial<Record<N, boolean>> {
  if (given === undefined) return {}
  if (!isRecord(given)) throw invalidOption(owner, 'metrics', 'an object of true and false by metric name', given)
  const read = entriesOf(owner, 'metrics', given)
  for (const [name, on] of read) {
    const option = `metrics.${showName(name)}`
    if (!(known as readonly string[]).includes(name)) throw invalidOption(owner, option, `one of ${known.join(', ')}`, on)
    if (on !== undefined && typeof on !== 'boolean') throw invalidOption(owner, option, 'true or false', on)
  }
  return Object.fromEntries(read) as Partial<Record<N, boolean>>
}

function readNativeHistograms (owner: string, given: unknown): Scope['nativeHistograms'] {
  if (given === undefined || typeof given === 'boolean' || isGrowthFactor(given)) return given
  if (!isRecord(given)) {
    throw invalidOption(owner, 'nativeHistograms', 'true, false, a growth factor greater than 1 or an object with growthFactor, classicBuckets and resetAfter', given)
  }
  const { values, unknown } = readGiven(owner, 'nativeHistograms.', given, NATIVE_OPTIONS)
  refuseUnknown(owner, 'nativeHistograms.', given, unknown, `left out; the options are ${NATIVE_OPTIONS.join(', ')}`, new Map())
  const { growthFactor, classicBuckets, resetAfter } = values
  if (growthFactor !== undefined && !isGrowthFactor(growthFactor)) {
    throw invalidOption(owner, 'nativeHistograms.growthFactor', 'a finite number greater than 1', growthFactor)
  }
  if (classicBuckets !== undefined && typeof classicBuckets !== 'boolean') {
    throw invalidOption(owner, 'nativeHistograms.classicBuckets', 'true or false', classicBuckets)
  }
  if (resetAfter !== undefined && !isResetTime(resetAfter)) {
    throw invalidOption(owner, 'nativeHistograms.resetAfter', 'seconds, more than 0, or Infinity', resetAfter)
  }
  return { growthFactor, classicBuckets, resetAfter }
}

function isCount (value: unknown): value is number {
  return Number.isInteger(value) && (value as number) > 0
}

function isList (value: unknown): value is unknown[] {
  return holds(() => Array.isArray(value))
}

function canBeRegistry (value: unknown): value is RegistryLike {
  return holds(() => isRegistry(value))
}
