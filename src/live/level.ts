/** What some gauges say together. */
export class Level {
  /** Undefined where none of them says anything. */
  value: number | undefined
  /** The number of the last sample in which one of them was. */
  seen = -1
  readonly #how: 'sum' | 'max'
  readonly #ranges: Array<{ sum: number, samples: number, most: number }> = []

  constructor (how: 'sum' | 'max' = 'sum') {
    this.#how = how
  }

  /** @param sample the number of the sample: with a new one it begins anew */
  add (value: number, sample: number): void {
    if (this.seen !== sample) {
      this.seen = sample
      this.value = undefined
    }
    if (Number.isNaN(value)) return
    this.value = this.value === undefined ? value : this.#how === 'sum' ? this.value + value : Math.max(this.value, value)
  }

  /** Takes the value into the steps of so many ranges. */
  keep (ranges: number): void {
    const { value } = this
    for (let i = 0; i < ranges; i++) {
      const range = this.#ranges[i] ??= { sum: 0, samples: 0, most: -Infinity }
      if (value === undefined) continue
      range.sum += value
      range.samples++
      range.most = Math.max(range.most, value)
    }
  }

  /** The mean of a range's step until now; undefined where it had no value. */
  mean (range: number): number | undefined {
    const { sum = 0, samples = 0 } = this.#ranges[range] ?? {}
    return samples === 0 ? undefined : sum / samples
  }

  /** The largest value of a range's step until now. */
  most (range: number): number | undefined {
    const { most = 0, samples = 0 } = this.#ranges[range] ?? {}
    return samples === 0 ? undefined : most
  }

  /** The step of a range is over. */
  begin (range: number): void {
    this.#ranges[range] = { sum: 0, samples: 0, most: -Infinity }
  }
}
