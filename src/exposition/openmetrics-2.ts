import { countOf, hasClassic, type BucketsSnapshot, type Exemplar, type FamilySnapshot, type LabelPair, type NativeBuckets, type NativeSnapshot, type QuantilesSnapshot, type SeriesSnapshot } from '../metrics/index.js'
import { isShort } from './exemplar-labels.js'
import { unitOf, writeMetadata } from './metadata.js'
import { NativeSpans } from './native-spans.js'
import { boundText, secondsText, valueText } from './numbers.js'
import { isAllowed, partsOf } from './parts.js'
import { writeExemplar, writeNumber } from './samples.js'
import { TextWriter } from './text-writer.js'

/**
 * The content type of OpenMetrics 2.0, release candidate 0 (https://prometheus.io/docs/specs/om/open_metrics_spec_2_0/,
 * "Overall Structure").
 */
export const OPENMETRICS_2 = 'application/openmetrics-text; version=2.0.0; charset=utf-8'

const LINE_FEED = 0x0a
const SPACE = 0x20
const COMMA = 0x2c
const CLOSING_BRACKET = 0x5d
const OPENING_BRACE = 0x7b
const CLOSING_BRACE = 0x7d
const COUNT = Buffer.from('{count:')
const SUM = Buffer.from(',sum:')

/**
 * Encodes families in OpenMetrics 2.0. Each series is one line. The value of a histogram or a summary is one composite
 * value, native buckets included. A summary with values that its type forbids is written as its parts, of type unknown,
 * as in 1.0.
 * @param families no two families have lines of the same name
 */
export function * encodeOpenMetrics2 (families: readonly FamilySnapshot[]): Generator<Buffer> {
  const writer = new TextWriter()
  for (const whole of families) {
    const allowed = whole.type !== 'summary' || (yield * isAllowed(whole))
    for (const family of allowed ? [whole] : partsOf(whole)) {
      writeMetadata(writer, family.name, family.type, unitOf(family), family.help)
      const samples = new Samples(writer, family)
      for (const series of family.series()) {
        samples.write(series)
        if (writer.full) yield writer.take()
      }
    }
  }
  writer.text('# EOF\n')
  yield writer.take()
}

/** The samples of one family. */
class Samples {
  readonly #writer: TextWriter
  readonly #name: Uint8Array
  readonly #isCounter: boolean
  /** By classic bucket, +Inf included, the bytes before its count. */
  readonly #bounds: readonly Uint8Array[]
  /** The most bytes that all buckets take if every count is common: whole, with up to 31 bits. */
  readonly #bucketsRoom: number
  readonly #spans = new NativeSpans()
  /** The last start time and its bytes: neighbouring series often began at the same time. */
  #created = NaN
  #createdBytes: Uint8Array = Buffer.alloc(0)

  constructor (writer: TextWriter, { name, type, bounds }: FamilySnapshot) {
    this.#writer = writer
    this.#name = Buffer.from(name)
    this.#isCounter = type === 'counter'
    const texts = type !== 'histogram' ? [] : [...bounds, Infinity].map((bound, i) => `${i === 0 ? ',bucket:[' : ','}${boundText(bound)}:`)
    this.#bounds = texts.map((text) => Buffer.from(text))
    this.#bucketsRoom = texts.join('').length + texts.length * 10
  }

  write ({ labels, value, created, exemplar, buckets, quantiles }: SeriesSnapshot): void {
    const writer = this.#writer
    writer.bytes(this.#name)
    for (let i = 0; i < labels.length; i++) {
      writer.byte(i === 0 ? OPENING_BRACE : COMMA)
      writer.bytes((labels[i] as LabelPair).bytes)
    }
    if (labels.length > 0) writer.byte(CLOSING_BRACE)
    writer.byte(SPACE)
    if (buckets !== undefined) this.#writeHistogram(value, buckets)
    else if (quantiles !== undefined) this.#writeSummary(value, quantiles)
    else writeNumber(writer, value)
    if (created !== undefined) writer.bytes(this.#startBytes(created))
    if (buckets?.exemplars !== undefined) for (const each of buckets.exemplars) this.#writeExemplar(each)
    if (this.#isCounter) this.#writeExemplar(exemplar)
    writer.byte(LINE_FEED)
  }

  #writeHistogram (sum: number, buckets: BucketsSnapshot): void {
    const { counts, at, native } = buckets
    const writer = this.#writer
    const bounds = this.#bounds
    writer.bytes(COUNT)
    writeNumber(writer, countOf(buckets, bounds.length))
    writer.bytes(SUM)
    writer.ascii(valueText(sum))
    if (native !== undefined) this.#writeNative(native)
    if (hasClassic(buckets, bounds.length)) {
      let count = 0
      writer.reserve(this.#bucketsRoom)
      for (let i = 0; i < bounds.length; i++) {
        count += counts[at + i] as number
        if ((count | 0) === count) writer.bytesAndDigits(bounds[i] as Uint8Array, count)
        else this.#writeBucket(bounds[i] as Uint8Array, count)
      }
      writer.byte(CLOSING_BRACKET)
    }
    writer.byte(CLOSING_BRACE)
  }

  /** Writes a bucket with an uncommon count: not whole, or beyond 31 bits. */
  #writeBucket (bound: Uint8Array, count: number): void {
    this.#writer.bytes(bound)
    this.#writer.ascii(valueText(count))
    this.#writer.reserve(this.#bucketsRoom)
  }

  #writeNative ({ schema, zeroThreshold, zeroCount, positive, negative }: NativeSnapshot): void {
    this.#writer.ascii(`,schema:${schema},zero_threshold:${valueText(zeroThreshold)},zero_count:${valueText(zeroCount)}`)
    this.#writeSide('negative', negative)
    this.#writeSide('positive', positive)
  }

  /**
   * Writes the buckets of one sign, if any is populated. Counts are whole numbers without a decimal point: with a
   * point, Prometheus would take the series for a histogram of floats.
   */
  #writeSide (side: 'negative' | 'positive', buckets: NativeBuckets): void {
    const spans = this.#spans
    if (!spans.read(buckets)) return
    let text = `,${side}_spans:[`
    for (let i = 0; i < spans.offsets.length; i++) text += `${i === 0 ? '' : ','}${spans.offsets[i]}:${spans.lengths[i]}`
    text += `],${side}_buckets:[`
    for (let i = 0; i < spans.counts.length; i++) text += `${i === 0 ? '' : ','}${spans.counts[i]}`
    this.#writer.ascii(`${text}]`)
  }

  #writeSummary (sum: number, { quantiles, count }: QuantilesSnapshot): void {
    const sorted = [...quantiles].sort((a, b) => a.quantile - b.quantile)
    const text = sorted.map(({ quantile, value }) => `${boundText(quantile)}:${valueText(value)}`).join()
    this.#writer.ascii(`{count:${valueText(Math.round(count))},sum:${valueText(sum)},quantile:[${text}]}`)
  }

  #writeExemplar (exemplar: Exemplar | null | undefined): void {
    // One exemplar without a time would make the whole page invalid.
    if (exemplar !== undefined && exemplar !== null && Number.isFinite(exemplar.timestamp)) writeExemplar(this.#writer, exemplar, isShort, secondsText(exemplar.timestamp))
  }

  #startBytes (created: number): Uint8Array {
    if (created !== this.#created) {
      this.#created = created
      this.#createdBytes = Buffer.from(Number.isFinite(created) ? ` st@${secondsText(created)}` : '')
    }
    return this.#createdBytes
  }
}
