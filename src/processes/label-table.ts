import type { LabelColumns } from '../metrics/index.js'
import { NumberedValues } from './numbered-values.js'

/** Label columns that are filled series by series. */
export class LabelTable {
  readonly columns: LabelColumns
  readonly #labels: readonly NumberedValues[]
  readonly #positions: ReadonlyMap<string, number>

  constructor (names: readonly string[], size: number) {
    this.#labels = names.map(() => new NumberedValues())
    this.#positions = new Map(names.map((name, i) => [name, i]))
    this.columns = { names, values: this.#labels.map(({ values }) => values), numbers: new Uint32Array(size * names.length) }
  }

  put (series: number, pairs: Iterable<{ readonly name: string, readonly value: string }>): void {
    for (const { name, value } of pairs) {
      const label = this.#positions.get(name) as number
      this.columns.numbers[series * this.columns.names.length + label] = (this.#labels[label] as NumberedValues).numberOf(value)
    }
  }
}
