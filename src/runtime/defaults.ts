import { collectDefaultMetrics } from 'prom-client'
import type { RegistryLike } from '../metrics/index.js'
import { DEFAULT_METRICS, collectors, type DefaultMetricName } from './collectors.js'

/** A metric of prom-client, as it comes to a registry. */
interface PromMetric {
  name: string
  registers?: unknown
  /** Reads the values, those of the metrics beside it too. */
  collect?: () => unknown
}

/** Milliseconds between two looks at the delay of the event loop: prom-client's own default. */
const PRECISION = 10

/**
 * Puts prom-client's default metrics into a registry, some of them left out. A collector whose metrics are all left out
 * does not run.
 * @param isOn asked for each metric, without its prefix, at the moment when it would be put there
 * @returns the metrics that were put there
 */
export async function collectDefaults (registry: RegistryLike, prefix: string, isOn: (name: DefaultMetricName) => boolean): Promise<PromMetric[]> {
  if (DEFAULT_METRICS.every(isOn)) return collectInto(registry, () => { collectDefaultMetrics({ register: registry as never, prefix }) })
  if (!DEFAULT_METRICS.some(isOn)) return []
  const collect = await collectorsOf(isOn)
  // Asked once more: another application may have put them there meanwhile.
  const left = new Map<string, PromMetric>()
  const named = new Map<string, boolean>(DEFAULT_METRICS.map((name) => [prefix + name, isOn(name)]))
  const sieve = {
    contentType: registry.contentType,
    registerMetric (metric: PromMetric) {
      metric.registers = [registry]
      if (named.get(metric.name) === false) left.set(metric.name, metric)
      else registry.registerMetric(metric as never)
    }
  }
  return collectInto(registry, (before) => {
    collect(sieve, prefix)
    for (const { metrics } of Object.values(collectors)) inherit(metrics.map((name) => prefix + name), left, registry, before)
  })
}

/** The collectors that have a metric which is on; all, where they cannot be called one by one. */
async function collectorsOf (isOn: (name: DefaultMetricName) => boolean): Promise<(registry: object, prefix: string) => void> {
  const all = (registry: object, prefix: string): void => { collectDefaultMetrics({ register: registry as never, prefix }) }
  // prom-client has one that is not known here.
  if (collectDefaultMetrics.metricsList.some((name) => !Object.hasOwn(collectors, name))) return all
  try {
    const wanted = Object.entries(collectors).filter(([name, { metrics }]) => collectDefaultMetrics.metricsList.includes(name) && metrics.some(isOn))
    const loaded = await Promise.all(wanted.map(async ([, { load }]) => functionOf(await load())))
    return (registry, prefix) => { for (const collect of loaded) collect(registry, { prefix, eventLoopMonitoringPrecision: PRECISION }) }
  } catch {
    // A bundle, or another version of prom-client, may lack the files.
    return all
  }
}

type Collect = (registry: object, config: { readonly prefix: string, readonly eventLoopMonitoringPrecision: number }) => void

/** Bundlers and loaders disagree about the default export of a CommonJS module. @throws TypeError when there is none */
function functionOf (module: { readonly default: unknown }): Collect {
  const { default: inner } = module
  const found = typeof inner === 'function' ? inner : (inner as { readonly default?: unknown } | undefined)?.default
  if (typeof found !== 'function') throw new TypeError('not a collector of prom-client')
  return found as Collect
}

/** Of a collector's metrics one has the `collect` for all. If that one is left out, another takes it over. */
function inherit (names: readonly string[], left: ReadonlyMap<string, PromMetric>, registry: RegistryLike, before: ReadonlySet<unknown>): void {
  const reader = names.map((name) => left.get(name)).find((metric) => typeof metric?.collect === 'function')
  if (reader === undefined) return
  const kept = names.map((name) => registry.getSingleMetric(name) as PromMetric | undefined).filter((metric) => metric !== undefined && !before.has(metric))
  const heir = kept.find((metric) => typeof metric?.collect !== 'function')
  if (heir !== undefined && kept.every((metric) => typeof metric?.collect !== 'function')) heir.collect = () => reader.collect?.()
}

/** Gives the metrics that a registry has more after a call. */
function collectInto (registry: RegistryLike, collect: (before: ReadonlySet<unknown>) => void): PromMetric[] {
  const before = new Set(registry.getMetricsAsArray())
  collect(before)
  return (registry.getMetricsAsArray() as PromMetric[]).filter((metric) => !before.has(metric))
}
