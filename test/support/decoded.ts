import protobuf from 'protobufjs'
import { fileURLToPath } from 'node:url'

/** What protobufjs reads: the fields that are there, 64-bit whole numbers as text. */
export interface DecodedFamily { name: string, help: string, type: string, unit?: string, metric: DecodedMetric[] }
export interface DecodedMetric {
  label?: DecodedLabel[]
  counter?: { value: number, exemplar?: DecodedExemplar, createdTimestamp?: DecodedTimestamp }
  gauge?: { value: number }
  untyped?: { value: number }
  summary?: { sampleCount: string, sampleSum: number, quantile?: Array<{ quantile: number, value: number }>, createdTimestamp?: DecodedTimestamp }
  histogram?: DecodedHistogram
}
export interface DecodedLabel { name: string, value: string }
export interface DecodedTimestamp { seconds?: string, nanos?: number }
export interface DecodedExemplar { label?: DecodedLabel[], value: number, timestamp?: DecodedTimestamp }
export interface DecodedBucket { cumulativeCount: string, cumulativeCountFloat?: number, upperBound: number, exemplar?: DecodedExemplar }
export interface DecodedSpan { offset: number, length: number }
export interface DecodedHistogram {
  sampleCount: string
  sampleCountFloat?: number
  sampleSum: number
  bucket?: DecodedBucket[]
  schema?: number
  zeroThreshold?: number
  zeroCount?: string
  zeroCountFloat?: number
  negativeSpan?: DecodedSpan[]
  negativeDelta?: string[]
  negativeCount?: number[]
  positiveSpan?: DecodedSpan[]
  positiveDelta?: string[]
  positiveCount?: number[]
  createdTimestamp?: DecodedTimestamp
  exemplars?: DecodedExemplar[]
}

const MetricFamily = protobuf.loadSync(fileURLToPath(new URL('metrics.proto', import.meta.url))).lookupType('io.prometheus.client.MetricFamily')

/**
 * Delimited MetricFamily messages, read by protobufjs.
 * @throws Error when they do not end where the bytes do, or hold a field that the schema does not have or more bytes than it takes
 */
export function decoded (bytes: Uint8Array): DecodedFamily[] {
  const families: DecodedFamily[] = []
  const reader = protobuf.Reader.create(bytes)
  while (reader.pos < reader.len) {
    const start = reader.pos
    const message = MetricFamily.decodeDelimited(reader)
    const family = MetricFamily.toObject(message, { longs: String, enums: String }) as DecodedFamily
    // Written anew by protobufjs it is as long, but for packed fields: it does not pack them.
    const packed = family.metric.some(({ histogram }) => histogram?.negativeSpan !== undefined || histogram?.positiveSpan !== undefined)
    const length = MetricFamily.encodeDelimited(message).finish().length
    if (!packed && length !== reader.pos - start) throw new Error(`${family.name} takes ${reader.pos - start} bytes, ${length} would do`)
    families.push(family)
  }
  return families
}
