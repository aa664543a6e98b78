import { isRegistry, type Labels, type RegistryLike } from '../metrics/index.js'
import { invalidOption } from '../validation/errors.js'

/** One line of a metrics page. */
export interface Sample {
  /** Label values as the page shows them; a label without a value is not there. */
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** The names under which the lines of a metric stand, by its type (https://prometheus.io/docs/concepts/metric_types/). */
const PARTS: Readonly<Record<string, readonly string[]>> = {
  histogram: ['_bucket', '_sum', '_count'],
  summary: ['', '_sum', '_count']
}

/** What a registry's getMetricsAsJSON() gives of one metric. */
interface MetricState {
  name: string
  type: string
  values?: ReadonlyArray<{ value: number, labels?: Readonly<Record<string, unknown>>, metricName?: string | undefined }>
}

/** The series of a registry as they were at one moment; what is written later does not change it. */
export class Snapshot {
  readonly #samples = new Map<string, Sample[]>()
  readonly #byLabels = new Map<string, number>()
  readonly #labelNames = new Map<string, readonly string[] | undefined>()
  readonly #seenLabels = new Set<string>(['le', 'quantile'])

  /** Made by `snapshot(registry)`. */
  constructor (states: readonly MetricState[], labelNames: ReadonlyMap<string, readonly string[]>, openMetrics: boolean) {
    for (const { name, type, values = [] } of states) {
      // prom-client takes _total off the name of a counter when an OpenMetrics page is made, and puts it on each line.
      const shown = openMetrics && type === 'counter' ? `${name.replace(/_total$/, '')}_total` : name
      for (const part of PARTS[type] ?? ['']) {
        this.#samples.set(shown + part, [])
        this.#labelNames.set(shown + part, labelNames.get(name))
      }
      for (const { value, labels, metricName } of values) this.#add(metricName ?? shown, { labels: shownLabels(labels ?? {}), value })
    }
  }

  /** The names of its lines: a histogram is there as name_bucket, name_sum and name_count. */
  get names (): string[] {
    return [...this.#samples.keys()]
  }

  /** The lines of one name; undefined where no metric has lines of that name. */
  samples (name: string): readonly Sample[] | undefined {
    return this.#samples.get(name)
  }

  /** The value of a series: `name` as the page shows it, and exactly its labels; undefined where there is none. */
  value (name: string, labels: Labels = {}): number | undefined {
    return this.#byLabels.get(keyOf(name, shownLabels(labels)))
  }

  /** Those of the labels that no series of that name can have, as far as its metric tells. */
  unknownLabels (name: string, labels: Labels): string[] {
    const known = this.#labelNames.get(name)
    if (known === undefined) return []
    return Object.keys(shownLabels(labels)).filter((label) => !known.includes(label) && !this.#seenLabels.has(label))
  }

  #add (name: string, sample: Sample): void {
    const samples = this.#samples.get(name)
    if (samples === undefined) this.#samples.set(name, [sample])
    else samples.push(sample)
    this.#byLabels.set(keyOf(name, sample.labels), sample.value)
    // A default label of the registry is no label name of any metric, so those seen anywhere are known.
    for (const label of Object.keys(sample.labels)) this.#seenLabels.add(label)
  }
}

/**
 * Takes down every series of a registry, as a scrape does: `collect` functions are called.
 * @param registry a registry of prom-client's shape: what `fastify.metrics.registry` is, or prom-client's global `register`
 * @throws MetricsError FP_ERR_INVALID_OPTION when it is no registry
 */
export async function snapshot (registry: RegistryLike): Promise<Snapshot> {
  checkRegistry('snapshot', registry)
  const states = await registry.getMetricsAsJSON() as MetricState[]
  const labelNames = new Map<string, readonly string[]>()
  for (const metric of registry.getMetricsAsArray() as Array<{ name: string, labelNames?: unknown }>) {
    if (Array.isArray(metric.labelNames)) labelNames.set(metric.name, metric.labelNames)
  }
  return new Snapshot(states, labelNames, registry.contentType.startsWith('application/openmetrics-text'))
}

/** @throws MetricsError FP_ERR_INVALID_OPTION for what is no registry; it says where the registry is of what is often given instead */
export function checkRegistry (owner: string, registry: unknown): asserts registry is RegistryLike {
  let advice = ''
  try {
    if (isRegistry(registry)) return
    const { metrics, register } = (registry ?? {}) as { metrics?: { registry?: unknown }, register?: unknown }
    if (isRegistry(metrics?.registry)) advice = ', which fastify.metrics.registry is'
    else if (isRegistry((registry as { registry?: unknown } | undefined)?.registry)) advice = ", which its 'registry' is"
    else if (isRegistry(register)) advice = ", which its 'register' is"
  } catch {
    // A getter or a proxy of the caller's: no registry.
  }
  throw invalidOption(owner, 'registry', `a registry of prom-client's shape${advice}`, registry)
}

/** A series as a line of the page names it. */
export function seriesName (name: string, labels: Labels): string {
  const pairs = Object.entries(shownLabels(labels)).map(([label, value]) => `${label}=${JSON.stringify(value)}`)
  return pairs.length > 0 ? `${name}{${pairs.join(',')}}` : name
}

function shownLabels (labels: Readonly<Record<string, unknown>>): Record<string, string> {
  // Not assigned: `__proto__` would be no label.
  return Object.fromEntries(Object.entries(labels)
    .filter(([, value]) => value !== undefined)
    .map(([label, value]) => [label, label === 'le' && value === Infinity ? '+Inf' : String(value)]))
}

function keyOf (name: string, labels: Readonly<Record<string, string>>): string {
  return JSON.stringify([name, ...Object.entries(labels).sort(([a], [b]) => a < b ? -1 : 1)])
}
