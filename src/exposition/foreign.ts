import { LabelPair, NAME_LABEL, helpOf, isLabelName, isMetricName, labelsKey, type Exemplar, type FamilySnapshot, type MetricType, type SeriesSnapshot } from '../metrics/index.js'
import { show } from '../validation/errors.js'
import type { DefaultLabels, Failed } from './held.js'
import { pause } from './slices.js'

/**
 * One value of a foreign metric (a metric of another library), in the form that registries of prom-client's shape use.
 */
interface ForeignValue {
  value: unknown
  labels?: Readonly<Record<string, unknown>>
  sharedLabels?: Readonly<Record<string, unknown>>
  metricName?: string
  exemplar?: Partial<Exemplar> | null
}

/** The state of a foreign metric. */
interface ForeignMetric {
  help?: unknown
  type?: unknown
  aggregator?: unknown
  values?: readonly ForeignValue[] | null
}

/** The number of values that are read between two checks of the clock. */
const BATCH = 256
const TYPES: readonly unknown[] = ['counter', 'gauge', 'histogram', 'summary'] satisfies MetricType[]

/**
 * The snapshots of a foreign metric, read in slices. Values with a name of their own become a metric of that name.
 * @param state the state that the metric's `get()` gives
 * @param defaults default labels, which every series gets beside its own
 * @param failed called if some series or lines are left out because a page cannot have them
 * @throws TypeError for a metric that no page can have: with it, a scraper would lose all other metrics too
 */
export async function foreignSnapshots (name: string, state: unknown, defaults: DefaultLabels, failed: Failed): Promise<FamilySnapshot[]> {
  if (typeof state !== 'object' || state === null) throw new TypeError(`expected the state of a metric, got ${show(state)}`)
  const metric = state as ForeignMetric
  const type = (TYPES.includes(metric.type) ? metric.type : 'unknown') as MetricType
  const help = helpOf(metric.help)
  const values = metric.values ?? []
  if (!Array.isArray(values)) throw new TypeError(`expected an array of values, got ${show(values)}`)
  const pairs = new LabelPairs(defaults.of(type))
  checkName(name)
  if (type === 'histogram' || type === 'summary') {
    const groups = await groupLines(name, values, type === 'histogram' ? 'le' : 'quantile', pairs)
    const sound = groups.filter(type === 'histogram' ? isHistogram : isSummary)
    const problem = sound.length < groups.length ? `${groups.length - sound.length} of its series are left out, for their counts are none of a ${type}` : groups.find((group) => group.problem)?.problem
    if (problem !== undefined) failed(name, new TypeError(problem))
    return [type === 'histogram' ? await histogram(name, help, sound) : summary(name, help, sound)]
  }
  const byName = new Map<string, SeriesSnapshot[]>([[name, []]])
  for (const [i, { value, labels, sharedLabels, metricName = name, exemplar }] of values.entries()) {
    if (i % BATCH === 0) await pause()
    let series = byName.get(metricName)
    if (series === undefined) {
      checkName(metricName)
      byName.set(metricName, series = [])
    }
    series.push(single(pairs.of({ ...labels, ...sharedLabels }), value, exemplar))
  }
  const aggregator = typeof metric.aggregator === 'string' ? metric.aggregator : undefined
  return [...byName].map(([metricName, series]) => ({ ...family(metricName, help, metricName === name ? typeFor(type, series) : 'unknown', series), aggregator }))
}

/**
 * The type that a page has for a metric. A counter's value is never NaN or negative (OpenMetrics 1.0, "Counter"), so a
 * metric with such a value is no counter.
 */
function typeFor (type: MetricType, series: readonly SeriesSnapshot[]): MetricType {
  return type === 'counter' && !series.every(({ value }) => value >= 0) ? 'unknown' : type
}

/** The lines of one label set of a histogram or a summary. */
interface Group {
  readonly labels: readonly LabelPair[]
  readonly parts: Map<number, { readonly value: number, readonly exemplar: Exemplar | undefined }>
  sum: number | undefined
  count: number | undefined
  /** A problem of the group that does not keep it from being read. */
  problem: string | undefined
}

/** Whether the counts of a group's buckets are possible: no bucket counts less than the bucket below it. */
function isHistogram ({ parts, count }: Group): boolean {
  const bounds = [...parts.keys()].sort((a, b) => a - b)
  const counts = bounds.map((bound) => parts.get(bound)?.value as number)
  if (count !== undefined && !parts.has(Infinity)) counts.push(count)
  return counts.every((upTo, i) => isCount(upTo) && (i === 0 || upTo >= (counts[i - 1] as number)))
}

function isSummary ({ count = 0 }: Group): boolean {
  return isCount(count)
}

function isCount (count: number): boolean {
  return count >= 0 && count < Infinity
}

async function histogram (name: string, help: string, groups: readonly Group[]): Promise<FamilySnapshot> {
  const bounds = [...new Set(groups.flatMap(({ parts }) => [...parts.keys()]))].filter((bound) => bound !== Infinity).sort((a, b) => a - b)
  const series: SeriesSnapshot[] = []
  for (const [i, { labels, parts, sum = 0, count }] of groups.entries()) {
    if (i % BATCH === 0) await pause()
    const counts: number[] = []
    const exemplars: Array<Exemplar | undefined> = []
    let before = 0
    for (const bound of [...bounds, Infinity]) {
      const part = parts.get(bound)
      const upTo = part?.value ?? (bound === Infinity ? count ?? before : before)
      counts.push(upTo - before)
      exemplars.push(part?.exemplar)
      before = upTo
    }
    series.push({ ...single(labels, sum, undefined), buckets: { counts, at: 0, exemplars, native: undefined } })
  }
  return family(name, help, 'histogram', series, bounds)
}

function summary (name: string, help: string, groups: readonly Group[]): FamilySnapshot {
  const series = groups.map(({ labels, parts, sum = 0, count = 0 }) => {
    const quantiles = [...parts].map(([quantile, { value }]) => ({ quantile, value }))
    return { ...single(labels, sum, undefined), quantiles: { quantiles, count } }
  })
  return family(name, help, 'summary', series)
}

/**
 * Groups lines by their label set, in the order in which the label sets come.
 * @param of the label that tells the lines of a group apart
 */
async function groupLines (name: string, values: readonly ForeignValue[], of: 'le' | 'quantile', pairs: LabelPairs): Promise<Group[]> {
  const groups = new Map<string, Group>()
  for (const [i, line] of values.entries()) {
    if (i % BATCH === 0) await pause()
    const { [of]: part, ...own } = { ...line.labels, ...line.sharedLabels }
    const labels = pairs.of(own)
    const key = labelsKey(labels)
    let group = groups.get(key)
    if (group === undefined) groups.set(key, group = { labels, parts: new Map(), sum: undefined, count: undefined, problem: undefined })
    const value = numberOf(line.value)
    let again = false
    if (line.metricName === `${name}_sum`) {
      again = group.sum !== undefined
      group.sum ??= value
    } else if (line.metricName === `${name}_count`) {
      again = group.count !== undefined
      group.count ??= value
    } else if (part !== undefined) {
      const bound = boundOf(part)
      again = group.parts.has(bound)
      if (!again) group.parts.set(bound, { value, exemplar: exemplarOf(line.exemplar) })
    }
    if (again) group.problem = 'some of its lines are left out, for an earlier one has the same labels'
  }
  return [...groups.values()]
}

function single (labels: readonly LabelPair[], value: unknown, exemplar: ForeignValue['exemplar']): SeriesSnapshot {
  return { labels, created: undefined, value: numberOf(value), exemplar: exemplarOf(exemplar), buckets: undefined, quantiles: undefined }
}

function family (name: string, help: string, type: MetricType, series: readonly SeriesSnapshot[], bounds: readonly number[] = []): FamilySnapshot {
  return { name, help, type, size: series.length, bounds, mayRepeat: type !== 'histogram' && type !== 'summary', series: () => series }
}

/** A value as a number. It may be a text, or null, which JSON has for NaN. */
function numberOf (value: unknown): number {
  if (typeof value === 'number') return value
  if (value === null) return NaN
  const number = typeof value === 'string' || typeof value === 'bigint' ? Number(value) : NaN
  if (Number.isNaN(number)) throw new TypeError(`expected a number, got ${show(value)}`)
  return number
}

function boundOf (value: unknown): number {
  const bound = value === '+Inf' ? Infinity : numberOf(value)
  if (Number.isNaN(bound)) throw new TypeError(`expected a bound, got ${show(value)}`)
  return bound
}

/**
 * A complete exemplar, or undefined. prom-client leaves an exemplar without value and time when it has refused its
 * labels (prom-client/lib/counter.js, updateExemplar).
 */
function exemplarOf (exemplar: ForeignValue['exemplar']): Exemplar | undefined {
  if (typeof exemplar !== 'object' || exemplar === null) return undefined
  const { labelSet, value, timestamp } = exemplar
  if (typeof labelSet !== 'object' || labelSet === null || typeof value !== 'number' || !Number.isFinite(timestamp)) return undefined
  return { labelSet, value, timestamp: timestamp as number }
}

function checkName (name: unknown): void {
  if (!isMetricName(name)) throw new TypeError(`expected the name of a metric, got ${show(name)}`)
}

/** The label pairs of one metric. All series with the same label and value share one object. */
class LabelPairs {
  readonly #pairs = new Map<string, Map<string, LabelPair>>()
  readonly #shared: readonly LabelPair[]

  constructor (shared: readonly LabelPair[]) {
    this.#shared = shared
  }

  of (labels: Readonly<Record<string, unknown>>): readonly LabelPair[] {
    const pairs = Object.entries(labels).map(([name, value]) => this.#pair(name, String(value)))
    return [...pairs, ...this.#shared.filter(({ name }) => !Object.hasOwn(labels, name))]
  }

  #pair (name: string, value: string): LabelPair {
    let values = this.#pairs.get(name)
    if (values === undefined) {
      if (!isLabelName(name) || name === NAME_LABEL) throw new TypeError(`expected the name of a label, got ${show(name)}`)
      this.#pairs.set(name, values = new Map())
    }
    let pair = values.get(value)
    if (pair === undefined) values.set(value, pair = new LabelPair(name, value))
    return pair
  }
}
