import { NativeWindow, type NativeBuckets, type NativeSnapshot } from '../metrics/index.js'
import { classicQuantile, nativeQuantile, type NativeCounts } from './quantile.js'

/** What was counted until a moment. It does not change. */
export interface Counted {
  readonly count: number
  readonly sum: number
  /** Each classic bucket's own count, that of +Inf last; empty for what is no histogram. */
  readonly buckets: Float64Array
  readonly native: NativeCounted | undefined
}

interface NativeCounted {
  readonly schema: number
  readonly zeroThreshold: number
  readonly zeroCount: number
  readonly positive: NativeWindow
  readonly negative: NativeWindow
}

const NO_BUCKETS = new Float64Array(0)

/** Nothing counted yet. */
export const NOTHING: Counted = { count: 0, sum: 0, buckets: NO_BUCKETS, native: undefined }

/** What some series have counted together since the history began. It only grows, whatever restarts. */
export class Flow {
  /** What the series say now, all of it: a counter's own value. */
  total = 0
  /** The number of the last sample in which one of its series was. */
  seen = -1
  /** What was counted until the checkpoints of the history, one for each. */
  readonly marks: Counted[] = []
  bounds: readonly number[] = []
  #count = 0
  #sum = 0
  #buckets = NO_BUCKETS
  #native: { schema: number, zeroThreshold: number, zeroCount: number, positive: NativeWindow, negative: NativeWindow } | undefined
  #now: Counted | undefined = NOTHING

  add (count: number, sum: number): void {
    if (count === 0 && sum === 0) return
    this.#count += count
    this.#sum += sum
    this.#now = undefined
  }

  /** @param bounds of the classic buckets @param grown by how much each has grown, that of +Inf last */
  addBuckets (bounds: readonly number[], grown: Float64Array): void {
    if (this.#buckets.length !== grown.length) {
      this.bounds = bounds
      this.#buckets = new Float64Array(grown.length)
    }
    for (let i = 0; i < grown.length; i++) (this.#buckets[i] as number) += grown[i] as number
    this.#now = undefined
  }

  /** Adds by how much native buckets have grown. @param before undefined where they began from nothing */
  addNative (now: NativeSnapshot, before: NativeSnapshot | undefined): void {
    this.#native ??= { schema: now.schema, zeroThreshold: now.zeroThreshold, zeroCount: 0, positive: new NativeWindow(), negative: new NativeWindow() }
    const native = this.#native
    while (native.schema > now.schema) {
      native.schema--
      native.positive = native.positive.widened()
      native.negative = native.negative.widened()
    }
    native.zeroThreshold = Math.max(native.zeroThreshold, now.zeroThreshold)
    native.zeroCount += now.zeroCount - (before?.zeroCount ?? 0)
    addGrowth(native.positive, now.schema - native.schema, now.positive, before?.positive, (before?.schema ?? now.schema) - now.schema)
    addGrowth(native.negative, now.schema - native.schema, now.negative, before?.negative, (before?.schema ?? now.schema) - now.schema)
    this.#now = undefined
  }

  /** What was counted until now: the same object as long as nothing is counted. */
  get counted (): Counted {
    this.#now ??= {
      count: this.#count,
      sum: this.#sum,
      buckets: this.#buckets.slice(),
      native: this.#native && { ...this.#native, positive: this.#native.positive.copy(), negative: this.#native.negative.copy() }
    }
    return this.#now
  }
}

/**
 * Adds by how much buckets have grown.
 * @param narrower how much finer than the window they are, as an exponent of two
 * @param finer how much finer they were before
 */
function addGrowth (window: NativeWindow, narrower: number, now: NativeBuckets, before: NativeBuckets | undefined, finer: number): void {
  for (let i = 0; i < now.counts.length; i++) {
    const count = now.counts[i] as number
    if (count !== 0) window.add(wider(now.offset + i, narrower), count)
  }
  for (let i = 0; i < (before?.counts.length ?? 0); i++) {
    const count = before?.counts[i] as number
    if (count !== 0) window.add(wider((before?.offset ?? 0) + i, finer + narrower), -count)
  }
}

/** The bucket that holds another one, where buckets are wider. @param times an exponent of two */
function wider (index: number, times: number): number {
  return times <= 0 ? index : ((index - 1) >> times) + 1
}

/** By how much something has grown between two moments. */
export class Growth {
  readonly count: number
  readonly sum: number
  readonly #now: Counted
  readonly #then: Counted
  readonly #bounds: readonly number[]
  #buckets: Float64Array | undefined
  #native: NativeCounts | undefined

  constructor (flow: Flow, now: Counted, then: Counted) {
    this.count = now.count - then.count
    this.sum = now.sum - then.sum
    this.#now = now
    this.#then = then
    this.#bounds = flow.bounds
  }

  /** By how much each classic bucket has grown, that of +Inf last. */
  get buckets (): Float64Array {
    this.#buckets ??= this.#now.buckets.map((count, i) => count - (this.#then.buckets[i] ?? 0))
    return this.#buckets
  }

  /** @returns undefined where nothing was counted */
  quantile (quantile: number): number | undefined {
    if (this.count === 0) return undefined
    return this.#now.native === undefined ? classicQuantile(quantile, this.#bounds, this.buckets) : nativeQuantile(quantile, this.#grown(this.#now.native))
  }

  #grown (now: NativeCounted): NativeCounts {
    this.#native ??= {
      schema: now.schema,
      zeroThreshold: now.zeroThreshold,
      zeroCount: now.zeroCount - (this.#then.native?.zeroCount ?? 0),
      positive: difference(now.positive, this.#then.native?.positive, (this.#then.native?.schema ?? now.schema) - now.schema),
      negative: difference(now.negative, this.#then.native?.negative, (this.#then.native?.schema ?? now.schema) - now.schema)
    }
    return this.#native
  }
}

function difference (now: NativeWindow, then: NativeWindow | undefined, finer: number): NativeBuckets {
  if (then === undefined || now === then) return then === undefined ? now.buckets() : { offset: 0, counts: NO_BUCKETS }
  const grown = now.copy()
  const before = then.buckets()
  for (let i = 0; i < before.counts.length; i++) {
    const count = before.counts[i] as number
    if (count !== 0) grown.add(wider(before.offset + i, finer), -count)
  }
  return grown.buckets()
}
