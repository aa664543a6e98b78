import { MIN_SCHEMA, NativeScale } from './native-scale.js'
import { NativeWindow } from './native-window.js'
import type { NativeBuckets, NativeSnapshot } from './snapshot.js'

/** Buckets from the first populated one to the last, at most: a few far from the rest must not take megabytes. 16 powers of two at the finest schema. */
const MAX_LENGTH = 4096

/** What a histogram's native buckets are made from, checked. */
export interface NativeSettings {
  readonly schema: number
  readonly maxBuckets: number
  readonly zeroThreshold: number
  /** Seconds. */
  readonly resetAfter: number
}

/** In place of buckets that a snapshot has: nothing is ever written to it. */
const NONE = new NativeWindow()

/** The native buckets of one series as they were at one moment. */
class NativeState implements NativeSnapshot {
  readonly schema: number
  readonly zeroThreshold: number
  readonly zeroCount: number
  readonly windows: { readonly positive: NativeWindow, readonly negative: NativeWindow }

  constructor ({ scale, zeroCount, positive, negative }: NativeSeries, zeroThreshold: number) {
    this.schema = scale.schema
    this.zeroThreshold = zeroThreshold
    this.zeroCount = zeroCount
    this.windows = { positive, negative }
  }

  get positive (): NativeBuckets {
    return this.windows.positive.buckets()
  }

  get negative (): NativeBuckets {
    return this.windows.negative.buckets()
  }
}

/**
 * The native buckets of one series. Where its observations would populate more buckets than it may have, they all become twice as wide,
 * so its schema is what it began with or less.
 */
export class NativeSeries {
  readonly #settings: NativeSettings
  readonly #zeroThreshold: number
  scale: NativeScale
  positive = new NativeWindow()
  negative = new NativeWindow()
  zeroCount = 0
  #populated = 0
  /** What a snapshot has since the last observation. */
  #shared: NativeState | undefined

  constructor (settings: NativeSettings) {
    this.#settings = settings
    this.#zeroThreshold = settings.zeroThreshold
    this.scale = NativeScale.of(settings.schema)
  }

  /** Counts a finite value. The usual case is that its bucket is there; all else is apart, so that this stays small enough for the compiler to inline. */
  add (value: number): void {
    if (value > this.#zeroThreshold) {
      const { counts, start } = this.positive
      const slot = this.scale.indexOf(value) - start
      if (slot >= 0 && slot < counts.length) {
        const count = counts[slot] as number
        if (count > 0) {
          counts[slot] = count + 1
          return
        }
      }
    }
    this.#addElsewhere(value)
  }

  /**
   * The state as it is now, which nothing that is written later changes. It is not copied here but by the next observation, if there is one: thousands of series
   * are read at one moment.
   */
  share (): NativeSnapshot {
    if (this.#shared === undefined) {
      this.#shared = new NativeState(this, this.#zeroThreshold)
      // Without buckets, the usual case of add() is none, and asks no question more.
      this.positive = NONE
      this.negative = NONE
    }
    return this.#shared
  }

  #addElsewhere (value: number): void {
    if (this.#shared !== undefined) {
      const { positive, negative } = this.#shared.windows
      this.positive = positive.copy()
      this.negative = negative.copy()
      this.#shared = undefined
    }
    const magnitude = Math.abs(value)
    if (magnitude <= this.#zeroThreshold) {
      this.zeroCount++
      return
    }
    for (;;) {
      const window = value > 0 ? this.positive : this.negative
      const index = this.scale.indexOf(magnitude)
      const populated = window.has(index)
      const fits = populated || (this.#populated < this.#settings.maxBuckets && window.lengthWith(index) <= MAX_LENGTH)
      // The coarsest schema has 132 buckets of a sign for all floats there are, 72 for those beyond the default threshold.
      if (fits || this.scale.schema === MIN_SCHEMA) {
        window.add(index, 1)
        if (!populated) this.#populated++
        return
      }
      this.#widen()
    }
  }

  #widen (): void {
    this.scale = NativeScale.of(this.scale.schema - 1)
    this.positive = this.positive.widened()
    this.negative = this.negative.widened()
    this.#populated = this.positive.populated() + this.negative.populated()
  }
}
