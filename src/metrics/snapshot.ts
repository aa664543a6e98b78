import type { Exemplar } from './exemplar.js'
import type { LabelPair } from './label-pair.js'

/** The types of https://prometheus.io/docs/concepts/metric_types/, and 'unknown' for what says none of them. */
export type MetricType = 'counter' | 'gauge' | 'histogram' | 'summary' | 'unknown'

/** A metric as it was at one moment: what an encoder reads. What is written to the metric later does not change it. */
export interface FamilySnapshot {
  readonly name: string
  readonly help: string
  readonly type: MetricType
  /** How many series there are. */
  readonly size: number
  /** Upper bounds of a histogram, growing, +Inf left out; empty where it has no classic buckets, and for other types. */
  readonly bounds: readonly number[]
  /**
   * Whether two of the series may have the same labels for a scraper: it takes an empty label for none, and a default label may be what another series has itself.
   * Default: they cannot.
   */
  readonly mayRepeat?: boolean
  /** The series, oldest first. They are put together one by one, so whoever reads may stop in between for as long as he likes. */
  series (): Iterable<SeriesSnapshot>
  /** The `value` of each series, where that is cheaper than with all the rest. */
  readonly values?: (() => Iterable<number>) | undefined
}

/** One series: its labels, and the numbers that its metric's type has. */
export interface SeriesSnapshot {
  readonly labels: readonly LabelPair[]
  /** When it began to count, in seconds since the epoch; undefined where that is not known or, as for a gauge, means nothing. */
  readonly created: number | undefined
  /** Of a counter, a gauge or an unknown; the sum of a histogram or a summary. */
  readonly value: number
  /** Of a counter. */
  readonly exemplar: Exemplar | undefined
  /** Of a histogram. */
  readonly buckets: BucketsSnapshot | undefined
  /** Of a summary. */
  readonly quantiles: QuantilesSnapshot | undefined
}

/** What a histogram counted. All counts are whole, but for those that processes were averaged into. */
export interface BucketsSnapshot {
  /** Each bucket's own count, not added up: that of bucket i, one for each bound and then +Inf, is `counts[at + i]`. */
  readonly counts: ArrayLike<number>
  readonly at: number
  /** By bucket; of a histogram with native buckets alone, all of them by their values. Undefined where the series has none. */
  readonly exemplars: ReadonlyArray<Exemplar | undefined> | undefined
  readonly native: NativeSnapshot | undefined
}

/** A native histogram: exponential buckets, those of base 2^(2^-schema) (https://prometheus.io/docs/specs/native_histograms/). */
export interface NativeSnapshot {
  /** -4 to 8. */
  readonly schema: number
  /** Values from minus this to this are in the zero bucket. */
  readonly zeroThreshold: number
  readonly zeroCount: number
  readonly positive: NativeBuckets
  readonly negative: NativeBuckets
}

/** Neighbouring exponential buckets, empty ones between them included. Bucket i holds values in (base^(i-1), base^i]. */
export interface NativeBuckets {
  /** The index of the first. */
  readonly offset: number
  /** Each bucket's own count, not added up; empty where there is none. */
  readonly counts: Float64Array
}

/** What a summary says. */
export interface QuantilesSnapshot {
  readonly quantiles: ReadonlyArray<{ readonly quantile: number, readonly value: number }>
  readonly count: number
}
