import { metric, type OwnChoice, type Scope } from '../catalogue.js'
import { isFamily, type Family, type RegistryLike } from '../metrics/index.js'

/**
 * A metric is shown from 100 label sets on, or from a tenth of its maxSeries on if that is less. Metrics with fewer
 * label sets are of no interest, and would be most of a small page.
 */
const SHOWN_FROM = 100
const PART = 10

/**
 * The families of this package that were shown once. They are shown from then on: a counter that came and went would
 * hide its count.
 */
const shown = new WeakSet<Family>()

/** The registries and metrics that a metric about series watches. */
interface Watched {
  readonly registries: Set<RegistryLike>
  /** The number of series of other libraries' metrics when they were last read, by name. */
  readonly foreign: Map<string, number>
  /** The names of the other libraries' metrics that were shown once. */
  readonly shown: Set<string>
}

/** The watched registries and metrics, by the families of metrics_series and metrics_series_dropped_total. */
const watched = new WeakMap<object, Watched>()

/**
 * Shows for the metrics of some registries how many series they have, in metrics_series, and how many writes they
 * dropped, in metrics_series_dropped_total. A metric is shown from the moment on when it matters.
 * @returns a function to call with the number of series of another library's metric: the metric itself does not tell it
 */
export function watchSeries (scope: Scope, registries: readonly RegistryLike[], on: OwnChoice): (metric: string, series: number) => void {
  if (on.metrics_series_dropped_total !== false) {
    const dropped = metric('metrics_series_dropped_total', scope)
    watch(dropped, registries, (watched) => {
      for (const family of familiesOf(watched)) if (matters(family)) dropped.inc({ metric: family.name }, family.dropped)
    })
  }
  if (on.metrics_series === false) return () => {}
  const series = metric('metrics_series', scope)
  const { foreign } = watch(series, registries, (watched) => {
    for (const family of familiesOf(watched)) if (matters(family)) series.inc({ metric: family.name }, family.size)
    for (const [name, size] of foreignOf(watched)) series.inc({ metric: name }, size)
  })
  return (name, size) => { foreign.set(name, size) }
}

/** Lets a metric watch further registries. Its callback is added only once. */
function watch (own: { addCallback (callback: () => void): unknown }, registries: readonly RegistryLike[], show: (watched: Watched) => void): Watched {
  let known = watched.get(own)
  if (known === undefined) {
    const added: Watched = { registries: new Set(), foreign: new Map(), shown: new Set() }
    watched.set(own, known = added)
    own.addCallback(() => show(added))
  }
  for (const registry of registries) known.registries.add(registry)
  return known
}

/** The families of this package in the watched registries. A family that is in several registries is there once. */
function familiesOf ({ registries }: Watched): Set<Family> {
  return new Set([...registries].flatMap((registry) => registry.getMetricsAsArray().filter(isFamily)))
}

function matters (family: Family): boolean {
  if (shown.has(family)) return true
  const few = family.labelNames.length === 0 || family.size < Math.min(SHOWN_FROM, Math.ceil(family.maxSeries / PART))
  if (few && family.dropped === 0) return false
  shown.add(family)
  return true
}

/** The metrics of other libraries that are still there and matter, with the number of their series. */
function foreignOf ({ registries, foreign, shown }: Watched): Array<[name: string, size: number]> {
  for (const name of foreign.keys()) {
    if ([...registries].some((registry) => registry.getSingleMetric(name) !== undefined)) continue
    foreign.delete(name)
    shown.delete(name)
  }
  for (const [name, size] of foreign) if (size >= SHOWN_FROM) shown.add(name)
  return [...foreign].filter(([name]) => shown.has(name))
}
