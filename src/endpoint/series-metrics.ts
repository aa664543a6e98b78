import { metric, type OwnChoice, type Scope } from '../catalogue.js'
import { isFamily, type Family, type RegistryLike } from '../metrics/index.js'

/** Label sets from which on a metric is shown, and the part of its maxSeries: fewer tell nobody anything, and would be most of a small page. */
const SHOWN_FROM = 100
const PART = 10

/** Our families that were shown once, and so are shown for good: a counter that came and went would hide what it counts. */
const shown = new WeakSet<Family>()

/** What a metric about series watches. */
interface Watched {
  readonly registries: Set<RegistryLike>
  /** The series of other libraries' metrics, as they were when they were last read. */
  readonly foreign: Map<string, number>
  /** The names of those that were shown once. */
  readonly shown: Set<string>
}

/** By metrics_series, and by metrics_series_dropped_total. */
const watched = new WeakMap<object, Watched>()

/**
 * Shows in metrics_series and metrics_series_dropped_total what the metrics of registries have and dropped, each metric from the moment on when it matters.
 * @returns what to call with the number of series that another library's metric had, for that library tells nobody
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

/** Lets a metric watch registries as well; its callback is added once. */
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

/** Each once, whichever registries it is in. */
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

/** The metrics of other libraries that are still there and matter, with their series. */
function foreignOf ({ registries, foreign, shown }: Watched): Array<[name: string, size: number]> {
  for (const name of foreign.keys()) {
    if ([...registries].some((registry) => registry.getSingleMetric(name) !== undefined)) continue
    foreign.delete(name)
    shown.delete(name)
  }
  for (const [name, size] of foreign) if (size >= SHOWN_FROM) shown.add(name)
  return [...foreign].filter(([name]) => shown.has(name))
}
