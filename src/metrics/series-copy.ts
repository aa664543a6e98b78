import { LabelPair } from './label-pair.js'
import type { LabelValue } from './labels.js'

/** The numbers of a series' label values, combined into one number, or into text if they are too large for that. */
export type Key = number | string

/** The key of the numbers of a series' label values. @param limit as for numbersOf() */
export function keyOf (numbers: readonly number[], limit: number): Key {
  if (numbers.some((number) => number >= limit)) return numbers.join()
  return numbers.reduce((key, number) => key * limit + number, 0)
}

/**
 * The numbers of the label values in a key.
 * @param limit a power of two: in a key that is a number, all numbers are below it
 */
export function numbersOf (key: Key, labels: number, limit: number): number[] {
  if (typeof key === 'string') return key.split(',').map(Number)
  const numbers = new Array<number>(labels)
  let rest = key
  for (let i = labels - 1; i >= 0; i--) {
    const whole = Math.floor(rest / limit)
    numbers[i] = rest - whole * limit
    rest = whole
  }
  return numbers
}

/** The series of a family as they were at one moment. The labels of a series are built only when they are read. */
export class SeriesCopy {
  /** Whether two of the series may have the same labels for a scraper. */
  readonly mayRepeat: boolean
  readonly #keys: readonly Key[]
  readonly #places: Uint32Array
  readonly #limit: number
  readonly #names: readonly string[]
  readonly #values: ReadonlyArray<ReadonlyArray<LabelValue | undefined>>
  readonly #shared: readonly LabelPair[]
  /** The label pairs by label and number of the value. */
  readonly #pairs: Array<Array<LabelPair | undefined>>

  /** @param values the label values by label and number */
  constructor (
    keys: readonly Key[], places: Uint32Array, limit: number,
    names: readonly string[], values: ReadonlyArray<ReadonlyArray<LabelValue | undefined>>, shared: readonly LabelPair[],
    mayRepeat: boolean
  ) {
    this.mayRepeat = mayRepeat
    this.#keys = keys
    this.#places = places
    this.#limit = limit
    this.#names = names
    this.#values = values
    this.#shared = shared
    this.#pairs = names.map(() => [])
  }

  get size (): number {
    return this.#places.length
  }

  /** The place of the numbers of a series. */
  place (series: number): number {
    return this.#places[series] as number
  }

  /** The labels of a series, then the shared labels whose names it does not have itself. */
  labels (series: number): readonly LabelPair[] {
    if (this.#names.length === 0) return this.#shared
    const numbers = numbersOf(this.#keys[series] as Key, this.#names.length, this.#limit)
    const labels: LabelPair[] = []
    for (let i = 0; i < numbers.length; i++) {
      const number = numbers[i] as number
      if (number !== 0) labels.push(this.#pair(i, number))
    }
    for (const pair of this.#shared) {
      if (!labels.some(({ name }) => name === pair.name)) labels.push(pair)
    }
    return labels
  }

  #pair (label: number, number: number): LabelPair {
    const pairs = this.#pairs[label] as Array<LabelPair | undefined>
    let pair = pairs[number]
    if (pair === undefined) pairs[number] = pair = new LabelPair(this.#names[label] as string, String(this.#values[label]?.[number]))
    return pair
  }
}
