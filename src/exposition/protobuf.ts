import type { FamilySnapshot, MetricType, SeriesSnapshot } from '../metrics/index.js'
import { LabelMessages } from './label-messages.js'
import { MessageWriter, varintSize } from './message-writer.js'
import { unitOf } from './metadata.js'
import { writeExemplar, writeTimestamp } from './protobuf-exemplar.js'
import { HistogramMessages, nearestWhole } from './protobuf-histogram.js'

/** The content type (https://prometheus.io/docs/instrumenting/exposition_formats/, "Protobuf format"). */
export const PROTOBUF = 'application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited'

const EMPTY = Buffer.alloc(0)
/** The most bytes that the length of a family takes: the length is below 2^32. */
const LENGTH_SIZE = 5

/** The numbers of io.prometheus.client.MetricType. */
const TYPES: Readonly<Record<MetricType, number>> = { counter: 0, gauge: 1, summary: 2, unknown: 3, histogram: 4 }

// Tags: the number of a field and the form of its value (0: a varint, 1: eight bytes, 2: a length and bytes).
const FAMILY = { name: 0x0a, help: 0x12, type: 0x18, metric: 0x22, unit: 0x2a } as const
const METRIC = { gauge: 0x12, counter: 0x1a, summary: 0x22, untyped: 0x2a, histogram: 0x3a } as const
/** The field `value` of Gauge, Counter and Untyped. */
const VALUE = 0x09
const COUNTER = { exemplar: 0x12, created: 0x1a } as const
const SUMMARY = { count: 0x08, sum: 0x11, quantile: 0x1a, created: 0x22 } as const
const QUANTILE = { quantile: 0x09, value: 0x11 } as const

/**
 * Encodes families as delimited io.prometheus.client.MetricFamily messages
 * (https://github.com/prometheus/client_model/blob/master/io/prometheus/client/metrics.proto).
 *
 * The length of a family stands before it. So the chunks of a family that is larger than a chunk are all gathered
 * before the first is given. Meanwhile the encoder gives an empty chunk for each 64 KB: the caller may stop at any
 * chunk. A family without series is left out, as in client_golang.
 */
export function * encodeProtobuf (families: Iterable<FamilySnapshot>): Generator<Buffer> {
  const writer = new MessageWriter()
  const messages = new SeriesMessages(writer)
  for (const family of families) {
    if (family.size === 0) continue
    const gathered: Buffer[] = []
    writer.reserve(LENGTH_SIZE)
    let start = writer.skip(LENGTH_SIZE)
    messages.begin(family)
    for (const series of family.series()) {
      messages.write(series)
      if (!writer.full) continue
      if (start > LENGTH_SIZE) {
        yield writer.take(start - LENGTH_SIZE)
        start = LENGTH_SIZE
      } else {
        gathered.push(writer.take())
        yield EMPTY
      }
    }
    if (gathered.length === 0) {
      writer.close(start, LENGTH_SIZE)
      if (writer.full) yield writer.take()
    } else {
      writeLength(gathered, writer.at)
      yield * gathered
    }
  }
  if (writer.at > 0) yield writer.take()
}

/**
 * Writes the length of a family into the room that its first chunk has for it.
 * @param rest how many bytes of the family come after the chunks
 */
function writeLength (chunks: Buffer[], rest: number): void {
  const first = chunks[0] as Buffer
  const length = chunks.reduce((sum, chunk) => sum + chunk.length, rest) - LENGTH_SIZE
  const writer = new MessageWriter(LENGTH_SIZE)
  writer.varint(length)
  chunks[0] = first.subarray(LENGTH_SIZE - varintSize(length))
  chunks[0].set(writer.take())
}

/** Writes the contents of MetricFamily messages. */
class SeriesMessages {
  readonly #writer: MessageWriter
  readonly #labels = new LabelMessages()
  readonly #histograms: HistogramMessages
  #type: MetricType = 'unknown'
  /** How many bytes the length of the previous series took. */
  #lengthSize = 1

  constructor (writer: MessageWriter) {
    this.#writer = writer
    this.#histograms = new HistogramMessages(writer)
  }

  /** Begins a family: writes the fields that it has only once. */
  begin (family: FamilySnapshot): void {
    const writer = this.#writer
    writer.text(FAMILY.name, family.name)
    writer.text(FAMILY.help, family.help)
    writer.reserve(8)
    writer.uint(FAMILY.type, TYPES[family.type])
    const unit = unitOf(family)
    if (unit !== undefined) writer.text(FAMILY.unit, unit)
    this.#type = family.type
    if (family.type === 'histogram') this.#histograms.begin(family.bounds)
  }

  /** Writes one series, as the message Metric. */
  write (series: SeriesSnapshot): void {
    const writer = this.#writer
    writer.reserve(8)
    const start = writer.open(FAMILY.metric, this.#lengthSize)
    this.#labels.write(writer, series.labels)
    writer.reserve(64)
    switch (this.#type) {
      case 'counter': this.#writeCounter(series); break
      case 'gauge': this.#writeValue(METRIC.gauge, series.value); break
      case 'histogram': this.#histograms.write(METRIC.histogram, series); break
      case 'summary': this.#writeSummary(series); break
      default: this.#writeValue(METRIC.untyped, series.value)
    }
    this.#lengthSize = writer.close(start, this.#lengthSize)
  }

  #writeValue (tag: number, value: number): void {
    const start = this.#writer.open(tag, 1)
    this.#writer.double(VALUE, value)
    this.#writer.close(start, 1)
  }

  #writeCounter ({ value, exemplar, created }: SeriesSnapshot): void {
    const writer = this.#writer
    const start = writer.open(METRIC.counter, 1)
    writer.double(VALUE, value)
    if (exemplar !== undefined) writeExemplar(writer, COUNTER.exemplar, exemplar)
    writeTimestamp(writer, COUNTER.created, created)
    writer.close(start, 1)
  }

  #writeSummary ({ value, quantiles, created }: SeriesSnapshot): void {
    const writer = this.#writer
    const each = quantiles?.quantiles ?? []
    writer.reserve(64 + each.length * 24)
    const start = writer.open(METRIC.summary, 1)
    // A summary has no field for a count that is not whole.
    writer.uint(SUMMARY.count, nearestWhole(quantiles?.count ?? 0))
    writer.double(SUMMARY.sum, value)
    for (const quantile of each) {
      const at = writer.open(SUMMARY.quantile, 1)
      writer.double(QUANTILE.quantile, quantile.quantile)
      writer.double(QUANTILE.value, quantile.value)
      writer.close(at, 1)
    }
    writeTimestamp(writer, SUMMARY.created, created)
    writer.close(start, 1)
  }
}
