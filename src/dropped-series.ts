import { metric, type Scope } from './catalogue.js'
import { isFamily, defaultRegistry } from './metrics/index.js'

const watched = new WeakSet<object>()

/** Shows in metrics_series_dropped_total what the families of a registry dropped, once a registry. */
export function watchDroppedSeries (scope: Scope): void {
  const dropped = metric('metrics_series_dropped_total', scope)
  if (watched.has(dropped)) return
  watched.add(dropped)
  dropped.addCallback(() => {
    for (const family of (scope.registry ?? defaultRegistry).getMetricsAsArray()) {
      if (isFamily(family)) dropped.inc({ metric: family.name }, family.dropped)
    }
  })
}
