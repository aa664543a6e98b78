import type { Exemplar } from './exemplar.js'
import type { LabelPair } from './label-pair.js'

/** The types of https://prometheus.io/docs/concepts/metric_types/, and 'unknown' for a metric that has none of them. */
export type MetricType = 'counter' | 'gauge' | 'histogram' | 'summary' | 'unknown'

/** A metric as it was at one moment. Encoders read it. Later writes to the metric do not change it. */
export interface FamilySnapshot {
  readonly name: string
  readonly help: string
  readonly type: MetricType
  /** How the metric of another library says that its values of several processes become one. */
  readonly aggregator?: string | undefined
  /** The number of series. */
  readonly size: number
  /**
   * Upper bounds of a histogram in growing order, without +Inf. Empty for a histogram without classic buckets, and for
   * other types.
   */
  readonly bounds: readonly number[]
  /**
   * Whether two of the series may have the same labels for a scraper. A scraper takes an empty label for no label, and
   * a default label may be the same as a label that another series has itself. Default: false.
   */
  readonly mayRepeat?: boolean
  /**
   * The series, oldest first. Each is built when it is read, so the reader may pause between two series for any time.
   */
  series (): Iterable<SeriesSnapshot>
  /** The `value` of each series; undefined if reading the values alone is not cheaper than reading whole series. */
  readonly values?: (() => Iterable<number>) | undefined
}

/** One series: its labels, and the numbers that its metric's type has. */
export interface SeriesSnapshot {
  readonly labels: readonly LabelPair[]
  /**
   * When the series began to count, in seconds since the epoch. Undefined if that is not known, or if it means nothing,
   * as for a gauge.
   */
  readonly created: number | undefined
  /** The value of a counter, a gauge or a metric of unknown type; the sum of a histogram or a summary. */
  readonly value: number
  /** The exemplar of a counter. */
  readonly exemplar: Exemplar | undefined
  /** The buckets of a histogram. */
  readonly buckets: BucketsSnapshot | undefined
  /** The quantiles of a summary, and its count. */
  readonly quantiles: QuantilesSnapshot | undefined
}

/** The counts of a histogram. They are whole numbers, except for averages over several processes. */
export interface BucketsSnapshot {
  /**
   * Each bucket's own count, not added up. There is one bucket for each bound, and then the +Inf bucket. The count of
   * bucket i is `counts[at + i]`.
   */
  readonly counts: ArrayLike<number>
  readonly at: number
  /**
   * The exemplars by bucket; for a histogram with native buckets alone, all exemplars in the order of their values.
   * Undefined if the series has none.
   */
  readonly exemplars: ReadonlyArray<Exemplar | undefined> | undefined
  readonly native: NativeSnapshot | undefined
}

/** Native buckets: exponential ones of base 2^(2^-schema) (https://prometheus.io/docs/specs/native_histograms/). */
export interface NativeSnapshot {
  /** From -4 to 8. */
  readonly schema: number
  /** Values from minus this number to this number are in the zero bucket. */
  readonly zeroThreshold: number
  readonly zeroCount: number
  readonly positive: NativeBuckets
  readonly negative: NativeBuckets
}

/**
 * Neighbouring exponential buckets, with the empty ones between them. Bucket i holds values in (base^(i-1), base^i].
 */
export interface NativeBuckets {
  /** The index of the first bucket. */
  readonly offset: number
  /** Each bucket's own count, not added up; empty if there are no buckets. */
  readonly counts: Float64Array
}

/** The quantiles of a summary, and its count. */
export interface QuantilesSnapshot {
  readonly quantiles: ReadonlyArray<{ readonly quantile: number, readonly value: number }>
  readonly count: number
}

/** The count of the first so many classic buckets of a series together. */
export function countOf ({ counts, at }: BucketsSnapshot, buckets: number): number {
  let count = 0
  for (let i = at; i < at + buckets; i++) count += counts[i] as number
  return count
}

/**
 * Whether a series has classic buckets to show: a native one with +Inf alone has none.
 * @param buckets how many classic buckets it has, +Inf included
 */
export function hasClassic ({ native }: BucketsSnapshot, buckets: number): boolean {
  return native === undefined || buckets > 1
}
