import { OVERFLOW, SeriesCopy, keyOf, numbersOf, type Key, type LabelColumns } from '../metrics/index.js'
import { NumberedValues } from './numbered-values.js'

/** Of one label: the column that it has in one process, and the number here of each value there. */
type Column = { readonly at: number, readonly numbers: Uint32Array } | { readonly number: number }

/** How the label values of one process are numbered here. */
export interface Translation {
  readonly columns: readonly Column[]
  readonly labels: LabelColumns
}

/**
 * The series of several processes by their label values. The values of a label are numbered once for each process, so a
 * series costs a few additions and no text. Places are given in the order in which the series came.
 */
export class MergedSeries {
  readonly names: readonly string[]
  /** In a key that is a number, the numbers of the values are below it. */
  readonly #limit: number
  readonly #labels: readonly NumberedValues[]
  readonly #places = new Map<Key, number>()
  /** By place. */
  readonly #keys: Key[] = []

  constructor (names: readonly string[]) {
    this.names = names
    this.#limit = 2 ** Math.floor(53 / Math.max(names.length, 1))
    this.#labels = names.map(() => new NumberedValues())
  }

  get size (): number {
    return this.#keys.length
  }

  /** @param constant values that all series of the process have, by name */
  translation (labels: LabelColumns, constant: Readonly<Record<string, string>> = {}): Translation {
    const columns = this.names.map((name, label): Column => {
      const at = labels.names.indexOf(name)
      if (name in constant || at === -1) return { number: this.#numberOf(label, constant[name]) }
      return { at, numbers: Uint32Array.from(labels.values[at] as readonly string[], (value) => this.#numberOf(label, value)) }
    })
    return { columns, labels }
  }

  /** The key of a series of a process. */
  keyOf ({ columns, labels: { names, numbers } }: Translation, series: number): Key {
    const from = series * names.length
    let key = 0
    for (const column of columns) {
      const number = 'number' in column ? column.number : column.numbers[numbers[from + column.at] as number] as number
      if (number >= this.#limit) {
        return columns.map((each) => 'number' in each ? each.number : each.numbers[numbers[from + each.at] as number] as number).join()
      }
      key = key * this.#limit + number
    }
    return key
  }

  get (key: Key): number | undefined {
    return this.#places.get(key)
  }

  add (key: Key): number {
    const place = this.#keys.push(key) - 1
    this.#places.set(key, place)
    return place
  }

  /** The key of the series for all that is beyond a cap. @param own how many of the labels say __overflow__ then */
  overflow (key: Key, own: number): Key {
    const numbers = numbersOf(key, this.names.length, this.#limit).map((number, label) => label < own ? this.#numberOf(label, OVERFLOW) : number)
    return keyOf(numbers, this.#limit)
  }

  /** The series, for a page. */
  copy (): SeriesCopy {
    return new SeriesCopy(this.#keys, Uint32Array.from(this.#keys, (_, place) => place), this.#limit, this.names, this.#values, [], this.#mayRepeat())
  }

  /** The series, for a contribution. */
  columns (): LabelColumns {
    const numbers = new Uint32Array(this.size * this.names.length)
    for (const [place, key] of this.#keys.entries()) numbers.set(numbersOf(key, this.names.length, this.#limit), place * this.names.length)
    return { names: this.names, values: this.#values, numbers }
  }

  /** Whether a label has the value '' at one series and none at another, which a scraper takes for the same. */
  #mayRepeat (): boolean {
    return this.#labels.some(({ values }, label) => values.includes('') && this.#keys.some((key) => numbersOf(key, this.names.length, this.#limit)[label] === 0))
  }

  get #values (): ReadonlyArray<ReadonlyArray<string | undefined>> {
    return this.#labels.map(({ values }) => values)
  }

  #numberOf (label: number, value: string | undefined): number {
    return (this.#labels[label] as NumberedValues).numberOf(value)
  }
}
