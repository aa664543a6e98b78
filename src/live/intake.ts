import { countOf, type BucketsSnapshot, type FamilySnapshot, type SeriesSnapshot } from '../metrics/index.js'
import { pause } from '../exposition/index.js'
import { Flow } from './flow.js'
import type { Level } from './level.js'

/** Where the numbers of a series go. */
export type Sink = Flow | Level

export type LabelValues = Readonly<Record<string, string>>

/**
 * Says where the numbers of each series of a family go; asked once for each series. Undefined is to ask again with the
 * next sample.
 */
export type Tap = (labels: LabelValues, value: number) => readonly Sink[] | undefined

/** A series as it was in the sample before. */
interface Kept {
  readonly sinks: readonly Sink[]
  sample: number
  count: number
  sum: number
  created: number | undefined
  buckets: Float64Array
  native: BucketsSnapshot['native']
}

interface Known {
  readonly tap: Tap | undefined
  readonly series: Map<string, Kept>
  sample: number
}

/** The number of series that are read between two checks of the clock. */
const BATCH = 256
const NONE: readonly Sink[] = []
const NO_BUCKETS = new Float64Array(0)

/** Reads snapshots, and tells flows by how much the series have grown since the one before. */
export class Intake {
  readonly #taps: (family: FamilySnapshot) => Tap | undefined | null
  readonly #families = new Map<string, Known>()
  /** The families that could not be read: what they have counted until they can is none of ours. */
  readonly #unread = new Set<string>()
  #sample = 0

  /** @param taps undefined for a family whose series are not read, null to ask again with the next sample */
  constructor (taps: (family: FamilySnapshot) => Tap | undefined | null) {
    this.#taps = taps
  }

  /** The number of the last sample. */
  get sample (): number {
    return this.#sample
  }

  /** Metrics could not be read in the next sample. */
  missed (metric: string): void {
    if (!this.#families.has(metric)) this.#unread.add(metric)
  }

  /**
   * @param isFirst whether what the series have counted is from before the history
   * @param isCarried of a family that is not there, whether its values are still those of the sample before
   */
  async take (families: readonly FamilySnapshot[], isFirst: boolean, isCarried: (metric: string) => boolean): Promise<void> {
    const sample = ++this.#sample
    for (const family of families) {
      const isBefore = this.#unread.delete(family.name) || isFirst
      const known = this.#families.get(family.name) ?? this.#know(family)
      if (known === undefined) continue
      known.sample = sample
      if (known.tap === undefined) continue
      let read = 0
      for (const series of family.series()) {
        if (read++ % BATCH === 0) await pause()
        this.#takeSeries(family, series, known.tap, known.series, isBefore)
      }
      if (known.series.size > read) for (const [key, kept] of known.series) if (kept.sample !== sample) known.series.delete(key)
    }
    for (const [name, { series, sample: last }] of this.#families) {
      if (last === sample || !isCarried(name)) continue
      for (const { sinks } of series.values()) for (const sink of sinks) sink.seen = sample
    }
  }

  #know (family: FamilySnapshot): Known | undefined {
    const tap = this.#taps(family)
    if (tap === null) return undefined
    const known = { tap, series: new Map<string, Kept>(), sample: 0 }
    this.#families.set(family.name, known)
    return known
  }

  #takeSeries (family: FamilySnapshot, series: SeriesSnapshot, tap: Tap, known: Map<string, Kept>, isBefore: boolean): void {
    let key = ''
    for (const { text } of series.labels) key += text
    let kept = known.get(key)
    const isNew = kept === undefined
    if (kept === undefined) {
      const sinks = tap(Object.fromEntries(series.labels.map(({ name, value }) => [name, value])), series.value)
      if (sinks === undefined) return
      kept = { sinks: sinks.length === 0 ? NONE : sinks, sample: 0, count: 0, sum: 0, created: series.created, buckets: NO_BUCKETS, native: undefined }
      known.set(key, kept)
    }
    kept.sample = this.#sample
    if (kept.sinks.length === 0) return
    if (family.type === 'gauge' || family.type === 'unknown') {
      for (const sink of kept.sinks) if (!(sink instanceof Flow)) sink.add(series.value, this.#sample)
      return
    }
    this.#grow(family, series, kept, isNew && isBefore)
  }

  /** @param isBefore whether all of it was counted before the history began */
  #grow ({ type, bounds }: FamilySnapshot, { value, created, buckets, quantiles }: SeriesSnapshot, kept: Kept, isBefore: boolean): void {
    const count = buckets !== undefined ? countOf(buckets, bounds.length + 1) : quantiles !== undefined ? quantiles.count : value
    const sum = type === 'counter' ? 0 : value
    const isAnew = count < kept.count || (created !== undefined && kept.created !== undefined && created > kept.created)
    if (isAnew) {
      kept.count = 0
      kept.sum = 0
      kept.buckets = NO_BUCKETS
      kept.native = undefined
    }
    const grownBy = count - kept.count
    const grown = buckets === undefined || grownBy === 0 ? undefined : grownBuckets(buckets, bounds.length + 1, kept.buckets)
    for (const sink of kept.sinks) {
      if (!(sink instanceof Flow)) continue
      if (sink.seen !== this.#sample) {
        sink.seen = this.#sample
        sink.total = 0
      }
      sink.total += count
      if (isBefore || grownBy === 0) continue
      sink.add(grownBy, sum - kept.sum)
      if (grown !== undefined) sink.addBuckets(bounds, grown)
      if (buckets?.native !== undefined) sink.addNative(buckets.native, kept.native)
    }
    if (grownBy !== 0 && buckets !== undefined) kept.buckets = ownBuckets(buckets, bounds.length + 1)
    kept.native = buckets?.native
    kept.count = count
    kept.sum = sum
    kept.created = created
  }
}

function ownBuckets ({ counts, at }: BucketsSnapshot, width: number): Float64Array {
  const own = new Float64Array(width)
  for (let i = 0; i < width; i++) own[i] = counts[at + i] as number
  return own
}

function grownBuckets (buckets: BucketsSnapshot, width: number, before: Float64Array): Float64Array {
  const grown = ownBuckets(buckets, width)
  if (before.length === width) for (let i = 0; i < width; i++) (grown[i] as number) -= before[i] as number
  return grown
}

/** The sinks that there are. */
export function present<S extends Sink> (...sinks: Array<S | undefined>): S[] {
  return sinks.filter((sink) => sink !== undefined)
}
