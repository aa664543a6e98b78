import { startClock } from './clock.js'
import { Family, type FamilyConfig } from './family.js'
import type { LabelPair } from './label-pair.js'
import type { LabelValue, Labels } from './labels.js'
import { Pages } from './pages.js'
import { Child, notANumber } from './series.js'
import type { SeriesSnapshot } from './snapshot.js'
import type { MetricValue } from './state.js'

/** A gauge: a number that goes up and down. A drop-in for prom-client's Gauge. */
export class Gauge<T extends string = string> extends Family<T> {
  readonly type = 'gauge'
  readonly #numbers = new Pages(Float64Array, 1)
  readonly #bare = new GaugeChild(this, [])

  constructor (config: FamilyConfig<T> & ThisType<Gauge<T>>) {
    super(config)
    this.reset()
    this.register()
  }

  /** @throws TypeError when the value is not a number (NaN and the infinities are) */
  set (value: number): void
  set (labels: Labels<T>, value: number): void
  set (first: Labels<T> | number, value?: number): void {
    if (typeof first !== 'object' || first === null) return this.#bare.set(first)
    const number = numberOf('Value', value)
    const values = this.valuesFrom(first)
    this.put(this.resolve(values), number, values)
  }

  /** Adds `value`, 1 unless given. */
  inc (value?: number): void
  inc (labels: Labels<T>, value?: number): void
  inc (first?: Labels<T> | number, value = 1): void {
    if (typeof first !== 'object' || first === null) return this.#bare.inc(first)
    const delta = numberOf('Delta', value)
    this.add(this.resolve(this.valuesFrom(first)), delta)
  }

  /** Subtracts `value`, 1 unless given. */
  dec (value?: number): void
  dec (labels: Labels<T>, value?: number): void
  dec (first?: Labels<T> | number, value = 1): void {
    if (typeof first !== 'object' || first === null) return this.#bare.dec(first)
    this.inc(first, -value)
  }

  /** Sets the gauge to the current time, in seconds since the epoch. */
  setToCurrentTime (labels?: Labels<T>): void {
    if (labels === undefined) this.#bare.setToCurrentTime()
    else this.set(labels, Date.now() / 1000)
  }

  /** Starts a timer. The function that it returns sets the gauge to the seconds since the start, and returns them. */
  startTimer (labels?: Labels<T>): (endLabels?: Labels<T>) => number {
    const clock = startClock()
    return (endLabels) => {
      const seconds = clock()
      this.set({ ...labels, ...endLabels } as Labels<T>, seconds)
      return seconds
    }
  }

  /** The child of a label set. Keep the child if you often write to that label set. */
  labels (labels: Labels<T>): GaugeChild<T>
  labels (...values: LabelValue[]): GaugeChild<T>
  labels (...args: Array<LabelValue | Labels<T>>): GaugeChild<T> {
    return new GaugeChild(this, this.valuesOf(args))
  }

  /** Removes every label set; a gauge without labels is at 0 again. */
  override reset (): void {
    super.reset()
    if (this.labelNames.length === 0) this.resolve([])
  }

  /**
   * Sets the number at a place. The caller has checked the value.
   * @param values the label values as they were given: a gauge shows its labels in the form of the last `set`
   */
  put (place: number, value: number, values: ReadonlyArray<LabelValue | undefined>): void {
    this.#numbers.page(place)[this.#numbers.at(place)] = value
    if (this.mixed) this.show(place, values)
  }

  /** Adds to the number at a place. The caller has checked the addend. */
  add (place: number, addend: number): void {
    (this.#numbers.page(place)[this.#numbers.at(place)] as number) += addend
  }

  /** Raises the number at a place to `to`, if it is lower. The caller has checked `to`. */
  raise (place: number, to: number): void {
    const page = this.#numbers.page(place)
    const at = this.#numbers.at(place)
    page[at] = Math.max(page[at] as number, to)
  }

  protected override zeroAt (place: number): void {
    this.#numbers.zero(place)
  }

  readonly width = 1

  protected override writeNumbers (place: number, target: Float64Array, at: number): void {
    target[at] = this.#numbers.page(place)[this.#numbers.at(place)] as number
  }

  protected override reader (): (place: number, labels: readonly LabelPair[]) => SeriesSnapshot {
    const numbers = this.#numbers.copy()
    return (place, labels) => {
      const value = numbers.page(place)[numbers.at(place)] as number
      return { labels, created: undefined, value, exemplar: undefined, buckets: undefined, quantiles: undefined }
    }
  }

  protected override valuesIn (place: number, labels: Labels): MetricValue[] {
    return [{ value: this.#numbers.page(place)[this.#numbers.at(place)] as number, labels }]
  }
}

/** The types that prom-client declares inside its class. */
// eslint-disable-next-line @typescript-eslint/no-namespace -- only a namespace puts a type inside a class
export namespace Gauge {
  export type Internal<T extends string> = GaugeChild<T>
}

/** The child of a gauge for one label set. */
export class GaugeChild<T extends string = string> extends Child<Gauge<T>> {
  /** Adds `value`, 1 unless given. */
  readonly inc = (value = 1): void => {
    const delta = numberOf('Delta', value)
    this.family.add(this.place(), delta)
  }

  /** Subtracts `value`, 1 unless given. */
  readonly dec = (value = 1): void => {
    const delta = numberOf('Delta', -value)
    this.family.add(this.place(), delta)
  }

  /** @throws TypeError when the value is not a number (NaN and the infinities are) */
  readonly set = (value: number): void => {
    const number = numberOf('Value', value)
    this.family.put(this.place(), number, this.values)
  }

  /** Sets the gauge to the current time, in seconds since the epoch. */
  readonly setToCurrentTime = (): void => {
    this.family.put(this.place(), Date.now() / 1000, this.values)
  }

  /**
   * Starts a timer. The function that it returns sets the gauge to the seconds since the start, and returns them. Pass
   * it labels that are known only at the end.
   */
  readonly startTimer = (): (endLabels?: Labels<T>) => number => {
    const clock = startClock()
    return (endLabels) => {
      const seconds = clock()
      if (endLabels === undefined) this.family.put(this.place(), seconds, this.values)
      else this.family.set(this.labelsWith(endLabels) as Labels<T>, seconds)
      return seconds
    }
  }
}

/** A number from a caller. It is checked before the series is looked up, so that a refused value makes no series. */
function numberOf (what: string, value: unknown): number {
  if (typeof value !== 'number') throw notANumber(what, value)
  return value
}
