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
import type { FamilySnapshot, SeriesSnapshot } from './snapshot.js'
import type { MetricObject, MetricValue, PromValue } from './state.js'

const DEFAULT_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

/** What a histogram is made from. */
export interface HistogramConfig<T extends string = string> extends FamilyConfig<T> {
  /** Upper bounds, growing; +Inf is there without being named. None with `native` is a histogram with native buckets alone. Default: prom-client's, .005 to 10. */
  buckets?: readonly number[] | undefined
  /** Native buckets beside the others: exponential ones, made as values come, which protobuf and OpenMetrics 2.0 have. Default: none. */
  native?: NativeConfig | undefined
}

/**
 * A histogram: how many observations fell under each bound, and their sum. A drop-in for prom-client's.
 *
 * A series is a sum, and for each bucket its own count, not yet added up; so one observation writes two numbers,
 * and the count is always what the buckets add up to.
 */
export class Histogram<T extends string = string> extends Family<T> {
  readonly type = 'histogram'
  /** Upper bounds without +Inf. */
  readonly buckets: readonly number[]
  readonly #bounds: Float64Array
  /** The sum, and when it began, in seconds since the epoch. */
  readonly #sums = new Pages(Float64Array, 2)
  readonly #counts: BucketCounts
  readonly #settings: NativeSettings | undefined
  readonly #native: NativeCounts | undefined
  readonly #bare: HistogramChild<T>

  /** @throws RangeError when the buckets are not growing numbers, or those of `native` out of range */
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

  /** Observes a value. @throws TypeError when it is not a finite number, Error when a label is unknown */
  observe (value: number): void
  observe (labels: Labels<T>, value: number): void
  observe (write: ExemplarWrite<T>): void
  observe (first: Labels<T> | ExemplarWrite<T> | number, value?: number): void {
    // Labels that are undefined are no labels: prom-client observes the second argument then.
    if (typeof first !== 'object' || first === null) return this.#bare.observe(first ?? value as number)
    if (!this.enableExemplars) return this.record(this.#placeFor(first as Labels<T>, value), value as number)
    const write = first as ExemplarWrite<T>
    const place = this.#placeFor(write.labels ?? {} as Labels<T>, write.value)
    this.record(place, write.value as number)
    if (write.exemplarLabels === undefined || Object.keys(write.exemplarLabels).length === 0) return
    refuseLongExemplar(write.exemplarLabels)
    this.illustrate(place, write.value as number, write.exemplarLabels)
  }

  /** Starts a timer; the function it returns observes the seconds since, and returns them. */
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

  /** Shows a label set with nothing observed yet, or puts it back to that. */
  zero (labels: Labels<T> = {} as Labels<T>): void {
    const values = this.valuesFrom(labels)
    const place = this.resolve(values)
    if (this.isOverflow(place)) return
    if (this.mixed) this.show(place, values)
    this.zeroAt(place)
    this.exemplars.delete(place)
  }

  /** This histogram with its labels given: keep it where the same labels are observed often. */
  labels (labels: Labels<T>): HistogramChild<T>
  labels (...values: LabelValue[]): HistogramChild<T>
  labels (...args: Array<LabelValue | Labels<T>>): HistogramChild<T> {
    return new HistogramChild(this, this.valuesOf(args))
  }

  /** The state in the form that prom-client's registries print, with the labels of a series given once. */
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

  /** Adds one observation to a place; the value was checked. */
  record (place: number, value: number): void {
    (this.#sums.page(place)[this.#sums.at(place)] as number) += value
    this.#counts.increment(place, this.#bucketOf(value))
    this.#native?.add(place, value)
  }

  /** Keeps a value that was observed in a place as an exemplar: as the one of its bucket, or, without classic buckets, among those of the series. The labels were checked. */
  illustrate (place: number, value: number, exemplarLabels: Labels): void {
    const exemplars = this.exemplars.get(place) ?? []
    const exemplar = exemplarOf(exemplarLabels, value)
    if (this.#native !== undefined && this.#bounds.length === 0) addSpread(exemplars as Exemplar[], exemplar)
    else exemplars[this.#bucketOf(value)] = exemplar
    this.exemplars.set(place, exemplars)
  }

  /**
   * The state as it is now. A series whose native buckets have become wider than they were starts anew after that, where it is old enough: what a scraper has
   * read is all that there was. Its count, sum and classic buckets start anew with them, as the formats want it.
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

  protected override reader (): (place: number, labels: readonly LabelPair[]) => SeriesSnapshot {
    const sums = this.#sums.copy()
    const counts = this.#counts.copy()
    const native = this.#native?.share()
    const exemplars = native === undefined ? this.copyOfExemplars() : this.#freshExemplars()
    return (place, labels) => {
      const page = sums.page(place)
      const at = sums.at(place)
      // Written out, for a spread took a quarter of the time of a whole page.
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

  /** The exemplars as they are now, without expired ones: the traces of native histograms are looked up long after a bucket was last hit. */
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

  /** The bounds are few and most values small, so a straight search beats a binary one. */
  #bucketOf (value: number): number {
    const bounds = this.#bounds
    let bucket = 0
    while (bucket < bounds.length && value > (bounds[bucket] as number)) bucket++
    return bucket
  }

  /** The place to observe in; looked up only for a value that can be observed, so a refused one leaves no trace. */
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
      // prom-client has no null in this bucket.
      { labels: { le: '+Inf' }, sharedLabels, value: count, metricName: bucketName, exemplar: this.enableExemplars ? exemplars?.[beyond] : null },
      { labels: {}, sharedLabels, value: sum, metricName: `${this.name}_sum`, exemplar: undefined },
      { labels: {}, sharedLabels, value: count, metricName: `${this.name}_count`, exemplar: undefined }
    )
    return lines
  }
}

/** The types that prom-client declares under its class. */
// eslint-disable-next-line @typescript-eslint/no-namespace -- a type is inside a class in no other way
export namespace Histogram {
  export type Internal<T extends string> = HistogramChild<T>
  export type Config = Pick<HistogramConfig, 'buckets'>
}

/** Observes a value in a child. */
interface Observe {
  /** @throws TypeError when the value is not a finite number */
  (value: number): void
  /**
   * @param exemplarLabels what led to the value, a trace's labels; they are not copied. What is no label set, or longer than 128 characters, is left out:
   * a child is passed as a callback too, and gets beside the value whatever its caller has. So is all of it where there is a third argument.
   */
  (value: number, exemplarLabels: Labels | undefined): void
}

/** A histogram with its labels given. */
export class HistogramChild<T extends string = string> extends Child<Histogram<T>> {
  readonly observe: Observe = (value: number, exemplarLabels?: Labels, more?: unknown): void => {
    if (!Number.isFinite(value)) throw notANumber('Value', value)
    const place = this.place()
    this.family.record(place, value)
    if (typeof exemplarLabels === 'object' && more === undefined && isExemplarLabels(exemplarLabels)) this.family.illustrate(place, value, exemplarLabels)
  }

  /** Starts a timer; the function it returns observes the seconds since, with labels known only then, and returns them. */
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
