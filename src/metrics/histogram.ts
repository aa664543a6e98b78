import { show } from '../validation/errors.js'
import { BucketCounts } from './bucket-counts.js'
import { startClock } from './clock.js'
import type { ExemplarWrite } from './counter.js'
import { exemplarOf, isExemplarLabels, refuseLongExemplar, type Exemplar } from './exemplar.js'
import { Family, type FamilyConfig } from './family.js'
import type { LabelPair } from './label-pair.js'
import type { LabelValue, Labels } from './labels.js'
import type { NativeSettings } from './native-series.js'
import { addSpread, isFresh } from './native-exemplars.js'
import { describeNative, NativeCounts, readNative, type NativeConfig } from './native.js'
import { Pages } from './pages.js'
import { Child, notANumber } from './series.js'
import type { FamilySnapshot, NativeSnapshot, SeriesSnapshot } from './snapshot.js'
import type { MetricObject, MetricValue, PromValue } from './state.js'

const DEFAULT_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

/** The configuration of a histogram. */
export interface HistogramConfig<T extends string = string> extends FamilyConfig<T> {
  /**
   * Upper bounds in growing order. The +Inf bucket is always there and need not be named. An empty array together with
   * `native` makes a histogram with native buckets alone. Default: prom-client's, .005 to 10.
   */
  buckets?: readonly number[] | undefined
  /**
   * Native buckets, beside the classic ones. They are exponential and are made as values come. Pages in protobuf and
   * OpenMetrics 2.0 have them. Default: none.
   */
  native?: NativeConfig | undefined
}

/**
 * A histogram: how many observations fell under each bound, and their sum. A drop-in for prom-client's Histogram.
 *
 * A series keeps a sum, and for each bucket its own count, not yet added up. So one observation writes two numbers, and
 * the count of a series always equals the sum of its buckets.
 */
export class Histogram<T extends string = string> extends Family<T> {
  readonly type = 'histogram'
  /** Upper bounds without +Inf. */
  readonly buckets: readonly number[]
  readonly #bounds: Float64Array
  /** The sum of a series, and its start time in seconds since the epoch. */
  readonly #sums = new Pages(Float64Array, 2)
  readonly #counts: BucketCounts
  readonly #settings: NativeSettings | undefined
  readonly #native: NativeCounts | undefined
  readonly #bare: HistogramChild<T>

  /** @throws RangeError when the buckets are not growing finite numbers, or a number of `native` is out of range */
  constructor (config: HistogramConfig<T> & ThisType<Histogram<T>>) {
    const buckets = [...(config?.buckets ?? DEFAULT_BUCKETS)]
    if (buckets.at(-1) === Infinity) buckets.pop()
    super(config)
    if (this.labelNames.includes('le')) throw new Error('le is a reserved label keyword')
    if (!buckets.every((bound, i) => Number.isFinite(bound) && (i === 0 || bound > (buckets[i - 1] as number)))) {
      throw new RangeError(`buckets of '${config.name}' must be finite numbers, each greater than the one before, got ${show(config.buckets)}`)
    }
    this.buckets = Object.freeze(buckets)
    this.#bounds = Float64Array.from(buckets)
    this.#counts = new BucketCounts(buckets.length + 1)
    this.#settings = config.native === undefined ? undefined : readNative(config.name, config.native)
    this.#native = this.#settings && new NativeCounts(this.#settings)
    this.#bare = new HistogramChild(this, [])
    if (this.labelNames.length === 0) this.resolve([])
    this.register()
  }

  /** Observes a value. @throws TypeError when the value is not a finite number, Error when a label is unknown */
  observe (value: number): void
  observe (labels: Labels<T>, value: number): void
  observe (write: ExemplarWrite<T>): void
  observe (first: Labels<T> | ExemplarWrite<T> | number, value?: number): void {
    // If the labels are undefined, prom-client observes the second argument, without labels.
    if (typeof first !== 'object' || first === null) return this.#bare.observe(first ?? value as number)
    if (!this.enableExemplars) return this.record(this.#placeFor(first as Labels<T>, value), value as number)
    const write = first as ExemplarWrite<T>
    const place = this.#placeFor(write.labels ?? {} as Labels<T>, write.value)
    this.record(place, write.value as number)
    if (write.exemplarLabels === undefined || Object.keys(write.exemplarLabels).length === 0) return
    refuseLongExemplar(write.exemplarLabels)
    this.illustrate(place, write.value as number, write.exemplarLabels)
  }

  /** Starts a timer. The function that it returns observes the seconds since the start, and returns them. */
  startTimer (labels?: Labels<T>, exemplarLabels?: Labels): (endLabels?: Labels<T>, endExemplarLabels?: Labels) => number {
    const clock = startClock()
    return (endLabels, endExemplarLabels) => {
      const value = clock()
      const all = { ...labels, ...endLabels } as Labels<T>
      if (this.enableExemplars) this.observe({ labels: all, value, exemplarLabels: { ...exemplarLabels, ...endExemplarLabels } })
      else this.observe(all, value)
      return value
    }
  }

  /** Sets a label set to zero observations. It is shown from then on, even if nothing was observed yet. */
  zero (labels: Labels<T> = {} as Labels<T>): void {
    const values = this.valuesFrom(labels)
    const place = this.resolve(values)
    if (this.isOverflow(place)) return
    if (this.mixed) this.show(place, values)
    this.zeroAt(place)
    this.exemplars.delete(place)
  }

  /** The child of a label set. Keep the child if you often observe with that label set. */
  labels (labels: Labels<T>): HistogramChild<T>
  labels (...values: LabelValue[]): HistogramChild<T>
  labels (...args: Array<LabelValue | Labels<T>>): HistogramChild<T> {
    return new HistogramChild(this, this.valuesOf(args))
  }

  /** The state in the form that prom-client's registries print. The labels of a series are given once in it. */
  async getForPromString (): Promise<MetricObject<PromValue>> {
    const collected = this.collected()
    if (collected !== undefined) await collected
    return this.read((place, labels) => this.#lines(place, labels))
  }

  override reset (): void {
    super.reset()
    this.#native?.clear()
  }

  override shape (): string {
    const classic = this.buckets.length === 0 && this.#settings !== undefined ? [] : [`buckets ${this.buckets.join(' ')}`]
    const native = this.#settings === undefined ? [] : [describeNative(this.#settings)]
    return `${super.shape()} with ${[...classic, ...native].join(' and ')}`
  }

  /** Adds one observation to the numbers at a place. The caller has checked the value. */
  record (place: number, value: number): void {
    (this.#sums.page(place)[this.#sums.at(place)] as number) += value
    this.#counts.increment(place, this.#bucketOf(value))
    this.#native?.add(place, value)
  }

  /**
   * Keeps an observed value of a place as an exemplar: as the exemplar of its bucket or, without classic buckets, among
   * the exemplars of the series. The caller has checked the labels.
   */
  illustrate (place: number, value: number, exemplarLabels: Labels): void {
    const exemplars = this.exemplars.get(place) ?? []
    const exemplar = exemplarOf(exemplarLabels, value)
    if (this.#native !== undefined && this.#bounds.length === 0) addSpread(exemplars as Exemplar[], exemplar)
    else exemplars[this.#bucketOf(value)] = exemplar
    this.exemplars.set(place, exemplars)
  }

  /**
   * The state as it is now. After that, a series whose native buckets have become wider than they were starts again
   * from zero, if it is old enough. Nothing is lost: the snapshot has all that the series has counted. Its count, sum
   * and classic buckets start again too, as the formats require.
   */
  override snapshot (shared?: readonly LabelPair[]): FamilySnapshot {
    const snapshot = super.snapshot(shared)
    if (this.#settings === undefined) return snapshot
    const began = Date.now() / 1000 - this.#settings.resetAfter
    for (const place of this.#native?.widened() ?? []) {
      if ((this.#sums.page(place)[this.#sums.at(place) + 1] as number) > began) continue
      this.zeroAt(place)
      this.exemplars.delete(place)
    }
    return snapshot
  }

  protected override bounds (): readonly number[] {
    return this.buckets
  }

  /** The sum, the start time, and the own count of each bucket. */
  get width (): number {
    return this.buckets.length + 3
  }

  protected override writeNumbers (place: number, target: Float64Array, at: number): void {
    const sums = this.#sums.page(place)
    const from = this.#sums.at(place)
    target[at] = sums[from] as number
    target[at + 1] = sums[from + 1] as number
    const counts = this.#counts
    const page = counts.page(place)
    const first = counts.at(place)
    const isCarried = counts.isCarried
    const to = at + 2
    const width = counts.width
    for (let bucket = 0; bucket < width; bucket++) target[to + bucket] = isCarried ? counts.countOf(place, bucket) : page[first + bucket] as number
  }

  protected override nativesByPlace (): readonly NativeSnapshot[] | undefined {
    return this.#native?.share()
  }

  protected override reader (): (place: number, labels: readonly LabelPair[]) => SeriesSnapshot {
    const sums = this.#sums.copy()
    const counts = this.#counts.copy()
    const native = this.#native?.share()
    const exemplars = native === undefined ? this.copyOfExemplars() : this.#freshExemplars()
    return (place, labels) => {
      const page = sums.page(place)
      const at = sums.at(place)
      // Every field is written out: an object spread took a quarter of the time of a whole page.
      const carried = counts.carriedOf(place)
      const buckets = { counts: carried ?? counts.page(place), at: carried === undefined ? counts.at(place) : 0, exemplars: exemplars?.get(place), native: native?.[place] }
      return { labels, created: page[at + 1], value: page[at] as number, exemplar: undefined, buckets, quantiles: undefined }
    }
  }

  protected override valuesIn (place: number, labels: Labels): MetricValue[] {
    return this.#lines(place, labels).map(({ labels, sharedLabels, value, metricName, exemplar }) => ({ value, metricName, exemplar, labels: { ...labels, ...sharedLabels } }))
  }

  protected override zeroAt (place: number): void {
    this.#sums.zero(place)
    this.#sums.page(place)[this.#sums.at(place) + 1] = Date.now() / 1000
    this.#counts.zero(place)
    this.#native?.zero(place)
  }

  /**
   * The exemplars as they are now, without the expired ones. With native histograms, traces are looked up long after a
   * bucket was last hit, and the trace of an old exemplar may be gone.
   */
  #freshExemplars (): ReadonlyMap<number, ReadonlyArray<Exemplar | undefined>> | undefined {
    if (this.exemplars.size === 0) return undefined
    const now = Date.now() / 1000
    const isSpread = this.#bounds.length === 0
    const fresh = new Map<number, ReadonlyArray<Exemplar | undefined>>()
    for (const [place, exemplars] of this.exemplars) {
      fresh.set(place, isSpread ? exemplars.filter((each) => isFresh(each, now)) : exemplars.map((each) => isFresh(each, now) ? each : undefined))
    }
    return fresh
  }

  /**
   * The number of the bucket that counts a value. The bounds are few and most values are small, so a linear search
   * beats a binary one.
   */
  #bucketOf (value: number): number {
    const bounds = this.#bounds
    let bucket = 0
    while (bucket < bounds.length && value > (bounds[bucket] as number)) bucket++
    return bucket
  }

  /** The place of a label set. The value is checked first, so that a refused value makes no series. */
  #placeFor (labels: Labels<T>, value: number | undefined): number {
    const values = this.valuesFrom(labels)
    if (!Number.isFinite(value)) throw notANumber('Value', value)
    return this.resolve(values)
  }

  #lines (place: number, sharedLabels: Labels): PromValue[] {
    const exemplars = this.exemplars.get(place)
    const bucketName = `${this.name}_bucket`
    let value = 0
    const lines: PromValue[] = this.buckets.map((le, i) => {
      value += this.#counts.countOf(place, i)
      return { labels: { le }, sharedLabels, value, metricName: bucketName, exemplar: this.enableExemplars ? exemplars?.[i] ?? null : null }
    })
    const beyond = this.buckets.length
    const count = value + this.#counts.countOf(place, beyond)
    const sum = this.#sums.page(place)[this.#sums.at(place)] as number
    lines.push(
      // With exemplars enabled, prom-client gives this bucket undefined and not null if it has no exemplar.
      { labels: { le: '+Inf' }, sharedLabels, value: count, metricName: bucketName, exemplar: this.enableExemplars ? exemplars?.[beyond] : null },
      { labels: {}, sharedLabels, value: sum, metricName: `${this.name}_sum`, exemplar: undefined },
      { labels: {}, sharedLabels, value: count, metricName: `${this.name}_count`, exemplar: undefined }
    )
    return lines
  }
}

/** The types that prom-client declares inside its class. */
// eslint-disable-next-line @typescript-eslint/no-namespace -- only a namespace puts a type inside a class
export namespace Histogram {
  export type Internal<T extends string> = HistogramChild<T>
  export type Config = Pick<HistogramConfig, 'buckets'>
}

/** The type of a child's `observe`. */
interface Observe {
  /** @throws TypeError when the value is not a finite number */
  (value: number): void
  /**
   * @param exemplarLabels the labels of the value's exemplar, such as those of a trace; they are not copied. They are
   * ignored if they are no label set or longer than 128 characters, or if there is a third argument: `observe` may be
   * passed as a callback, and then its caller may add arguments of its own.
   */
  (value: number, exemplarLabels: Labels | undefined): void
}

/** The child of a histogram for one label set. */
export class HistogramChild<T extends string = string> extends Child<Histogram<T>> {
  readonly observe: Observe = (value: number, exemplarLabels?: Labels, more?: unknown): void => {
    if (!Number.isFinite(value)) throw notANumber('Value', value)
    const place = this.place()
    this.family.record(place, value)
    if (typeof exemplarLabels === 'object' && more === undefined && isExemplarLabels(exemplarLabels)) this.family.illustrate(place, value, exemplarLabels)
  }

  /**
   * Starts a timer. The function that it returns observes the seconds since the start, and returns them. Pass it labels
   * that are known only at the end.
   */
  readonly startTimer = (): (endLabels?: Labels<T>) => number => {
    const clock = startClock()
    return (endLabels) => {
      const seconds = clock()
      if (endLabels === undefined) this.family.record(this.place(), seconds)
      else this.family.labels(this.labelsWith(endLabels) as Labels<T>).observe(seconds)
      return seconds
    }
  }
}
