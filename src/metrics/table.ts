import type { SeriesColumns } from './columns.js'
import type { LabelPair } from './label-pair.js'
import type { LabelValue } from './labels.js'
import { keyOf, numbersOf, SeriesCopy, type Key } from './series-copy.js'
import { wellFormed } from './unicode.js'

/**
 * The values of one label. Each value is kept once, as long as a series has it, and has a number from 1 on. The number
 * 0 stands for no value.
 */
class LabelValues {
  /** The numbers by value. 200 and '200' are one value, and the form that came first is the key. */
  readonly #numbers = new Map<LabelValue, number>()
  /** The numbers by text, for the values that did not come as text. */
  readonly #texts = new Map<string, number>()
  #values: Array<LabelValue | undefined> = [undefined]
  /** Whether a copy of the series reads the array of values. Then no value is removed from that array. */
  #shared = false
  readonly #uses = [0]
  readonly #free: number[] = []
  /** Called when a value comes in a second form. */
  readonly #mixed: () => void

  constructor (mixed: () => void) {
    this.#mixed = mixed
  }

  /** The number of a value. 200 and '200' are one value, and so are texts with the same bytes in UTF-8. */
  numberOf (value: LabelValue | undefined): number | undefined {
    return value === undefined ? 0 : this.#numbers.get(value) ?? this.#numberInOtherForm(value)
  }

  /** Whether some series has no value of this label, and another has '', which a scraper takes for no value. */
  get hasNoneAndEmpty (): boolean {
    return this.hasNone && this.#numbers.has('')
  }

  /** Whether some series has no value of this label. */
  get hasNone (): boolean {
    return (this.#uses[0] as number) > 0
  }

  valueOf (number: number): LabelValue | undefined {
    return this.#values[number]
  }

  /** The values by number. A value that a series has now stays in this array, even if the series is removed. */
  share (): ReadonlyArray<LabelValue | undefined> {
    this.#shared = true
    return this.#values
  }

  /** Counts one more series that has a value. @returns the number of the value */
  take (value: LabelValue | undefined): number {
    // Converted only once: an object may give another text the next time.
    const kept = value === undefined ? undefined : keepable(value)
    let number = this.numberOf(kept)
    if (number === undefined) {
      number = this.#free.pop() ?? this.#values.length
      this.#numbers.set(kept as LabelValue, number)
      if (typeof kept !== 'string') this.#texts.set(`${kept}`, number)
      this.#values[number] = kept
      this.#uses[number] = 0
    }
    (this.#uses[number] as number)++
    return number
  }

  /** Counts one series less that has a value, and forgets the value after its last series. */
  give (number: number): void {
    const uses = --(this.#uses as [number])[number as 0]
    if (uses > 0 || number === 0) return
    if (this.#shared) this.#values = [...this.#values]
    this.#shared = false
    const value = this.#values[number] as LabelValue
    this.#numbers.delete(value)
    if (typeof value !== 'string') this.#texts.delete(`${value}`)
    this.#values[number] = undefined
    this.#free.push(number)
  }

  #numberInOtherForm (value: LabelValue): number | undefined {
    const text = wellFormed(`${value}`)
    const number = this.#texts.get(text)
    if (number !== undefined) this.#mixed()
    if (number !== undefined || value === text) return number
    const ofText = this.#numbers.get(text)
    if (ofText !== undefined && typeof value !== 'string') this.#mixed()
    return ofText
  }
}

/**
 * A value in the form that is kept and shown. An object becomes its text, because it could change later and would be
 * kept alive for nothing. A bigint becomes its text, because JSON has no bigint.
 */
function keepable (value: LabelValue): LabelValue {
  if (typeof value === 'string') return wellFormed(value)
  // JavaScript callers may pass booleans and null, which the types do not declare: prom-client shows them as they came.
  return typeof value === 'number' || typeof value === 'boolean' || value === null ? value : wellFormed(`${value as string}`)
}

/**
 * The places of a family's series, by their label values. The values of a label are kept once and numbered. The numbers
 * of a series' values, combined, are its key. So a series needs no object and no string of its own, and no text is
 * built to find a series.
 */
export class SeriesTable {
  readonly #labels: LabelValues[]
  /** The numbers of a label's values must be below this to fit into a key that is a number. */
  readonly #limit: number
  #columns: SeriesColumns | undefined
  readonly #places = new Map<Key, number>()
  readonly #free: number[] = []
  #next = 0
  /** Whether a label's value came in two forms, such as 200 and '200'. */
  mixed = false
  /** By place, the label values of a series that were given in another form than the table keeps. */
  readonly #given = new Map<number, Array<LabelValue | undefined>>()

  /** @param labels the number of labels of a series */
  constructor (labels: number) {
    this.#labels = Array.from({ length: labels }, () => this.#noValues())
    this.#limit = 2 ** Math.floor(53 / Math.max(labels, 1))
  }

  get size (): number {
    return this.#places.size
  }

  /** The place of exactly these values. */
  get (values: ReadonlyArray<LabelValue | undefined>): number | undefined {
    const limit = this.#limit
    let key = 0
    for (let i = 0; i < this.#labels.length; i++) {
      const number = (this.#labels[i] as LabelValues).numberOf(values[i])
      if (number === undefined) return undefined
      if (number >= limit) return this.#places.get(this.#longKey(values))
      key = key * limit + number
    }
    return this.#places.get(key)
  }

  /** Makes a place for label values that have none yet. */
  add (values: ReadonlyArray<LabelValue | undefined>): number {
    const numbers = this.#labels.map((label, i) => label.take(values[i]))
    const place = this.#free.pop() ?? this.#next++
    this.#columns = undefined
    this.#places.set(keyOf(numbers, this.#limit), place)
    if (this.mixed) this.show(place, values)
    return place
  }

  /** Shows a series with its label values in the form that is given here. */
  show (place: number, values: ReadonlyArray<LabelValue | undefined>): void {
    const given = this.#labels.map((_, i) => values[i] === undefined ? undefined : keepable(values[i]))
    const kept = this.#labels.map((label, i) => label.valueOf(label.numberOf(values[i]) as number))
    if (given.some((value, i) => !Object.is(value, kept[i]))) this.#given.set(place, given)
    else this.#given.delete(place)
  }

  /** Removes the series with these label values. @returns the place that it had */
  delete (values: ReadonlyArray<LabelValue | undefined>): number | undefined {
    const place = this.get(values)
    if (place === undefined) return undefined
    const numbers = this.#labels.map((label, i) => label.numberOf(values[i]) as number)
    this.#places.delete(keyOf(numbers, this.#limit))
    for (const [i, number] of numbers.entries()) (this.#labels[i] as LabelValues).give(number)
    this.#free.push(place)
    this.#columns = undefined
    return place
  }

  clear (): void {
    for (const i of this.#labels.keys()) this.#labels[i] = this.#noValues()
    this.mixed = false
    this.#given.clear()
    this.#places.clear()
    this.#free.length = 0
    this.#next = 0
    this.#columns = undefined
  }

  /** The series in columns, oldest first. It is made anew only when a series has come or gone. */
  columns (names: readonly string[]): SeriesColumns {
    this.#columns ??= this.#makeColumns(names)
    return this.#columns
  }

  #makeColumns (names: readonly string[]): SeriesColumns {
    const places = new Uint32Array(this.size)
    const numbers = new Uint32Array(this.size * names.length)
    let i = 0
    let at = 0
    for (const [key, place] of this.#places) {
      places[i++] = place
      for (const number of numbersOf(key, names.length, this.#limit)) numbers[at++] = number
    }
    // The array of a label's values has what is free, too: no series has its number.
    const values = this.#labels.map((label) => label.share().map((value) => value === undefined ? undefined : String(value)))
    return { labels: { names, values, numbers }, places }
  }

  /** The series as they are now, oldest first. @param shared labels that every series gets beside its own */
  copy (labelNames: readonly string[], shared: readonly LabelPair[]): SeriesCopy {
    const keys = new Array<Key>(this.size)
    const places = new Uint32Array(this.size)
    let i = 0
    this.#places.forEach((place, key) => {
      keys[i] = key
      places[i++] = place
    })
    const mayRepeat = this.#labels.some((label, i) => label.hasNoneAndEmpty || (label.hasNone && shared.some(({ name }) => name === labelNames[i])))
    return new SeriesCopy(keys, places, this.#limit, labelNames, this.#labels.map((label) => label.share()), shared, mayRepeat)
  }

  /** All series, oldest first. */
  * [Symbol.iterator] (): Generator<{ values: Array<LabelValue | undefined>, place: number }> {
    for (const [key, place] of this.#places) {
      const numbers = numbersOf(key, this.#labels.length, this.#limit)
      yield { values: this.#given.get(place) ?? numbers.map((number, i) => (this.#labels[i] as LabelValues).valueOf(number)), place }
    }
  }

  #noValues (): LabelValues {
    return new LabelValues(() => { this.mixed = true })
  }

  #longKey (values: ReadonlyArray<LabelValue | undefined>): Key {
    return this.#labels.map((label, i) => label.numberOf(values[i])).join()
  }
}
