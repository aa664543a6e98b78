import type { RegistryLike } from './registry.js'

/** A metric that has all the label sets that it may have. */
export interface CappedMetric {
  readonly name: string
  readonly maxSeries: number
}

/** Some registries, and the function that logs messages about their metrics. */
export interface CapListener {
  readonly registries: readonly RegistryLike[]
  readonly tell: (message: string) => void
}

/** One set of listeners for the whole process, shared by all loaded copies of this package. */
const LISTENERS = Symbol.for('fastify-prometheus.capListeners')
const shared = globalThis as { [LISTENERS]?: Set<CapListener> }
const listeners = shared[LISTENERS] ??= new Set<CapListener>()

/**
 * Tells a listener once of each metric in its registries that reaches its maxSeries.
 * @returns a function that removes the listener
 */
export function onCap (listener: CapListener): () => void {
  listeners.add(listener)
  return () => { listeners.delete(listener) }
}

/**
 * Announces the first label set that a metric has no room for. It tells the first listener that has the metric in a
 * registry; if there is none, it emits a process warning. It never throws, because it is called in the middle of an
 * observation.
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
    // If the log fails, there is no other place to tell it.
  }
}

function holds (registry: RegistryLike, metric: CappedMetric): boolean {
  try {
    // An OpenMetrics registry of prom-client removes `_total` from a counter's name, but holds it under the full name.
    return [metric.name, `${metric.name}_total`].some((name) => registry.getSingleMetric(name) === metric)
  } catch {
    return false
  }
}
