import fc from 'fast-check'
import t from 'tap'
import assert from 'node:assert'
import { LabelPair, type BucketsSnapshot, type Exemplar, type FamilySnapshot, type MetricType, type NativeBuckets, type NativeSnapshot, type SeriesSnapshot } from '../../src/metrics/index.js'
import { decoded, type DecodedExemplar, type DecodedFamily, type DecodedSpan, type DecodedTimestamp } from '../support/decoded.js'
import { encoded, wellFormed } from '../support/encoded.js'
import { familyOf } from '../support/snapshots.js'

const anyText = fc.oneof(fc.string(), fc.string({ unit: 'binary' }), fc.array(fc.nat(0xffff), { maxLength: 400 }).map((units) => String.fromCharCode(...units)), fc.constantFrom('"\\\n', '\ud800', '\udc00x', 'x'.repeat(127), 'ä'.repeat(64), 'y'.repeat(48), 'z'.repeat(1025), '\0'))
const anyPair = fc.tuple(fc.constantFrom('method', 'route', 'le', 'a', 'b'.repeat(130)), anyText).map(([name, value]) => new LabelPair(name, value))
const anyExemplar: fc.Arbitrary<Exemplar> = fc.record({
  labelSet: fc.dictionary(fc.constantFrom('trace_id', 'span_id'), anyText),
  value: fc.double(),
  timestamp: fc.oneof(fc.nat(4e9), fc.integer({ min: 0, max: 4e12 }).map((ms) => ms / 1000))
})
const wholeCount = fc.oneof({ weight: 3, arbitrary: fc.nat(300) }, fc.nat(2 ** 32 - 1), fc.maxSafeNat(), fc.constant(2 ** 53))
const anyCount = fc.oneof({ weight: 20, arbitrary: wholeCount }, fc.double({ min: 0, max: 1e6, noNaN: true }))
const anyCounts = (maxLength: number) => fc.array(fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, { weight: 3, arbitrary: fc.nat(300) }, wholeCount), { maxLength })
const anySide = (divisor: number) => fc.record({
  offset: fc.integer({ min: -300_000, max: 300_000 }),
  counts: anyCounts(60).map((counts) => Float64Array.from(counts, (count) => count / divisor))
})
const anyNative: fc.Arbitrary<NativeSnapshot> = fc.constantFrom(1, 1, 1, 3).chain((divisor) => fc.record({
  schema: fc.integer({ min: -4, max: 8 }),
  zeroThreshold: fc.double({ min: 0, noNaN: true }),
  zeroCount: wholeCount,
  positive: anySide(divisor),
  negative: anySide(1)
}))
const anyBounds = fc.uniqueArray(fc.double({ noNaN: true, noDefaultInfinity: true }), { maxLength: 12 }).map((bounds) => bounds.sort((a, b) => a - b))

function anySeries (type: MetricType, bounds: number[]): fc.Arbitrary<SeriesSnapshot> {
  const exemplars = fc.option(fc.array(fc.option(anyExemplar, { nil: undefined }), { maxLength: bounds.length + 1 }), { nil: undefined })
  const buckets: fc.Arbitrary<BucketsSnapshot> = fc.nat(3).chain((at) => fc.record({
    at: fc.constant(at),
    counts: fc.array(anyCount, { minLength: at + bounds.length + 1, maxLength: at + bounds.length + 1 }),
    exemplars,
    native: fc.option(anyNative, { nil: undefined })
  }))
  const quantiles = fc.record({ quantiles: fc.array(fc.record({ quantile: fc.double({ min: 0, max: 1 }), value: fc.double() }, { noNullPrototype: true }), { maxLength: 5 }), count: wholeCount })
  return fc.record({
    labels: fc.array(anyPair, { maxLength: 4 }),
    created: fc.option(fc.integer({ min: 0, max: 4e12 }).map((ms) => ms / 1000), { nil: undefined }),
    value: fc.double(),
    exemplar: type === 'counter' ? fc.option(anyExemplar, { nil: undefined }) : fc.constant(undefined),
    buckets: type === 'histogram' ? buckets : fc.constant(undefined),
    quantiles: type === 'summary' ? quantiles : fc.constant(undefined)
  })
}

const anyFamily = fc.tuple(fc.constantFrom<MetricType>('counter', 'gauge', 'histogram', 'summary', 'unknown'), anyBounds, anyText, fc.string({ minLength: 1, unit: fc.constantFrom('a', '_') }))
  .chain(([type, bounds, help, name]) => fc.array(anySeries(type, bounds), { minLength: 1, maxLength: 6 }).map((series) => familyOf(type, series, { bounds, name, help })))

function timestampOf (seconds: number): DecodedTimestamp {
  const ms = Math.round(seconds * 1000)
  return { ...(ms >= 1000 && { seconds: String(Math.floor(ms / 1000)) }), ...(ms % 1000 > 0 && { nanos: (ms % 1000) * 1e6 }) }
}

function exemplarOf ({ labelSet, value, timestamp }: Exemplar): DecodedExemplar {
  const label = Object.entries(labelSet).map(([name, text]) => ({ name, value: wellFormed(String(text)) }))
  return { ...(label.length > 0 && { label }), value, timestamp: timestampOf(timestamp) }
}

/** A whole count and, where it is not the one meant, a float. */
function countOf (count: number, float = !(Number.isInteger(count) && count <= 2 ** 53)): [string, number?] {
  return [BigInt(Math.min(Math.round(count), 2 ** 53)).toString(), ...(float ? [count] : []) as [number?]]
}

/** The counts by index, from spans and what stands in them; says what is wrong with the spans. */
function nativeCounts (spans: DecodedSpan[] = [], deltas: string[] | undefined, floats: number[] | undefined): Map<number, string> {
  const counts = new Map<number, string>()
  const absolute = floats?.map(String) ?? []
  let sum = 0n
  for (const delta of deltas ?? []) absolute.push(String(sum += BigInt(delta)))
  let index = 0
  let read = 0
  for (const [i, { offset, length }] of spans.entries()) {
    if (i > 0 && offset <= 2) throw new Error(`span ${i} begins ${offset} after the one before`)
    index += offset
    const own = absolute.slice(read, read += length)
    if (own[0] === '0' || own.at(-1) === '0' || own.some((count, j) => count === '0' && own[j + 1] === '0' && own[j + 2] === '0')) throw new Error(`a span of ${own}`)
    for (const count of own) {
      if (count !== '0') counts.set(index, count)
      index++
    }
  }
  if (read !== absolute.length) throw new Error(`spans for ${read} buckets, but there are ${absolute.length}`)
  return counts
}

function sideOf ({ offset, counts }: NativeBuckets, float: boolean): Map<number, string> {
  return new Map([...counts].map((count, i) => [offset + i, float ? String(count) : BigInt(count).toString()] as const).filter(([, count]) => count !== '0'))
}

/** A histogram as it should be read, with the counts of native buckets by index. */
function expectedHistogram ({ value, buckets, created }: SeriesSnapshot, bounds: readonly number[]): object {
  const { counts, at, exemplars, native } = buckets as BucketsSnapshot
  let sum = 0
  const bucket = [...bounds, Infinity].map((upperBound, i) => {
    sum += counts[at + i] as number
    const [cumulativeCount, cumulativeCountFloat] = countOf(sum)
    const exemplar = exemplars?.[i]
    return { cumulativeCount, upperBound, ...(cumulativeCountFloat !== undefined && { cumulativeCountFloat }), ...(exemplar !== undefined && { exemplar: exemplarOf(exemplar) }) }
  })
  const own = (exemplars ?? []).flatMap((exemplar) => exemplar === undefined ? [] : [exemplarOf(exemplar)])
  const isWhole = (count: number) => countOf(count)[1] === undefined
  const float = native !== undefined && ![sum, native.zeroCount, ...native.positive.counts, ...native.negative.counts].every(isWhole)
  const [sampleCount, sampleCountFloat] = countOf(sum, float || !isWhole(sum))
  return {
    sampleCount,
    sampleSum: value,
    ...(sampleCountFloat !== undefined && { sampleCountFloat }),
    ...(created !== undefined && { createdTimestamp: timestampOf(created) }),
    ...((native === undefined || bounds.length > 0) && { bucket }),
    ...(native !== undefined && {
      schema: native.schema,
      zeroThreshold: native.zeroThreshold,
      ...(float ? { zeroCountFloat: native.zeroCount } : { zeroCount: BigInt(native.zeroCount).toString() }),
      positive: sideOf(native.positive, float),
      negative: sideOf(native.negative, float)
    }),
    ...(native !== undefined && bounds.length === 0 && own.length > 0 && { exemplars: own })
  }
}

function expectedSeries (family: FamilySnapshot, series: SeriesSnapshot): object {
  const { labels, created, value, exemplar, quantiles } = series
  const createdTimestamp = created === undefined ? {} : { createdTimestamp: timestampOf(created) }
  const label = labels.map(({ name, value }) => ({ name, value: wellFormed(value) }))
  const own = () => {
    switch (family.type) {
      case 'counter': return { counter: { value, ...(exemplar !== undefined && { exemplar: exemplarOf(exemplar) }), ...createdTimestamp } }
      case 'gauge': return { gauge: { value } }
      case 'unknown': return { untyped: { value } }
      case 'histogram': return { histogram: expectedHistogram(series, family.bounds) }
      case 'summary': return {
        summary: {
          sampleCount: BigInt(quantiles?.count ?? 0).toString(), sampleSum: value, ...(quantiles?.quantiles.length !== 0 && { quantile: quantiles?.quantiles }), ...createdTimestamp
        }
      }
    }
  }
  return { ...(label.length > 0 && { label }), ...own() }
}

/** What was read, with the counts of native buckets by index in place of spans and deltas. */
function byIndex (family: DecodedFamily): object {
  const metric = family.metric.map(({ histogram, ...metric }) => {
    if (histogram === undefined) return metric
    const { positiveSpan, positiveDelta, positiveCount, negativeSpan, negativeDelta, negativeCount, ...rest } = histogram
    if (histogram.schema === undefined) return { ...metric, histogram: rest }
    if (positiveSpan === undefined && negativeSpan === undefined) throw new Error('a native histogram without any span')
    const positive = positiveSpan?.[0]?.length === 0 ? new Map() : nativeCounts(positiveSpan, positiveDelta, positiveCount)
    return { ...metric, histogram: { ...rest, positive, negative: nativeCounts(negativeSpan, negativeDelta, negativeCount) } }
  })
  return { ...family, metric }
}

t.test('whatever went in comes out', async (t) => {
  const types = { counter: 'COUNTER', gauge: 'GAUGE', histogram: 'HISTOGRAM', summary: 'SUMMARY', unknown: 'UNTYPED' }
  let compared = 0
  fc.assert(fc.property(fc.array(anyFamily, { maxLength: 12 }), (families) => {
    const expected = families.map((family) => ({
      name: family.name, help: wellFormed(family.help), type: types[family.type], metric: [...family.series()].map((series) => expectedSeries(family, series))
    }))
    const actual = decoded(encoded(families, 'protobuf')).map(byIndex)
    compared += actual.length
    assert.deepStrictEqual(actual, expected)
  }), { numRuns: 300 })
  t.ok(compared > 500, `${compared} families`)
})
