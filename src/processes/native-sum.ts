import { NativeWindow, type NativeBuckets, type NativeSnapshot } from '../metrics/index.js'

/**
 * The sum of native histograms of one series: in the coarsest of their schemas, with the widest of their zero buckets,
 * as Prometheus adds them (https://prometheus.io/docs/specs/native_histograms/#aggregations).
 */
export class NativeSum implements NativeSnapshot {
  schema: number
  zeroThreshold: number
  zeroCount = 0
  #positive = new NativeWindow()
  #negative = new NativeWindow()

  constructor ({ schema, zeroThreshold }: NativeSnapshot) {
    this.schema = schema
    this.zeroThreshold = zeroThreshold
  }

  get positive (): NativeBuckets {
    return this.#positive.buckets()
  }

  get negative (): NativeBuckets {
    return this.#negative.buckets()
  }

  add (other: NativeSnapshot): void {
    while (this.schema > other.schema) {
      this.#positive = this.#positive.widened()
      this.#negative = this.#negative.widened()
      this.schema--
    }
    this.zeroCount += other.zeroCount
    const positive = windowOf(other.positive, other.schema - this.schema)
    const negative = windowOf(other.negative, other.schema - this.schema)
    this.zeroThreshold = this.#commonThreshold(Math.max(this.zeroThreshold, other.zeroThreshold), positive, negative)
    for (const [mine, theirs] of [[this.#positive, positive], [this.#negative, negative]] as const) {
      for (let index = theirs.first; index <= theirs.last; index++) {
        const count = theirs.counts[index - theirs.start] as number
        if (count > 0) mine.add(index, count)
      }
    }
    this.#positive = this.#withoutZero(this.#positive)
    this.#negative = this.#withoutZero(this.#negative)
  }

  /** The threshold, widened to the end of a populated bucket that it would cut in two. */
  #commonThreshold (threshold: number, ...theirs: readonly NativeWindow[]): number {
    let wider = threshold
    for (const window of [this.#positive, this.#negative, ...theirs]) {
      for (let index = window.first; index <= window.last; index++) {
        if (!window.has(index)) continue
        const upper = upperBound(this.schema, index)
        if (upper > wider) {
          if (upperBound(this.schema, index - 1) < wider) wider = upper
          break
        }
      }
    }
    return wider
  }

  /** The buckets above the zero bucket; what the others count is in that. */
  #withoutZero (window: NativeWindow): NativeWindow {
    if (window.length === 0 || upperBound(this.schema, window.first) > this.zeroThreshold) return window
    const rest = new NativeWindow()
    for (let index = window.first; index <= window.last; index++) {
      const count = window.counts[index - window.start] as number
      if (count === 0) continue
      if (upperBound(this.schema, index) <= this.zeroThreshold) this.zeroCount += count
      else rest.add(index, count)
    }
    return rest
  }
}

function upperBound (schema: number, index: number): number {
  return 2 ** (index * 2 ** -schema)
}

/** @param times how many times two neighbours become one */
function windowOf ({ offset, counts }: NativeBuckets, times: number): NativeWindow {
  let window = new NativeWindow()
  for (let i = 0; i < counts.length; i++) {
    const count = counts[i] as number
    if (count > 0) window.add(offset + i, count)
  }
  for (let i = 0; i < times; i++) window = window.widened()
  return window
}
