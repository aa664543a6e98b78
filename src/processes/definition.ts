import type { MetricType } from '../metrics/index.js'

/**
 * How the values of a gauge in several processes become one: prom-client's aggregators, and 'each', a series for each
 * process with the label `process`. Counters, histograms and summaries are summed.
 */
export type Merge = 'sum' | 'min' | 'max' | 'first' | 'average' | 'omit' | 'each'

export const MERGES: readonly unknown[] = ['sum', 'min', 'max', 'first', 'average', 'omit', 'each'] satisfies Merge[]

/** No bound on the series of a metric that has none itself. */
export const NO_LIMIT = Number.MAX_SAFE_INTEGER

/** How a gauge merges: the runtime's are of one process, if they do not say that one of them is enough. */
export function mergeOf (name: string, aggregator: unknown): Merge {
  if (/^(.*_)?(process|nodejs)_/.test(name) && aggregator !== 'first') return 'each'
  return MERGES.includes(aggregator) ? aggregator as Merge : 'sum'
}

/** What a process says of one of its metrics. */
export interface Definition {
  readonly name: string
  readonly help: string
  readonly type: MetricType
  readonly merge: Merge
  /** The labels that its series may have. */
  readonly labels: readonly string[]
  /** How many of the labels are its own: those of its registry come after them. */
  readonly own: number
  /** Whether the labels are those that its series happen to have: another library's metric may not say which it has. */
  readonly isLoose: boolean
  /** The upper bounds of a histogram, without +Inf. */
  readonly bounds: readonly number[]
  /** Whether each series of a histogram has native buckets. */
  readonly isNative: boolean
  /** The quantiles of a summary. */
  readonly quantiles: readonly number[]
  readonly maxSeries: number
  /** When its process began to contribute, in milliseconds since the epoch: of two definitions the younger is right. */
  readonly since: number
}

/**
 * How many numbers a series has. A counter: its value and its start time. A gauge, or what has no type: its value. A
 * histogram: its sum, its start time, and each bucket's own count. A summary: its sum, its count and its quantiles.
 */
export function widthOf ({ type, bounds, quantiles }: Definition): number {
  switch (type) {
    case 'counter': return 2
    case 'histogram': return 3 + bounds.length
    case 'summary': return 2 + quantiles.length
    default: return 1
  }
}

/**
 * Whether the numbers of two processes can be added up: else the newest definition is right, and the other left out.
 */
export function isSame (one: Definition, other: Definition): boolean {
  return shapeOf(one) === shapeOf(other) && (one.isLoose || other.isLoose || sorted(one.labels) === sorted(other.labels))
}

function shapeOf ({ type, merge, bounds, isNative, quantiles }: Definition): string {
  return JSON.stringify([type, merge, bounds, isNative, quantiles])
}

function sorted (labels: readonly string[]): string {
  return [...labels].sort().join()
}

/** Whether a metric says how things are, and does not count. */
export function isMomentary ({ type }: Definition): boolean {
  return type === 'gauge' || type === 'unknown'
}
