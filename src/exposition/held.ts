import { LabelPair, NAME_LABEL, isLabelName, type MetricType, type RegistryLike } from '../metrics/index.js'

/** Called with the name of a metric that could not be read, or not completely, and with the error. */
export type Failed = (metric: string, error: unknown) => void

/** A metric as a registry of prom-client's shape holds it. */
export interface Metric {
  getForPromString?: () => unknown
  get?: () => unknown
}

/**
 * A metric, the name under which its registry holds it, and the default labels that this registry gives to its series.
 */
export interface Held {
  readonly metric: Metric
  readonly name: string
  readonly defaults: DefaultLabels
}

/**
 * The metrics of several registries, in the order of the registries. A metric that is in several registries is there
 * once, with the default labels of the first.
 */
export function heldIn (registries: readonly RegistryLike[], failed: Failed): Held[] {
  const seen = new Set<unknown>()
  const held: Held[] = []
  for (const registry of registries) {
    const defaults = new DefaultLabels(registry, failed)
    for (const metric of registry.getMetricsAsArray()) {
      if (seen.has(metric)) continue
      seen.add(metric)
      try {
        held.push({ metric: metric as Metric, name: nameIn(registry, metric), defaults })
      } catch (error) {
        failed('without a name', error)
      }
    }
  }
  return held
}

/**
 * The name under which a registry holds a metric. prom-client removes `_total` from a counter's own name when it makes
 * an OpenMetrics page.
 */
function nameIn (registry: RegistryLike, metric: unknown): string {
  const name = String((metric as { name?: unknown } | null | undefined)?.name)
  return registry.getSingleMetric(name) !== metric && registry.getSingleMetric(`${name}_total`) === metric ? `${name}_total` : name
}

/** The label that tells the lines of one series apart, by the type of the metric. */
const LINE_LABELS: { readonly [T in MetricType]?: string } = { histogram: 'le', summary: 'quantile' }

/**
 * A registry's default labels. Registries of prom-client's shape keep them in the same property, `_defaultLabels`, and
 * have no public way to read them (prom-client/lib/registry.js:22).
 */
export class DefaultLabels {
  readonly #pairs: LabelPair[] = []
  readonly #failed: Failed
  readonly #refused = new Set<string>()

  constructor (registry: RegistryLike, failed: Failed) {
    this.#failed = failed
    const labels = (registry as { _defaultLabels?: unknown })._defaultLabels
    if (typeof labels !== 'object' || labels === null) return
    for (const [name, value] of Object.entries(labels)) {
      try {
        if (!isLabelName(name) || name === NAME_LABEL) throw new Error(`the registry's default label '${name}' is no label name, and is left out`)
        this.#pairs.push(new LabelPair(name, String(value)))
      } catch (error) {
        failed('default labels', error)
      }
    }
  }

  /**
   * The default labels that a metric of a type may have: no `le` on a histogram, which has its own `le` on some lines,
   * and no `quantile` on a summary.
   */
  of (type: MetricType): readonly LabelPair[] {
    const own = LINE_LABELS[type]
    if (own === undefined || !this.#pairs.some(({ name }) => name === own)) return this.#pairs
    if (!this.#refused.has(own)) {
      this.#refused.add(own)
      this.#failed('default labels', new Error(`the registry's default label '${own}' is left out of each ${type}, whose own it is`))
    }
    return this.#pairs.filter(({ name }) => name !== own)
  }
}
