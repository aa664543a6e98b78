import fc from 'fast-check'
import t from 'tap'
import assert from 'node:assert'
import { createHash } from 'node:crypto'
import { PROTOBUF, encodeProtobuf } from '../../src/exposition/protobuf.js'
import { LabelPair, type BucketsSnapshot, type Exemplar, type FamilySnapshot, type MetricType, type NativeBuckets, type NativeSnapshot, type SeriesSnapshot } from '../../src/metrics/index.js'
import { decoded, type DecodedExemplar, type DecodedFamily, type DecodedHistogram, type DecodedSpan, type DecodedTimestamp } from '../support/decoded.js'

const NOTHING = { labels: [], created: undefined, value: 0, exemplar: undefined, buckets: undefined, quantiles: undefined }

function seriesOf (fields: Partial<SeriesSnapshot>): SeriesSnapshot {
  return { ...NOTHING, ...fields }
}

function familyOf (type: MetricType, series: Array<Partial<SeriesSnapshot>>, bounds: number[] = [], name = 'sample', help = 'Of the test.'): FamilySnapshot {
  return { name, help, type, size: series.length, bounds, series: () => series.map(seriesOf) }
}

function bucketsOf (counts: ArrayLike<number>, native?: NativeSnapshot, exemplars?: Array<Exemplar | undefined>): BucketsSnapshot {
  return { counts, at: 0, exemplars, native }
}

function side (offset = 0, counts: number[] = []): NativeBuckets {
  return { offset, counts: Float64Array.from(counts) }
}

function encoded (families: Iterable<FamilySnapshot>): Buffer {
  return Buffer.concat([...encodeProtobuf(families)])
}

/** The metrics of one family. */
function metricsOf (family: FamilySnapshot): DecodedFamily['metric'] {
  return decoded(encoded([family]))[0]?.metric ?? []
}

/** The only series of a histogram. */
function histogramOf (buckets: BucketsSnapshot, bounds: number[] = [], value = 1): DecodedHistogram | undefined {
  return metricsOf(familyOf('histogram', [{ value, buckets }], bounds))[0]?.histogram
}

const TRACE: Exemplar = { labelSet: { trace_id: 'abc', span: 7 }, value: 0.5, timestamp: 1_700_000_000.123 }
const DECODED_TRACE = {
  label: [{ name: 'trace_id', value: 'abc' }, { name: 'span', value: '7' }],
  value: 0.5,
  timestamp: { seconds: '1700000000', nanos: 123_000_000 }
}

t.test('a counter is these bytes', async (t) => {
  const bytes = encoded([familyOf('counter', [{ labels: [new LabelPair('a', 'é')], value: 1 }], [], 'c_total', 'Help.')])
  t.equal(bytes.toString('hex'), [
    '28', '0a07', Buffer.from('c_total').toString('hex'), '1205', Buffer.from('Help.').toString('hex'), '1800',
    '2214', '0a07', '0a0161', '1202c3a9', '1a09', '09000000000000f03f'
  ].join(''))
  t.equal(PROTOBUF, 'application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited')
})

t.test('each type is what the schema calls it', async (t) => {
  const created = 1_700_000_000.5
  const createdTimestamp = { seconds: '1700000000', nanos: 500_000_000 }
  const labels = [new LabelPair('method', 'GET'), new LabelPair('route', '/')]
  const families = [
    familyOf('counter', [{ labels, created, value: 3, exemplar: TRACE }, { value: 0 }]),
    familyOf('gauge', [NaN, Infinity, -Infinity, -0, 5e-324, 1.5].map((value) => ({ value }))),
    familyOf('unknown', [{ labels, value: 42 }]),
    familyOf('summary', [{ created, value: 7.5, quantiles: { quantiles: [{ quantile: 0.5, value: 1 }, { quantile: 0.99, value: NaN }], count: 2 ** 53 } }, { quantiles: { quantiles: [], count: 1.5 } }]),
    familyOf('histogram', [{ labels, created, value: 9.5, buckets: { counts: [100, 1, 200, 0, 1], at: 1, exemplars: [undefined, TRACE], native: undefined } }, { value: 1, buckets: bucketsOf([0, 0, 0, 0]) }], [0.1, 1, 10])
  ]
  const label = [{ name: 'method', value: 'GET' }, { name: 'route', value: '/' }]
  const common = { name: 'sample', help: 'Of the test.' }
  t.strictSame(decoded(encoded(families)), [
    { ...common, type: 'COUNTER', metric: [{ label, counter: { value: 3, exemplar: DECODED_TRACE, createdTimestamp } }, { counter: { value: 0 } }] },
    { ...common, type: 'GAUGE', metric: [NaN, Infinity, -Infinity, -0, 5e-324, 1.5].map((value) => ({ gauge: { value } })) },
    { ...common, type: 'UNTYPED', metric: [{ label, untyped: { value: 42 } }] },
    {
      ...common,
      type: 'SUMMARY',
      metric: [
        { summary: { sampleCount: '9007199254740992', sampleSum: 7.5, quantile: [{ quantile: 0.5, value: 1 }, { quantile: 0.99, value: NaN }], createdTimestamp } },
        { summary: { sampleCount: '2', sampleSum: 0 } }
      ]
    },
    {
      ...common,
      type: 'HISTOGRAM',
      metric: [{
        label,
        histogram: {
          sampleCount: '202',
          sampleSum: 9.5,
          bucket: [
            { cumulativeCount: '1', upperBound: 0.1 },
            { cumulativeCount: '201', upperBound: 1, exemplar: DECODED_TRACE },
            { cumulativeCount: '201', upperBound: 10 },
            { cumulativeCount: '202', upperBound: Infinity }
          ],
          createdTimestamp
        }
      }, {
        histogram: { sampleCount: '0', sampleSum: 1, bucket: [0.1, 1, 10, Infinity].map((upperBound) => ({ cumulativeCount: '0', upperBound })) }
      }]
    }
  ])
  t.ok(Object.is(decoded(encoded(families))[1]?.metric[3]?.gauge?.value, -0))
})

t.test('a family without series is left out', async (t) => {
  t.strictSame(decoded(encoded([familyOf('counter', []), familyOf('gauge', [{}]), familyOf('histogram', [])])).map(({ type }) => type), ['GAUGE'])
  t.equal(encoded([]).length, 0)
})

t.test('counts are exact up to 2^53', async (t) => {
  const steps = [1, 126, 1, 2 ** 14 - 129, 1, 2 ** 32 - 2 ** 14 - 1, 1, 2 ** 53 - 2 ** 32 - 1, 1]
  const bounds = steps.slice(1).map((_, i) => i)
  t.strictSame(histogramOf(bucketsOf(steps), bounds)?.bucket?.map(({ cumulativeCount }) => cumulativeCount),
    ['1', '127', '128', '16383', '16384', '4294967295', '4294967296', '9007199254740991', '9007199254740992'])
})

t.test('counts that are not whole are floats, beside the nearest whole one', async (t) => {
  t.strictSame(histogramOf(bucketsOf([1, 1.5, 0.75]), [1, 2]), {
    sampleCount: '3',
    sampleCountFloat: 3.25,
    sampleSum: 1,
    bucket: [
      { cumulativeCount: '1', upperBound: 1 },
      { cumulativeCount: '3', cumulativeCountFloat: 2.5, upperBound: 2 },
      { cumulativeCount: '3', cumulativeCountFloat: 3.25, upperBound: Infinity }
    ]
  })
  t.equal(histogramOf(bucketsOf([2 ** 53, 2 ** 53]), [1])?.sampleCountFloat, 2 ** 54, 'as are those that are too large')
})

t.test('a native histogram is spans and deltas, a gap of more than two buckets between spans', async (t) => {
  const native = { schema: -4, zeroThreshold: 1e-9, zeroCount: 2, positive: side(-3, [0, 5, 0, 0, 200, 3, 0, 0, 0, 1, 0]), negative: side(7, [300]) }
  t.strictSame(histogramOf(bucketsOf([511], native, [TRACE])), {
    sampleCount: '511',
    sampleSum: 1,
    schema: -4,
    zeroThreshold: 1e-9,
    zeroCount: '2',
    negativeSpan: [{ offset: 7, length: 1 }],
    negativeDelta: ['300'],
    positiveSpan: [{ offset: -2, length: 5 }, { offset: 3, length: 1 }],
    positiveDelta: ['5', '-5', '0', '200', '-197', '-2'],
    exemplars: [DECODED_TRACE]
  }, 'its exemplars are its own where it has no classic buckets')
})

t.test('beside classic buckets, exemplars are theirs', async (t) => {
  const native = { schema: 0, zeroThreshold: 0, zeroCount: 0, positive: side(0, [1]), negative: side() }
  const histogram = histogramOf(bucketsOf([0, 1], native, [undefined, TRACE]), [0.5])
  t.strictSame(histogram?.bucket, [{ cumulativeCount: '0', upperBound: 0.5 }, { cumulativeCount: '1', upperBound: Infinity, exemplar: DECODED_TRACE }])
  t.strictSame(histogram?.positiveSpan, [{ offset: 0, length: 1 }])
  t.equal(histogram?.exemplars, undefined)
})

t.test('a native histogram without observations is known by a span of nothing', async (t) => {
  for (const zeros of [[], [0, 0, 0]]) {
    t.strictSame(histogramOf(bucketsOf([0], { schema: 8, zeroThreshold: 0, zeroCount: 0, positive: side(4, zeros), negative: side(4, zeros) })), {
      sampleCount: '0', sampleSum: 1, schema: 8, zeroThreshold: 0, zeroCount: '0', positiveSpan: [{ offset: 0, length: 0 }]
    })
  }
})

t.test('one count of a native histogram that is not whole makes all of them floats', async (t) => {
  t.strictSame(histogramOf(bucketsOf([5], { schema: 3, zeroThreshold: 0.25, zeroCount: 1, positive: side(1, [2, 0, 1.5]), negative: side(1, [0.5]) })), {
    sampleCount: '5',
    sampleCountFloat: 5,
    sampleSum: 1,
    schema: 3,
    zeroThreshold: 0.25,
    zeroCountFloat: 1,
    negativeSpan: [{ offset: 1, length: 1 }],
    negativeCount: [0.5],
    positiveSpan: [{ offset: 1, length: 3 }],
    positiveCount: [2, 0, 1.5]
  })
})

t.test('times are exact to the microsecond, and left out where there is none', async (t) => {
  const times: Array<[number, DecodedTimestamp | undefined]> = [
    [1_700_000_000.001, { seconds: '1700000000', nanos: 1_000_000 }],
    [1_700_000_000 - 2e-7, { seconds: '1700000000' }],
    [0, {}],
    [0.5, { nanos: 500_000_000 }],
    [5_000_000_000.25, { seconds: '5000000000', nanos: 250_000_000 }],
    [NaN, undefined], [Infinity, undefined], [-1, undefined], [1e12, undefined]
  ]
  const metrics = metricsOf(familyOf('counter', times.map(([created]) => ({ created }))))
  t.strictSame(metrics.map(({ counter }) => counter?.createdTimestamp), times.map(([, timestamp]) => timestamp))
})

t.test('many families in one chunk, and many chunks to a family', async (t) => {
  const small = Array.from({ length: 1000 }, (_, i) => familyOf('gauge', [{ value: i }], [], `small_${i}`, 'x'.repeat(i % 300)))
  // More pairs than are kept at a time.
  const pairs = Array.from({ length: 20_000 }, (_, i) => new LabelPair('id', `${i}/`.repeat(i % 40)))
  const shared = new LabelPair('method', 'GET')
  const labelsOf = (i: number) => [shared, pairs[(i * 7) % 20_000] as LabelPair]
  let pulled = 0
  const large = {
    ...familyOf('counter', [], [], 'large_total'),
    size: 100_000,
    * series () {
      for (let value = 0; value < 100_000; value++) {
        pulled++
        yield seriesOf({ labels: labelsOf(value), value })
      }
    }
  }
  const chunks: Buffer[] = []
  const hashes: string[] = []
  let pulledBefore = 0
  let empty = 0
  for (const chunk of encodeProtobuf([...small, large, ...small])) {
    if (pulled < 100_000) t.ok(pulled - pulledBefore < 4000, `${pulled - pulledBefore} series without a stop`)
    pulledBefore = pulled
    if (chunk.length === 0) empty++
    t.ok(chunk.length < 70_000, `a chunk of ${chunk.length} bytes`)
    chunks.push(chunk)
    hashes.push(createHash('sha1').update(chunk).digest('hex'))
  }
  t.strictSame(chunks.map((chunk) => createHash('sha1').update(chunk).digest('hex')), hashes, 'what was given is not written to again')
  const bytes = Buffer.concat(chunks)
  t.ok(chunks.length - empty < bytes.length / 65_536 + 4, `${chunks.length - empty} chunks for ${bytes.length} bytes`)
  t.ok(empty > bytes.length / 80_000, `${empty} stops on the way`)
  const families = decoded(bytes)
  t.strictSame(families.map(({ name }) => name), [...small, large, ...small].map(({ name }) => name))
  const wrong = families[1000]?.metric.findIndex(({ label, counter }, i) => counter?.value !== i || label?.[0]?.value !== 'GET' || label[1]?.value !== labelsOf(i)[1]?.value)
  t.equal(wrong, -1)
  t.equal(families[1000]?.metric.length, 100_000)
})

t.test('the first family may be larger than a chunk, and a series too', async (t) => {
  const huge = new LabelPair('huge', '\ud800ß'.repeat(500_000))
  const families = decoded(encoded([familyOf('counter', [{ labels: [huge], value: 1 }, { labels: [huge, huge], value: 2 }, { value: 3 }]), familyOf('gauge', [{ value: 4 }])]))
  t.strictSame(families[0]?.metric.map(({ label, counter }) => [label?.map(({ value }) => value.length), counter?.value]), [[[1_000_000], 1], [[1_000_000, 1_000_000], 2], [undefined, 3]])
  t.equal(families[0]?.metric[0]?.label?.[0]?.value, '\ufffdß'.repeat(500_000))
  t.equal(families[1]?.metric[0]?.gauge?.value, 4)

  const many = Array.from({ length: 200 }, (_, i) => new LabelPair(`a${i}`, `${i}`.repeat(300)))
  const metrics = metricsOf(familyOf('counter', [{ labels: many }, { labels: many }]))
  const label = many.map(({ name, value }) => ({ name, value }))
  t.strictSame(metrics.map((metric) => metric.label), [label, label], 'and its labels')
})

t.test('a series may have thousands of buckets', async (t) => {
  const bounds = Array.from({ length: 4000 }, (_, i) => i)
  const counts = Array.from({ length: 4001 }, (_, i) => 2 ** 40 + i)
  const sparse = Array.from({ length: 16_000 }, (_, i) => i % 4 === 0 ? 2 ** 53 - i : 0)
  const native = { schema: 8, zeroThreshold: 0, zeroCount: 0, positive: side(0, sparse), negative: side(0, sparse.map((count) => Math.min(count, 0.5))) }
  for (const exemplars of [undefined, bounds.map((i) => i % 7 === 0 ? TRACE : undefined)]) {
    const [classic, both] = metricsOf(familyOf('histogram', [{ buckets: bucketsOf(counts, undefined, exemplars) }, { buckets: bucketsOf(counts, native, exemplars) }], bounds))
    t.equal(classic?.histogram?.bucket?.length, 4001)
    t.equal(classic?.histogram?.bucket?.[4000]?.cumulativeCount, String(4001 * 2 ** 40 + 4000 * 4001 / 2))
    t.strictSame(both?.histogram?.bucket, classic?.histogram?.bucket)
    t.strictSame(both?.histogram?.positiveCount, sparse.filter((count) => count > 0))
    t.equal(both?.histogram?.negativeSpan?.length, 4000)
  }
  const long = { ...TRACE, labelSet: { trace_id: 'x'.repeat(300_000) } }
  for (const exemplars of [undefined, [long]]) {
    const buckets = histogramOf(bucketsOf(bounds.concat(4000), undefined, exemplars), bounds)?.bucket
    t.strictSame([buckets?.length, buckets?.[4000]?.cumulativeCount], [4001, '8002000'])
  }
  const whole = { ...native, negative: side() }
  t.equal(histogramOf(bucketsOf([2 ** 52], whole))?.positiveDelta?.length, 4000)
})

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
  .chain(([type, bounds, help, name]) => fc.array(anySeries(type, bounds), { minLength: 1, maxLength: 6 }).map((series) => familyOf(type, series, bounds, name, help)))

/** As UTF-8 has it. */
function utf8 (text: string): string {
  return Buffer.from(text).toString()
}

function timestampOf (seconds: number): DecodedTimestamp {
  const ms = Math.round(seconds * 1000)
  return { ...(ms >= 1000 && { seconds: String(Math.floor(ms / 1000)) }), ...(ms % 1000 > 0 && { nanos: (ms % 1000) * 1e6 }) }
}

function exemplarOf ({ labelSet, value, timestamp }: Exemplar): DecodedExemplar {
  const label = Object.entries(labelSet).map(([name, text]) => ({ name, value: utf8(String(text)) }))
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
  const label = labels.map(({ name, value }) => ({ name, value: utf8(value) }))
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
      name: family.name, help: utf8(family.help), type: types[family.type], metric: [...family.series()].map((series) => expectedSeries(family, series))
    }))
    const actual = decoded(encoded(families)).map(byIndex)
    compared += actual.length
    assert.deepStrictEqual(actual, expected)
  }), { numRuns: 300 })
  t.ok(compared > 500, `${compared} families`)
})
