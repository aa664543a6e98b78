import { numbersOf, SeriesCopy, type Key } from './series-copy.js'
import type { LabelValue } from './labels.js'
import type { LabelPair } from './label-pair.js'
import { wellFormed } from './unicode.js'

/** The values of one label, each kept once and known by a number from 1 on, as long as a series has it; 0 is no value. */
class LabelValues {
  readonly #numbers = new Map<string, number>()
  #values: Array<LabelValue | undefined> = [undefined]
  /** Whether a copy of the series reads the values: none is taken out of that array then. */
  #shared = false
  readonly #uses = [0]
  readonly #free: number[] = []

  /** 200 and '200' are one value, and so are texts that UTF-8 has the same bytes for. */
  numberOf (value: LabelValue | undefined): number | undefined {
    if (value === undefined) return 0
    const text = typeof value === 'string' ? value : `${value}`
    return this.#numbers.get(text) ?? this.#numbers.get(wellFormed(text))
  }

  /** Whether some series has no value here, and another one that a scraper takes for none. */
  get hasNoneAndEmpty (): boolean {
    return this.hasNone && this.#numbers.has('')
  }

  /** Whether some series has no value here. */
  get hasNone (): boolean {
    return (this.#uses[0] as number) > 0
  }

  valueOf (number: number): LabelValue | undefined {
    return this.#values[number]
  }

  /** The values by number. Those that a series has now stay where they are, whatever happens to the series. */
  share (): ReadonlyArray<LabelValue | undefined> {
    this.#shared = true
    return this.#values
  }

  /** The number of a value that one more series has. */
  take (value: LabelValue | undefined): number {
    // Put together once: an object may give another text the next time.
    const text = wellFormed(`${value}`)
    let number = value === undefined ? 0 : this.#numbers.get(text)
    if (number === undefined) {
      number = this.#free.pop() ?? this.#values.length
      this.#numbers.set(text, number)
      // What is neither text nor a number could change later, or keep a caller's object alive.
      this.#values[number] = typeof value === 'number' ? value : text
      this.#uses[number] = 0
    }
    (this.#uses[number] as number)++
    return number
  }

  /** One series less has it. */
  give (number: number): void {
    const uses = --(this.#uses as [number])[number as 0]
    if (uses > 0 || number === 0) return
    if (this.#shared) this.#values = [...this.#values]
    this.#shared = false
    this.#numbers.delete(`${this.#values[number]}`)
    this.#values[number] = undefined
    this.#free.push(number)
  }
}

/**
 * The places of a family's series by their label values. A label's values are kept once and numbered, and a series is known by its numbers
 * put together: no object and no string for each series, and no text put together to find one.
 */
export class SeriesTable {
  readonly #labels: LabelValues[]
  /** What the numbers of one label stay below to fit into a key that is a number. */
  readonly #limit: number
  readonly #places = new Map<Key, number>()
  readonly #free: number[] = []
  #next = 0

  /** @param labels how many labels a series has */
  constructor (labels: number) {
    this.#labels = Array.from({ length: labels }, () => new LabelValues())
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

  /** A place for values that have none yet. */
  add (values: ReadonlyArray<LabelValue | undefined>): number {
    const numbers = this.#labels.map((label, i) => label.take(values[i]))
    const place = this.#free.pop() ?? this.#next++
    this.#places.set(this.#keyOf(numbers), place)
    return place
  }

  /** Takes the values out; gives the place they had. */
  delete (values: ReadonlyArray<LabelValue | undefined>): number | undefined {
    const place = this.get(values)
    if (place === undefined) return undefined
    const numbers = this.#labels.map((label, i) => label.numberOf(values[i]) as number)
    this.#places.delete(this.#keyOf(numbers))
    for (const [i, number] of numbers.entries()) (this.#labels[i] as LabelValues).give(number)
    this.#free.push(place)
    return place
  }

  clear (): void {
    for (const i of this.#labels.keys()) this.#labels[i] = new LabelValues()
    this.#places.clear()
    this.#free.length = 0
    this.#next = 0
  }

  /** The series as they are now, oldest first. @param shared labels that each gets beside its own */
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
      yield { values: numbers.map((number, i) => (this.#labels[i] as LabelValues).valueOf(number)), place }
    }
  }

  #keyOf (numbers: readonly number[]): Key {
    if (numbers.some((number) => number >= this.#limit)) return numbers.join()
    return numbers.reduce((key, number) => key * this.#limit + number, 0)
  }

  #longKey (values: ReadonlyArray<LabelValue | undefined>): Key {
    return this.#labels.map((label, i) => label.numberOf(values[i])).join()
  }
}
