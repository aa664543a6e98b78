import { countOf, hasClassic, type BucketsSnapshot, type Exemplar, type NativeBuckets, type NativeSnapshot, type SeriesSnapshot } from '../metrics/index.js'
import type { MessageWriter } from './message-writer.js'
import { NativeSpans } from './native-spans.js'
import { writeExemplar, writeTimestamp } from './protobuf-exemplar.js'

/** Up to this number a whole number is exact. A larger count is written as a float. */
const MAX_COUNT = 2 ** 53

const HISTOGRAM = { count: 0x08, sum: 0x11, bucket: 0x1a, countFloat: 0x21, schema: 0x28, zeroThreshold: 0x31, zeroCount: 0x38, zeroCountFloat: 0x41, created: 0x7a } as const
const NEGATIVE = { span: 0x4a, delta: 0x52, count: 0x5a } as const
const POSITIVE = { span: 0x62, delta: 0x6a, count: 0x72 } as const
/** The field `exemplars`: its number is 16, and the tag the varint 0x82 0x01. */
const EXEMPLARS = [0x82, 0x01] as const
const BUCKET = { count: 0x08, bound: 0x11, exemplar: 0x1a, countFloat: 0x21 } as const
const SPAN = { offset: 0x08, length: 0x10 } as const

/** The most bytes that a bucket takes without its exemplar. */
const BUCKET_SIZE = 32
/** The most bytes that a populated native bucket takes, with a span of its own or with two empty buckets before it. */
const NATIVE_BUCKET_SIZE = 48

/** Writes Histogram messages, with classic buckets, native buckets, or both. */
export class HistogramMessages {
  readonly #writer: MessageWriter
  /** The upper bounds of the family, +Inf included; only +Inf if the family has no classic buckets. */
  #bounds = new Float64Array()
  /** How many bytes the length of the previous histogram took, and how many the length of its deltas. */
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
    const total = buckets === undefined ? 0 : countOf(buckets, bounds.length)
    const float = native !== undefined && !(isWhole(total) && isWhole(native.zeroCount) && areWhole(native.positive.counts) && areWhole(native.negative.counts))
    this.#writeCount(HISTOGRAM.count, HISTOGRAM.countFloat, total, float || !isWhole(total))
    writer.double(HISTOGRAM.sum, value)
    const isClassic = buckets === undefined || hasClassic(buckets, bounds.length)
    if (buckets !== undefined && isClassic) this.#writeClassic(buckets)
    if (native !== undefined) this.#writeNative(native, float)
    writeTimestamp(writer, HISTOGRAM.created, created)
    if (!isClassic) this.#writeExemplars(buckets?.exemplars)
    this.#lengthSize = writer.close(start, this.#lengthSize)
  }

  /**
   * Writes the classic buckets. The format allows to leave out the +Inf bucket, but it is written: Prometheus 2.42 and
   * 3 add it if it is missing and accept it if it is there, but other readers need not add it.
   */
  #writeClassic ({ counts, at, exemplars }: BucketsSnapshot): void {
    const writer = this.#writer
    const bounds = this.#bounds
    writer.reserve(bounds.length * BUCKET_SIZE + 64)
    let count = 0
    for (let i = 0; i < bounds.length; i++) {
      count += counts[at + i] as number
      const bound = bounds[i] as number
      const exemplar = exemplars?.[i]
      if (exemplar === undefined && count >>> 0 === count) writer.bucket(HISTOGRAM.bucket, BUCKET.count, count, BUCKET.bound, bound)
      else this.#writeBucket(count, bound, exemplar, (bounds.length - i) * BUCKET_SIZE)
    }
  }

  /**
   * Writes a bucket that has an exemplar or an uncommon count.
   * @param room the bytes to reserve for the buckets after it
   */
  #writeBucket (count: number, bound: number, exemplar: Exemplar | undefined, room: number): void {
    const writer = this.#writer
    const start = writer.open(HISTOGRAM.bucket, 1)
    this.#writeCount(BUCKET.count, BUCKET.countFloat, count, !isWhole(count))
    writer.double(BUCKET.bound, bound)
    if (exemplar !== undefined) writeExemplar(writer, BUCKET.exemplar, exemplar)
    writer.close(start, 1)
    writer.reserve(room + 64)
  }

  /**
   * Writes a count as a whole number and, if `float`, as a float too. The float overrides the whole number. In classic
   * histograms Prometheus 2.42 reads only the whole number.
   */
  #writeCount (tag: number, floatTag: number, count: number, float: boolean): void {
    this.#writer.uint(tag, nearestWhole(count))
    if (float) this.#writer.double(floatTag, count)
  }

  #writeNative ({ schema, zeroThreshold, zeroCount, positive, negative }: NativeSnapshot, float: boolean): void {
    const writer = this.#writer
    const occupied = countOccupied(positive.counts) + countOccupied(negative.counts)
    writer.reserve(occupied * NATIVE_BUCKET_SIZE + 128)
    writer.byte(HISTOGRAM.schema)
    writer.zigzag(schema)
    writer.double(HISTOGRAM.zeroThreshold, zeroThreshold)
    if (float) writer.double(HISTOGRAM.zeroCountFloat, zeroCount)
    else writer.uint(HISTOGRAM.zeroCount, zeroCount)
    this.#writeSide(NEGATIVE, negative, float)
    this.#writeSide(POSITIVE, positive, float)
    // A histogram with neither spans nor a zero bucket looks like a classic histogram. metrics.proto says to write this
    // empty span then. Prometheus does not look at zero_count_float to tell the two apart.
    if (occupied === 0) this.#writeSpan(POSITIVE.span, 0, 0)
    writer.reserve(64)
  }

  #writeSide (tags: typeof NEGATIVE | typeof POSITIVE, buckets: NativeBuckets, float: boolean): void {
    const { offsets, lengths, counts } = this.#spans
    if (!this.#spans.read(buckets)) return
    for (let i = 0; i < offsets.length; i++) this.#writeSpan(tags.span, offsets[i] as number, lengths[i] as number)
    if (float) this.#writeCounts(tags.count, counts)
    else this.#writeDeltas(tags.delta, counts)
  }

  /**
   * Writes the message BucketSpan.
   * @param offset the distance from the end of the previous span; for the first span, the index of its first bucket
   */
  #writeSpan (tag: number, offset: number, length: number): void {
    const writer = this.#writer
    const start = writer.open(tag, 1)
    writer.byte(SPAN.offset)
    writer.zigzag(offset)
    writer.uint(SPAN.length, length)
    writer.close(start, 1)
  }

  /**
   * Writes the difference of each bucket's count from the count before it. The field is packed, which every reader has
   * to accept (https://protobuf.dev/programming-guides/encoding/#packed).
   */
  #writeDeltas (tag: number, counts: readonly number[]): void {
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

  #writeCounts (tag: number, counts: readonly number[]): void {
    const writer = this.#writer
    const start = writer.open(tag, 1)
    for (const count of counts) writer.float64(count)
    writer.close(start, 1)
  }

  /** Writes the exemplars of a histogram without classic buckets, which has a field of its own for them. */
  #writeExemplars (exemplars: BucketsSnapshot['exemplars']): void {
    const writer = this.#writer
    for (const exemplar of exemplars ?? []) {
      if (exemplar === undefined) continue
      writeExemplar(writer, EXEMPLARS[1], exemplar, EXEMPLARS[0])
    }
  }
}

function countOccupied (counts: Float64Array): number {
  let occupied = 0
  for (let i = 0; i < counts.length; i++) if (counts[i] !== 0) occupied++
  return occupied
}

function isWhole (count: number): boolean {
  return count >= 0 && count <= MAX_COUNT && Math.floor(count) === count
}

/** The nearest number that a field for whole counts can hold. */
export function nearestWhole (count: number): number {
  return count > 0 ? Math.min(Math.round(count), MAX_COUNT) : 0
}

function areWhole (counts: Float64Array): boolean {
  for (let i = 0; i < counts.length; i++) if (!isWhole(counts[i] as number)) return false
  return true
}
