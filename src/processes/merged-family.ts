import { Pages, type Key, type LabelPair, type Exemplar, type FamilySnapshot, type NativeSnapshot, type QuantilesSnapshot, type SeriesSnapshot } from '../metrics/index.js'
import type { Contributed, Contributor } from './contribution.js'
import { widthOf, type Definition } from './definition.js'
import { MergedSeries } from './merged-series.js'
import { fromNumbers, toNumbers } from './native-numbers.js'
import { NativeSum } from './native-sum.js'

const PROCESS = 'process'

/** One metric of several processes. */
export class MergedFamily {
  readonly definition: Definition
  readonly #series: MergedSeries
  readonly #width: number
  readonly #numbers: Pages<Float64Array>
  /** Of how many processes a series is. */
  readonly #parts: number[] = []
  readonly #natives: Array<NativeSum | undefined> = []
  readonly #exemplars = new Map<number, Array<Exemplar | undefined>>()
  /** How many series there are for what is beyond maxSeries: one for each set of the registries' default labels. */
  #overflows = 0

  /** @param labels the labels of all that will be added */
  constructor (definition: Definition, labels: readonly string[] = definition.labels) {
    this.definition = definition
    this.#series = new MergedSeries(definition.merge === 'each' ? [...labels.filter((name) => name !== PROCESS), PROCESS] : labels)
    this.#width = widthOf(definition)
    this.#numbers = new Pages(Float64Array, this.#width)
  }

  get size (): number {
    return this.#series.size
  }

  /**
   * Adds what one process has counted, in slices of the caller's: it is asked for each series whether to go on.
   * @param process the value of the label `process`
   * @throws RangeError for native buckets that are cut off
   */
  * add ({ labels, size, numbers, natives, exemplars }: Contributed, process: string): Generator<undefined> {
    if (this.definition.merge === 'omit') return
    const width = this.#width
    const translation = this.#series.translation(labels, this.definition.merge === 'each' ? { [PROCESS]: process } : {})
    const places = exemplars.length > 0 ? new Uint32Array(size) : undefined
    const native = natives.length > 0 ? fromNumbers(natives) : undefined
    for (let series = 0; series < size; series++) {
      const place = this.#placeOf(this.#series.keyOf(translation, series))
      if (places !== undefined) places[series] = place
      this.#addNumbers(place, numbers, series * width)
      const value = native?.next().value as NativeSnapshot | undefined
      if (value !== undefined) (this.#natives[place] ??= new NativeSum(value)).add(value)
      if ((series & 255) === 255) yield
    }
    for (const [series, bucket, exemplar] of exemplars) this.#illustrate(places?.[series] as number, bucket, exemplar)
  }

  /** The series as a page has them. */
  snapshot (): FamilySnapshot {
    const { name, help, type, bounds } = this.definition
    const table = this.#series.copy()
    const read = (place: number, labels: readonly LabelPair[]) => this.#read(place, labels)
    return {
      name,
      help,
      type,
      size: table.size,
      bounds,
      mayRepeat: table.mayRepeat,
      * series () {
        for (let i = 0; i < table.size; i++) yield read(table.place(i), table.labels(i))
      }
    }
  }

  /** The same as a contribution, for those that come later. */
  contributor (): Contributor {
    const { size } = this
    const width = this.#width
    const numbers = this.#numbers
    return {
      definition: { ...this.definition, labels: this.#series.names },
      size,
      labels: this.#series.columns(),
      numbersInto (target, at) {
        for (let place = 0; place < size; place++) {
          for (let i = 0; i < width; i++) target[at++] = numbers.page(place)[numbers.at(place) + i] as number
        }
      },
      natives: this.#natives.length === 0 ? new Float64Array(0) : toNumbers(this.#natives as NativeSum[]),
      exemplars: [...this.#exemplars].flatMap(([place, exemplars]) => exemplars.flatMap((exemplar, bucket) => exemplar === undefined ? [] : [[place, bucket, exemplar] as const]))
    }
  }

  #placeOf (key: Key): number {
    const known = this.#series.get(key)
    if (known !== undefined) return known
    const { merge, maxSeries, own } = this.definition
    if (merge === 'each' || this.#series.size - this.#overflows < maxSeries) return this.#make(key)
    const overflow = this.#series.overflow(key, own)
    const place = this.#series.get(overflow)
    if (place !== undefined) return place
    this.#overflows++
    return this.#make(overflow)
  }

  #make (key: Key): number {
    const place = this.#series.add(key)
    this.#numbers.zero(place)
    this.#parts[place] = 0
    return place
  }

  #addNumbers (place: number, from: Float64Array, at: number): void {
    const page = this.#numbers.page(place)
    const to = this.#numbers.at(place)
    const first = this.#parts[place] === 0
    ;(this.#parts[place] as number)++
    const { type, merge } = this.definition
    if (type === 'counter' || type === 'histogram') {
      ;(page[to] as number) += from[at] as number
      const created = from[at + 1] as number
      // NaN where it is not known.
      if (first || created < (page[to + 1] as number)) page[to + 1] = created
      for (let i = 2; i < this.#width; i++) (page[to + i] as number) += from[at + i] as number
    } else if (type === 'summary') {
      (page[to] as number) += from[at] as number
      ;(page[to + 1] as number) += from[at + 1] as number
      // The quantiles of several processes cannot be put together.
      for (let i = 2; i < this.#width; i++) page[to + i] = first ? from[at + i] as number : NaN
    } else {
      const value = from[at] as number
      const before = page[to] as number
      if (first) page[to] = value
      else if (merge === 'min') page[to] = Math.min(before, value)
      else if (merge === 'max') page[to] = Math.max(before, value)
      else if (merge === 'sum' || merge === 'average') page[to] = before + value
    }
  }

  #illustrate (place: number, bucket: number, exemplar: Exemplar): void {
    const exemplars = this.#exemplars.get(place) ?? []
    this.#exemplars.set(place, exemplars)
    const before = exemplars[bucket]
    if (before === undefined || before.timestamp <= exemplar.timestamp) exemplars[bucket] = exemplar
  }

  #read (place: number, labels: readonly LabelPair[]): SeriesSnapshot {
    const { type, merge, quantiles: at } = this.definition
    const page = this.#numbers.page(place)
    const from = this.#numbers.at(place)
    const value = merge === 'average' ? (page[from] as number) / (this.#parts[place] as number) : page[from] as number
    const created = type === 'counter' || type === 'histogram' ? page[from + 1] as number : NaN
    const exemplars = this.#exemplars.get(place)
    let quantiles: QuantilesSnapshot | undefined
    if (type === 'summary') {
      const known = at.map((quantile, i) => ({ quantile, value: page[from + 2 + i] as number }))
      quantiles = { quantiles: this.#parts[place] === 1 ? known : [], count: page[from + 1] as number }
    }
    return {
      labels,
      created: Number.isNaN(created) ? undefined : created,
      value,
      exemplar: type === 'counter' ? exemplars?.[0] : undefined,
      buckets: type === 'histogram' ? { counts: page, at: from + 2, exemplars, native: this.#natives[place] } : undefined,
      quantiles
    }
  }
}
