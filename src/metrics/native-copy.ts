import type { NativeSeries } from './native-series.js'
import type { NativeWindow } from './native-window.js'
import type { NativeBuckets, NativeSnapshot } from './snapshot.js'

/** Numbers that stand before the buckets of a series: schema, zero count, and first bucket and length of the positive and of the negative ones. */
const HEAD = 6

/** The native buckets of a family's series as they were at one moment, all in one array. */
export class NativeCopy {
  readonly #numbers: Float64Array
  /** Where a place's numbers are. */
  readonly #starts: Uint32Array
  readonly #zeroThreshold: number

  /** @param series by place */
  constructor (series: readonly NativeSeries[], zeroThreshold: number) {
    this.#zeroThreshold = zeroThreshold
    this.#starts = new Uint32Array(series.length)
    let length = 0
    for (const { positive, negative } of series) length += HEAD + positive.length + negative.length
    const numbers = this.#numbers = new Float64Array(length)
    let at = 0
    for (let place = 0; place < series.length; place++) {
      const { scale, zeroCount, positive, negative } = series[place] as NativeSeries
      this.#starts[place] = at
      numbers[at] = scale.schema
      numbers[at + 1] = zeroCount
      numbers[at + 2] = positive.first
      numbers[at + 3] = positive.length
      numbers[at + 4] = negative.first
      numbers[at + 5] = negative.length
      at = copyInto(numbers, copyInto(numbers, at + HEAD, positive), negative)
    }
  }

  of (place: number): NativeSnapshot {
    const numbers = this.#numbers
    const at = this.#starts[place] as number
    const ofPositive = at + HEAD
    const ofNegative = ofPositive + (numbers[at + 3] as number)
    return {
      schema: numbers[at] as number,
      zeroThreshold: this.#zeroThreshold,
      zeroCount: numbers[at + 1] as number,
      positive: this.#buckets(at + 2, ofPositive),
      negative: this.#buckets(at + 4, ofNegative)
    }
  }

  #buckets (head: number, at: number): NativeBuckets {
    return { offset: this.#numbers[head] as number, counts: this.#numbers.subarray(at, at + (this.#numbers[head + 1] as number)) }
  }
}

/** Gives where it ends. */
function copyInto (numbers: Float64Array, at: number, { counts, start, first, last, length }: NativeWindow): number {
  if (length > 0) numbers.set(counts.subarray(first - start, last - start + 1), at)
  return at + length
}
