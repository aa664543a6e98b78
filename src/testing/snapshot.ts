import { isRegistry, type Labels, type RegistryLike } from '../metrics/index.js'
import { invalidOption } from '../validation/errors.js'

/** One line of a metrics page. */
export interface Sample {
  /** Label values as the page shows them. A label without a value is left out. */
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** The suffixes of a metric's lines, by the type of the metric (https://prometheus.io/docs/concepts/metric_types/). */
const PARTS: Readonly<Record<string, readonly string[]>> = {
  histogram: ['_bucket', '_sum', '_count'],
  summary: ['', '_sum', '_count']
}

/** The state of one metric, as a registry's getMetricsAsJSON() gives it. */
interface MetricState {
  name: string
  type: string
  values?: ReadonlyArray<{ value: number, labels?: Readonly<Record<string, unknown>>, metricName?: string | undefined }>
}

/** The series of a registry as they were at one moment. Later writes do not change a snapshot. */
export class Snapshot {
  readonly #samples = new Map<string, Sample[]>()
  readonly #byLabels = new Map<string, number>()
  readonly #labelNames = new Map<string, readonly string[] | undefined>()
  readonly #seenLabels = new Set<string>(['le', 'quantile'])

  /** Made by `snapshot(registry)`. */
  constructor (states: readonly MetricState[], labelNames: ReadonlyMap<string, readonly string[]>, openMetrics: boolean) {
    for (const { name, type, values = [] } of states) {
      // When prom-client makes an OpenMetrics page, it removes _total from the name of a counter and adds it to each
      // line.
      const shown = openMetrics && type === 'counter' ? `${name.replace(/_total$/, '')}_total` : name
      for (const part of PARTS[type] ?? ['']) {
        this.#samples.set(shown + part, [])
        this.#labelNames.set(shown + part, labelNames.get(name))
      }
      for (const { value, labels, metricName } of values) this.#add(metricName ?? shown, { labels: shownLabels(labels ?? {}), value })
    }
  }

  /** The names of all lines. A histogram has lines of name_bucket, name_sum and name_count. */
  get names (): string[] {
    return [...this.#samples.keys()]
  }

  /** The lines of one name; undefined if no metric has lines of that name. */
  samples (name: string): readonly Sample[] | undefined {
    return this.#samples.get(name)
  }

  /**
   * The value of a series; undefined if there is no such series.
   * @param name the name as the page shows it
   * @param labels exactly the labels of the series
   */
  value (name: string, labels: Labels = {}): number | undefined {
    return this.#byLabels.get(keyOf(name, shownLabels(labels)))
  }

  /** The given labels that no series of that name can have, as far as its metric tells. */
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
    // A default label of the registry is not a label name of any metric, so a label that any line has counts as known.
    for (const label of Object.keys(sample.labels)) this.#seenLabels.add(label)
  }
}

/**
 * Takes a snapshot of every series of a registry. As in a scrape, `collect` functions are called.
 * @param registry a registry of prom-client's shape, such as `fastify.metrics.registry` or prom-client's global
 * `register`
 * @throws MetricsError FP_ERR_INVALID_OPTION when `registry` is no registry
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

/**
 * Checks that a value is a registry.
 * @throws MetricsError FP_ERR_INVALID_OPTION when it is none. For a value that is often given instead, the message says
 * where its registry is.
 */
export function checkRegistry (owner: string, registry: unknown): asserts registry is RegistryLike {
  let advice = ''
  try {
    if (isRegistry(registry)) return
    const { metrics, register } = (registry ?? {}) as { metrics?: { registry?: unknown }, register?: unknown }
    if (isRegistry(metrics?.registry)) advice = ', which fastify.metrics.registry is'
    else if (isRegistry((registry as { registry?: unknown } | undefined)?.registry)) advice = ", which its 'registry' is"
    else if (isRegistry(register)) advice = ", which its 'register' is"
  } catch {
    // A getter or a proxy of the caller threw: the value is no registry.
  }
  throw invalidOption(owner, 'registry', `a registry of prom-client's shape${advice}`, registry)
}

/** The name and labels of a series, as a line of the page shows them. */
export function seriesName (name: string, labels: Labels): string {
  const pairs = Object.entries(shownLabels(labels)).map(([label, value]) => `${label}=${JSON.stringify(value)}`)
  return pairs.length > 0 ? `${name}{${pairs.join(',')}}` : name
}

function shownLabels (labels: Readonly<Record<string, unknown>>): Record<string, string> {
  // Not assigned: an assignment to `__proto__` would set no label.
  return Object.fromEntries(Object.entries(labels)
    .filter(([, value]) => value !== undefined)
    .map(([label, value]) => [label, label === 'le' && value === Infinity ? '+Inf' : String(value)]))
}

function keyOf (name: string, labels: Readonly<Record<string, string>>): string {
  return JSON.stringify([name, ...Object.entries(labels).sort(([a], [b]) => a < b ? -1 : 1)])
}
