import type { BucketsSnapshot, Exemplar, NativeBuckets, NativeSnapshot, SeriesSnapshot } from '../metrics/index.js'
import type { MessageWriter } from './message-writer.js'
import { NativeSpans } from './native-spans.js'
import { writeExemplar, writeTimestamp } from './protobuf-exemplar.js'

/** Up to this a whole number is exact; a larger count is written as a float. */
const MAX_COUNT = 2 ** 53

const HISTOGRAM = { count: 0x08, sum: 0x11, bucket: 0x1a, countFloat: 0x21, schema: 0x28, zeroThreshold: 0x31, zeroCount: 0x38, zeroCountFloat: 0x41, created: 0x7a } as const
const NEGATIVE = { span: 0x4a, delta: 0x52, count: 0x5a } as const
const POSITIVE = { span: 0x62, delta: 0x6a, count: 0x72 } as const
/** The field `exemplars`: its number is 16, and the tag the varint 0x82 0x01. */
const EXEMPLARS = [0x82, 0x01] as const
const BUCKET = { count: 0x08, bound: 0x11, exemplar: 0x1a, countFloat: 0x21 } as const
const SPAN = { offset: 0x08, length: 0x10 } as const

/** The most that a bucket takes without its exemplar. */
const BUCKET_SIZE = 32
/** The most that a native bucket takes that is not empty: a span of its own, or two empty ones before it. */
const NATIVE_BUCKET_SIZE = 48

/** The message Histogram: classic buckets, native ones, or both. */
export class HistogramMessages {
  readonly #writer: MessageWriter
  /** +Inf included; none where the family has no classic buckets. */
  #bounds = new Float64Array()
  /** How many bytes the length of the histogram before took, and those of its deltas. */
  #lengthSize = 1
  #deltasLengthSize = 1
  readonly #spans = new NativeSpans()

  constructor (writer: MessageWriter) {
    this.#writer = writer
  }

  /** Begins a family. */
  begin (bounds: readonly number[]): void {
    this.#bounds = Float64Array.from([...bounds, Infinity])
  }

  write (tag: number, { value, buckets, created }: SeriesSnapshot): void {
    const writer = this.#writer
    const bounds = this.#bounds
    const native = buckets?.native
    writer.reserve(128)
    const start = writer.open(tag, this.#lengthSize)
    const total = buckets === undefined ? 0 : sum(buckets.counts, buckets.at, bounds.length)
    const float = native !== undefined && !(isWhole(total) && isWhole(native.zeroCount) && areWhole(native.positive.counts) && areWhole(native.negative.counts))
    this.#count(HISTOGRAM.count, HISTOGRAM.countFloat, total, float || !isWhole(total))
    writer.double(HISTOGRAM.sum, value)
    const isClassic = native === undefined || bounds.length > 1
    if (buckets !== undefined && isClassic) this.#classic(buckets)
    if (native !== undefined) this.#native(native, float)
    writeTimestamp(writer, HISTOGRAM.created, created)
    if (!isClassic) this.#exemplars(buckets?.exemplars)
    this.#lengthSize = writer.close(start, this.#lengthSize)
  }

  /**
   * The classic buckets. That of +Inf, which may be left out, is among them: Prometheus 2.42 and 3 add it where it is missing and take it where it is there,
   * other readers need not know that.
   */
  #classic ({ counts, at, exemplars }: BucketsSnapshot): void {
    const writer = this.#writer
    const bounds = this.#bounds
    writer.reserve(bounds.length * BUCKET_SIZE + 64)
    let count = 0
    for (let i = 0; i < bounds.length; i++) {
      count += counts[at + i] as number
      const bound = bounds[i] as number
      const exemplar = exemplars?.[i]
      if (exemplar === undefined && count >>> 0 === count) writer.bucket(HISTOGRAM.bucket, BUCKET.count, count, BUCKET.bound, bound)
      else this.#bucket(count, bound, exemplar, (bounds.length - i) * BUCKET_SIZE)
    }
  }

  /** A bucket that has an exemplar or an uncommon count. @param room for the buckets after it */
  #bucket (count: number, bound: number, exemplar: Exemplar | undefined, room: number): void {
    const writer = this.#writer
    const start = writer.open(HISTOGRAM.bucket, 1)
    this.#count(BUCKET.count, BUCKET.countFloat, count, !isWhole(count))
    writer.double(BUCKET.bound, bound)
    if (exemplar !== undefined) writeExemplar(writer, BUCKET.exemplar, exemplar)
    writer.close(start, 1)
    writer.reserve(room + 64)
  }

  /** A count and, where it is not whole, that as well: it overrides the other. Prometheus 2.42 reads the whole one alone in classic histograms. */
  #count (tag: number, floatTag: number, count: number, float: boolean): void {
    this.#writer.uint(tag, nearestWhole(count))
    if (float) this.#writer.double(floatTag, count)
  }

  #native ({ schema, zeroThreshold, zeroCount, positive, negative }: NativeSnapshot, float: boolean): void {
    const writer = this.#writer
    const occupied = occupiedIn(positive.counts) + occupiedIn(negative.counts)
    writer.reserve(occupied * NATIVE_BUCKET_SIZE + 128)
    writer.byte(HISTOGRAM.schema)
    writer.zigzag(schema)
    writer.double(HISTOGRAM.zeroThreshold, zeroThreshold)
    if (float) writer.double(HISTOGRAM.zeroCountFloat, zeroCount)
    else writer.uint(HISTOGRAM.zeroCount, zeroCount)
    if (negative.counts.length > 0) this.#side(NEGATIVE, negative, float)
    if (positive.counts.length > 0) this.#side(POSITIVE, positive, float)
    // What has neither spans nor a zero bucket looks like a classic histogram; metrics.proto says to write this then. Prometheus does not ask for zero_count_float.
    if (occupied === 0) this.#span(POSITIVE.span, 0, 0)
    writer.reserve(64)
  }

  #side (tags: typeof NEGATIVE | typeof POSITIVE, buckets: NativeBuckets, float: boolean): void {
    const { offsets, lengths, counts } = this.#spans
    if (!this.#spans.read(buckets)) return
    for (let i = 0; i < offsets.length; i++) this.#span(tags.span, offsets[i] as number, lengths[i] as number)
    if (float) this.#counts(tags.count, counts)
    else this.#deltas(tags.delta, counts)
  }

  /** The message BucketSpan. @param offset from the end of the span before; of the first, its index */
  #span (tag: number, offset: number, length: number): void {
    const writer = this.#writer
    const start = writer.open(tag, 1)
    writer.byte(SPAN.offset)
    writer.zigzag(offset)
    writer.uint(SPAN.length, length)
    writer.close(start, 1)
  }

  /** What each bucket has more than the one before: packed, which every reader has to take (https://protobuf.dev/programming-guides/encoding/#packed). */
  #deltas (tag: number, counts: readonly number[]): void {
    const writer = this.#writer
    const start = writer.open(tag, this.#deltasLengthSize)
    let previous = 0
    for (let i = 0; i < counts.length; i++) {
      const count = counts[i] as number
      writer.zigzag(count - previous)
      previous = count
    }
    this.#deltasLengthSize = writer.close(start, this.#deltasLengthSize)
  }

  #counts (tag: number, counts: readonly number[]): void {
    const writer = this.#writer
    const start = writer.open(tag, 1)
    for (const count of counts) writer.float64(count)
    writer.close(start, 1)
  }

  /** What has no classic buckets has a field of its own for them. */
  #exemplars (exemplars: BucketsSnapshot['exemplars']): void {
    const writer = this.#writer
    for (const exemplar of exemplars ?? []) {
      if (exemplar === undefined) continue
      writeExemplar(writer, EXEMPLARS[1], exemplar, EXEMPLARS[0])
    }
  }
}

function sum (counts: ArrayLike<number>, at: number, length: number): number {
  let total = 0
  for (let i = at; i < at + length; i++) total += counts[i] as number
  return total
}

function occupiedIn (counts: Float64Array): number {
  let occupied = 0
  for (let i = 0; i < counts.length; i++) if (counts[i] !== 0) occupied++
  return occupied
}

function isWhole (count: number): boolean {
  return count >= 0 && count <= MAX_COUNT && Math.floor(count) === count
}

/** The nearest that a field for whole counts can hold. */
export function nearestWhole (count: number): number {
  return count > 0 ? Math.min(Math.round(count), MAX_COUNT) : 0
}

function areWhole (counts: Float64Array): boolean {
  for (let i = 0; i < counts.length; i++) if (!isWhole(counts[i] as number)) return false
  return true
}
