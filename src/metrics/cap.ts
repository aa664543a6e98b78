import type { RegistryLike } from './registry.js'

/** A metric that has all the label sets it may have. */
export interface CappedMetric {
  readonly name: string
  readonly maxSeries: number
}

/** Somebody who tells people about the metrics of registries. */
export interface CapListener {
  readonly registries: readonly RegistryLike[]
  readonly tell: (message: string) => void
}

/** One for the process, whichever copies of this package are loaded. */
const LISTENERS = Symbol.for('fastify-prometheus.capListeners')
const shared = globalThis as { [LISTENERS]?: Set<CapListener> }
const listeners = shared[LISTENERS] ??= new Set<CapListener>()

/** Tells a listener of each metric in its registries that reaches its maxSeries, once. @returns what ends that */
export function onCap (listener: CapListener): () => void {
  listeners.add(listener)
  return () => { listeners.delete(listener) }
}

/**
 * Says that a label set was the first that a metric has no room for: to the first listener that has the metric in a registry, or as a process warning where there
 * is none. It never throws: it is called in the middle of an observation.
 */
export function announceCap (metric: CappedMetric): void {
  try {
    const { name, maxSeries } = metric
    const message = `fastify-prometheus: metric ${name} has the ${maxSeries} label sets that its maxSeries allows; ` +
      'writes to new ones go to one series labelled __overflow__ and are counted in metrics_series_dropped_total, and this is not logged again'
    const listener = [...listeners].find(({ registries }) => registries.some((registry) => holds(registry, metric)))
    if (listener === undefined) process.emitWarning(message, { code: 'FP_WARN_MAX_SERIES' })
    else listener.tell(message)
  } catch {
    // A log that fails leaves nobody to tell.
  }
}

function holds (registry: RegistryLike, metric: CappedMetric): boolean {
  try {
    // An OpenMetrics registry of prom-client takes `_total` off a counter's name and keeps it under the whole one.
    return [metric.name, `${metric.name}_total`].some((name) => registry.getSingleMetric(name) === metric)
  } catch {
    return false
  }
}
