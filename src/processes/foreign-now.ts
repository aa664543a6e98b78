import type { Held } from '../exposition/index.js'
import { helpOf, type LabelPair, type MetricType } from '../metrics/index.js'
import { isRecord } from '../validation/given.js'
import type { Contributor } from './contribution.js'
import { NO_LIMIT, mergeOf, widthOf, type Definition } from './definition.js'
import { LabelTable } from './label-table.js'

/** What prom-client and its relatives keep of a metric. */
interface Kept {
  readonly type?: unknown
  readonly help?: unknown
  readonly aggregator?: unknown
  readonly collect?: unknown
  readonly upperBounds?: unknown
  readonly percentiles?: unknown
  /** The entries of prom-client, by label set (its lib/counter.js). */
  readonly hashMap?: unknown
  /** Those of its relatives. */
  readonly store?: { values?: () => Iterable<unknown> }
}

/** What they keep of one label set. */
interface Entry {
  readonly labels?: Readonly<Record<string, unknown>>
  /** Of a counter and a gauge. */
  readonly value?: unknown
  /** Of a histogram and a summary. */
  readonly sum?: unknown
  readonly count?: unknown
  /** Of a histogram, by bound, each bucket's own. */
  readonly bucketValues?: Readonly<Record<string, unknown>>
}

const TYPES: readonly unknown[] = ['counter', 'gauge', 'histogram', 'summary'] satisfies MetricType[]

/**
 * A metric of prom-client or a relative as it is now. Its own `get()` gives a promise, and a process that ends has no
 * time to wait.
 * @param known what it gave when it was asked, if it was
 * @returns what is known, if it is of another kind or computes its values when it is asked
 */
export function contributorNow ({ metric, name, defaults }: Held, known: Contributor | undefined, since: number): Contributor | undefined {
  const kept = metric as Kept
  const { hashMap, store } = kept
  if (kept.collect !== undefined || !TYPES.includes(kept.type)) return known
  const entries = (isRecord(hashMap) ? Object.values(hashMap) : typeof store?.values === 'function' ? [...store.values()] : undefined)?.map(entryOf)
  const type = kept.type as MetricType
  const bounds = numbersIn(kept.upperBounds)
  const quantiles = numbersIn(kept.percentiles)
  const numbers = entries?.map((entry) => numbersOf(entry, type, bounds, quantiles))
  if (entries === undefined || numbers?.every((each) => each !== undefined) !== true) return known
  const names = [...new Set([...known?.definition.labels ?? [], ...entries.flatMap(({ labels = {} }) => Object.keys(labels)), ...entries.length === 0 ? [] : defaults.of(type).map(({ name }) => name)])]
  const definition: Definition = {
    name, help: known?.definition.help ?? helpOf(kept.help), type, merge: type === 'gauge' ? mergeOf(name, kept.aggregator) : 'sum', labels: names, own: names.length, isLoose: true, bounds, isNative: false, quantiles, maxSeries: NO_LIMIT, since
  }
  const table = new LabelTable(names, entries.length)
  for (const [i, { labels = {} }] of entries.entries()) table.put(i, pairsOf(labels, defaults.of(type)))
  const width = widthOf(definition)
  return {
    definition,
    size: entries.length,
    labels: table.columns,
    numbersInto: (target, at) => { for (const [i, each] of numbers.entries()) target.set(each as number[], at + i * width) },
    natives: new Float64Array(0),
    // Where no series has come or gone, they are where they were.
    exemplars: known?.size === entries.length ? known.exemplars : []
  }
}

/** The relatives keep a summary's entry as the value of another. */
function entryOf (entry: unknown): Entry {
  const { value } = entry as { value?: unknown }
  return isRecord(value) ? value : entry as Entry
}

function numbersIn (value: unknown): number[] {
  return Array.isArray(value) ? value.filter((each) => typeof each === 'number' && each !== Infinity).sort((a, b) => a - b) : []
}

function * pairsOf (labels: Readonly<Record<string, unknown>>, shared: readonly LabelPair[]): Generator<{ name: string, value: string }> {
  for (const [name, value] of Object.entries(labels)) yield { name, value: String(value) }
  for (const pair of shared) if (!Object.hasOwn(labels, pair.name)) yield pair
}

function numbersOf ({ value, sum, count, bucketValues }: Entry, type: MetricType, bounds: readonly number[], quantiles: readonly number[]): number[] | undefined {
  if (type === 'counter') return typeof value === 'number' ? [value, NaN] : undefined
  if (type === 'gauge') return typeof value === 'number' ? [value] : undefined
  if (typeof sum !== 'number' || typeof count !== 'number') return undefined
  if (type === 'summary') return [sum, count, ...quantiles.map(() => NaN)]
  if (!isRecord(bucketValues)) return undefined
  const counts = bounds.map((bound) => Number(bucketValues[String(bound)]))
  const within = counts.reduce((all, own) => all + own, 0)
  return Number.isNaN(within) ? undefined : [sum, NaN, ...counts, count - within]
}
