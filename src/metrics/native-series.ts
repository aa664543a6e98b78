import { MIN_SCHEMA, NativeScale } from './native-scale.js'
import { NativeWindow } from './native-window.js'
import type { NativeBuckets, NativeSnapshot } from './snapshot.js'

/**
 * The most buckets from the first populated one to the last: a few far values must not take megabytes. At the finest
 * schema these buckets span 16 powers of two.
 */
const MAX_LENGTH = 4096

/** The checked settings of a histogram's native buckets. */
export interface NativeSettings {
  readonly schema: number
  readonly maxBuckets: number
  readonly zeroThreshold: number
  /** The age in seconds at which a series with widened buckets starts again. */
  readonly resetAfter: number
}

/** Stands in for buckets that a snapshot holds. Nothing is ever written to it. */
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
 * The native buckets of one series. When an observation would populate more buckets than the series may have, all its
 * buckets become twice as wide. So its schema is the one that it began with, or a lower one.
 */
export class NativeSeries {
  readonly #settings: NativeSettings
  readonly #zeroThreshold: number
  scale: NativeScale
  positive = new NativeWindow()
  negative = new NativeWindow()
  zeroCount = 0
  #populated = 0
  /** The state that snapshots have shared since the last observation; undefined if there was no snapshot since. */
  #shared: NativeState | undefined

  constructor (settings: NativeSettings) {
    this.#settings = settings
    this.#zeroThreshold = settings.zeroThreshold
    this.scale = NativeScale.of(settings.schema)
  }

  /**
   * Counts a finite value. Usually its bucket is populated already. Another method has all other cases, so that this
   * one stays small enough for the compiler to inline.
   */
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
   * The state as it is now; later writes do not change it. The buckets are not copied here but by the next observation,
   * if there is one: a scrape reads thousands of series at one moment.
   */
  share (): NativeSnapshot {
    if (this.#shared === undefined) {
      this.#shared = new NativeState(this, this.#zeroThreshold)
      // With no buckets here, the usual case of add() never applies, so add() needs no check for a shared state.
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
      // For each sign, the coarsest schema has 132 buckets for all floats, and 72 for those beyond the default
      // threshold.
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
    this.#populated = this.positive.countPopulated() + this.negative.countPopulated()
  }
}
