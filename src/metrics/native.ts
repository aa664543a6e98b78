import { show } from '../validation/errors.js'
import { MAX_SCHEMA, MIN_SCHEMA } from './native-scale.js'
import { NativeSeries, type NativeSettings } from './native-series.js'
import type { NativeSnapshot } from './snapshot.js'

/** The settings of a histogram's native buckets (https://prometheus.io/docs/specs/native_histograms/). */
export interface NativeConfig {
  /**
   * How many times wider a bucket may be than the bucket before it: a finite number greater than 1. The histogram takes
   * the coarsest resolution of Prometheus that keeps to this factor, or else the finest, 1.0027. Default: 1.1, which
   * gives 1.09.
   */
  growthFactor?: number | undefined
  /**
   * The most buckets that the values of a series may populate. Both signs count together; the bucket around zero is not
   * counted. If there would be more, or if they would lie more than 4096 buckets apart, the buckets of that series
   * become twice as wide until they fit. Only the widest buckets, of 16 powers of two each, may exceed this number, if
   * it is less than 144. Default: 160.
   */
  maxBuckets?: number | undefined
  /** Values from minus this number to this number count as zero. Default: 2^-128. */
  zeroThreshold?: number | undefined
  /**
   * The age in seconds at which a series with widened buckets gets back the width that it began with. When a page has
   * read such a series of this age, the series starts again from zero, count and sum included. Its start time tells so,
   * and `rate()` sees a counter reset. Infinity means never. Default: 3600.
   */
  resetAfter?: number | undefined
}

const DEFAULT_GROWTH_FACTOR = 1.1
const DEFAULT_MAX_BUCKETS = 160
/** A bucket bound in every schema. */
const DEFAULT_ZERO_THRESHOLD = 2 ** -128
const DEFAULT_RESET_AFTER = 3600

/** Whether a value can be the growth factor of native buckets. */
export function isGrowthFactor (value: unknown): value is number {
  return typeof value === 'number' && value > 1 && value < Infinity
}

/** Whether a value can be the age at which a series starts again, in seconds. */
export function isResetTime (value: unknown): value is number {
  return typeof value === 'number' && value > 0
}

/**
 * Checks the settings of a histogram's native buckets and fills in the defaults.
 * @param owner the histogram's name
 * @throws RangeError for a number that is out of range, TypeError for a configuration that is no object
 */
export function readNative (owner: string, config: NativeConfig): NativeSettings {
  if (typeof config !== 'object' || config === null) throw new TypeError(`native of '${owner}' must be an object, got ${show(config)}`)
  const { growthFactor = DEFAULT_GROWTH_FACTOR, maxBuckets = DEFAULT_MAX_BUCKETS, zeroThreshold = DEFAULT_ZERO_THRESHOLD, resetAfter = DEFAULT_RESET_AFTER } = config
  if (!isGrowthFactor(growthFactor)) throw new RangeError(`native.growthFactor of '${owner}' must be a finite number greater than 1, got ${show(growthFactor)}`)
  if (!Number.isInteger(maxBuckets) || maxBuckets < 1) throw new RangeError(`native.maxBuckets of '${owner}' must be a whole number from 1 on, got ${show(maxBuckets)}`)
  if (!Number.isFinite(zeroThreshold) || zeroThreshold < 0) {
    throw new RangeError(`native.zeroThreshold of '${owner}' must be a finite number from 0 on, got ${show(zeroThreshold)}`)
  }
  if (!isResetTime(resetAfter)) throw new RangeError(`native.resetAfter of '${owner}' must be seconds, more than 0, or Infinity, got ${show(resetAfter)}`)
  return { schema: schemaOf(growthFactor), maxBuckets, zeroThreshold, resetAfter }
}

/** The settings as an error message shows them: the schema, and the other settings that differ from the defaults. */
export function describeNative ({ schema, maxBuckets, zeroThreshold, resetAfter }: NativeSettings): string {
  const limit = maxBuckets === DEFAULT_MAX_BUCKETS ? '' : `, at most ${maxBuckets}`
  const zero = zeroThreshold === DEFAULT_ZERO_THRESHOLD ? '' : `, zero up to ${zeroThreshold}`
  const reset = resetAfter === DEFAULT_RESET_AFTER ? '' : `, reset after ${resetAfter} s`
  return `native buckets of schema ${schema}${limit}${zero}${reset}`
}

/** The native buckets of a family's series. */
export class NativeCounts {
  readonly #settings: NativeSettings
  /** The native buckets by place. */
  readonly #series: NativeSeries[] = []

  constructor (settings: NativeSettings) {
    this.#settings = settings
  }

  add (place: number, value: number): void {
    (this.#series[place] as NativeSeries).add(value)
  }

  /** Prepares a place, with nothing counted and with the first schema. */
  zero (place: number): void {
    this.#series[place] = new NativeSeries(this.#settings)
  }

  /** Forgets all places. */
  clear (): void {
    this.#series.length = 0
  }

  /** The places whose buckets have become wider than they were at first. */
  * widened (): Generator<number> {
    for (let place = 0; place < this.#series.length; place++) {
      if ((this.#series[place] as NativeSeries).scale.schema < this.#settings.schema) yield place
    }
  }

  /** The state of all places as it is now. */
  share (): readonly NativeSnapshot[] {
    return this.#series.map((series) => series.share())
  }
}

function schemaOf (growthFactor: number): number {
  let schema = MIN_SCHEMA
  while (schema < MAX_SCHEMA && 2 ** 2 ** -schema > growthFactor) schema++
  return schema
}
