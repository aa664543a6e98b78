import { exemplarOf, refuseLongExemplar } from './exemplar.js'
import { Family, type FamilyConfig } from './family.js'
import type { LabelPair } from './label-pair.js'
import type { LabelValue, Labels } from './labels.js'
import { Pages } from './pages.js'
import { Child, notANumber } from './series.js'
import type { SeriesSnapshot } from './snapshot.js'
import type { MetricValue } from './state.js'

/** The one-object form of a write, for families with `enableExemplars`. */
export interface ExemplarWrite<T extends string = string> {
  labels?: Labels<T>
  value?: number
  exemplarLabels?: Labels
}

/** A counter: a number that only grows. A drop-in for prom-client's Counter. */
export class Counter<T extends string = string> extends Family<T> {
  readonly type = 'counter'
  /** The value of a series, and its start time in seconds since the epoch. */
  readonly #numbers = new Pages(Float64Array, 2)
  readonly #bare = new CounterChild(this, [])

  constructor (config: FamilyConfig<T> & ThisType<Counter<T>>) {
    super(config)
    this.reset()
    this.register()
  }

  /**
   * Adds `value`, 1 unless given.
   * @throws TypeError when the value is not a finite number, Error when it is negative or a label is unknown
   */
  inc (value?: number | null): void
  inc (labels: Labels<T>, value?: number | null): void
  inc (write: ExemplarWrite<T>): void
  inc (first?: Labels<T> | ExemplarWrite<T> | number | null, value?: number | null): void {
    if (typeof first !== 'object' || first === null) return this.#bare.inc(first)
    if (!this.enableExemplars) {
      const values = this.valuesFrom(first as Labels<T>)
      const addend = addendOf(value)
      return this.add(this.resolve(values), addend)
    }
    const write = first as ExemplarWrite<T>
    const values = this.valuesFrom(write.labels ?? {})
    const addend = addendOf(write.value)
    const place = this.resolve(values)
    this.add(place, addend)
    if (write.exemplarLabels === undefined) return
    refuseLongExemplar(write.exemplarLabels)
    this.exemplars.set(place, [exemplarOf(write.exemplarLabels, addend)])
  }

  /** The child of a label set. Keep the child if you often write to that label set. */
  labels (labels: Labels<T>): CounterChild<T>
  labels (...values: LabelValue[]): CounterChild<T>
  labels (...args: Array<LabelValue | Labels<T>>): CounterChild<T> {
    return new CounterChild(this, this.valuesOf(args))
  }

  /** Removes every label set; a counter without labels is at 0 again. */
  override reset (): void {
    super.reset()
    if (this.labelNames.length === 0) this.resolve([])
  }

  /** Adds to the number at a place. The caller has checked the addend. */
  add (place: number, addend: number): void {
    (this.#numbers.page(place)[this.#numbers.at(place)] as number) += addend
  }

  protected override zeroAt (place: number): void {
    this.#numbers.zero(place)
    this.#numbers.page(place)[this.#numbers.at(place) + 1] = Date.now() / 1000
  }

  /** The value, and the start time. */
  readonly width = 2

  protected override writeNumbers (place: number, target: Float64Array, at: number): void {
    const page = this.#numbers.page(place)
    const from = this.#numbers.at(place)
    target[at] = page[from] as number
    target[at + 1] = page[from + 1] as number
  }

  protected override reader (): (place: number, labels: readonly LabelPair[]) => SeriesSnapshot {
    const numbers = this.#numbers.copy()
    const exemplars = this.copyOfExemplars()
    return (place, labels) => {
      const page = numbers.page(place)
      const at = numbers.at(place)
      return { labels, created: page[at + 1], value: page[at] as number, exemplar: exemplars?.get(place)?.[0], buckets: undefined, quantiles: undefined }
    }
  }

  protected override valuesIn (place: number, labels: Labels): MetricValue[] {
    const value: MetricValue = { value: this.#numbers.page(place)[this.#numbers.at(place)] as number, labels }
    const exemplars = this.exemplars.get(place)
    if (exemplars !== undefined) value.exemplar = exemplars[0]
    return [value]
  }
}

/** The types that prom-client declares inside its class. */
// eslint-disable-next-line @typescript-eslint/no-namespace -- only a namespace puts a type inside a class
export namespace Counter {
  export type Internal = CounterChild
}

/** The child of a counter for one label set. */
export class CounterChild<T extends string = string> extends Child<Counter<T>> {
  /**
   * Adds `value`, 1 unless given.
   * @throws TypeError when the value is not a finite number, Error when it is negative
   */
  readonly inc = (value?: number | null): void => {
    const addend = addendOf(value)
    this.family.add(this.place(), addend)
  }
}

/** The number to add. It is checked before the series is looked up, so that a refused value makes no series. */
function addendOf (value: number | null | undefined): number {
  if (value === undefined || value === null) return 1
  if (!Number.isFinite(value)) throw notANumber('Value', value)
  if (value < 0) throw new Error('It is not possible to decrease a counter')
  return value
}
