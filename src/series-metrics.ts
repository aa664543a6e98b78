import { metric, type Scope } from './catalogue.js'
import { defaultRegistry, isFamily } from './metrics/index.js'

/** The series of other libraries' metrics, as they were when they were last read, by their registry's metrics_series. */
const counted = new WeakMap<object, Map<string, number>>()

/**
 * Shows in metrics_series and metrics_series_dropped_total what the metrics of a registry have and dropped, once a registry.
 * @returns what to call with the number of series that another library's metric had, for that library tells nobody
 */
export function watchSeries (scope: Scope): (metric: string, series: number) => void {
  const series = metric('metrics_series', scope)
  const foreign = counted.get(series) ?? new Map<string, number>()
  if (!counted.has(series)) {
    const registry = scope.registry ?? defaultRegistry
    const dropped = metric('metrics_series_dropped_total', scope)
    const families = () => registry.getMetricsAsArray().filter(isFamily)
    counted.set(series, foreign)
    dropped.addCallback(() => {
      for (const family of families()) dropped.inc({ metric: family.name }, family.dropped)
    })
    series.addCallback(() => {
      for (const family of families()) series.inc({ metric: family.name }, family.size)
      for (const [name, size] of foreign) if (registry.getSingleMetric(name) !== undefined) series.inc({ metric: name }, size)
    })
  }
  return (name, size) => { foreign.set(name, size) }
}
