import t from 'tap'
import { createHash } from 'node:crypto'
import { PROTOBUF, encodeProtobuf } from '../../src/exposition/protobuf.js'
import { LabelPair, type BucketsSnapshot, type Exemplar, type FamilySnapshot, type NativeBuckets, type NativeSnapshot } from '../../src/metrics/index.js'
import { decoded, type DecodedFamily, type DecodedHistogram, type DecodedTimestamp } from '../support/decoded.js'
import { encoded } from '../support/encoded.js'
import { familyOf, seriesOf } from '../support/snapshots.js'

function bucketsOf (counts: ArrayLike<number>, native?: NativeSnapshot, exemplars?: Array<Exemplar | undefined>): BucketsSnapshot {
  return { counts, at: 0, exemplars, native }
}

function side (offset = 0, counts: number[] = []): NativeBuckets {
  return { offset, counts: Float64Array.from(counts) }
}

/** The metrics of one family. */
function metricsOf (family: FamilySnapshot): DecodedFamily['metric'] {
  return decoded(encoded([family], 'protobuf'))[0]?.metric ?? []
}

/** The only series of a histogram. */
function histogramOf (buckets: BucketsSnapshot, bounds: number[] = [], value = 1): DecodedHistogram | undefined {
  return metricsOf(familyOf('histogram', [{ value, buckets }], { bounds }))[0]?.histogram
}

const TRACE: Exemplar = { labelSet: { trace_id: 'abc', span: 7 }, value: 0.5, timestamp: 1_700_000_000.123 }
const DECODED_TRACE = {
  label: [{ name: 'trace_id', value: 'abc' }, { name: 'span', value: '7' }],
  value: 0.5,
  timestamp: { seconds: '1700000000', nanos: 123_000_000 }
}

t.test('a counter is these bytes', async (t) => {
  const bytes = encoded([familyOf('counter', [{ labels: [new LabelPair('a', 'é')], value: 1 }], { name: 'c_total', help: 'Help.' })], 'protobuf')
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
    familyOf('histogram', [{ labels, created, value: 9.5, buckets: { counts: [100, 1, 200, 0, 1], at: 1, exemplars: [undefined, TRACE], native: undefined } }, { value: 1, buckets: bucketsOf([0, 0, 0, 0]) }], { bounds: [0.1, 1, 10] })
  ]
  const label = [{ name: 'method', value: 'GET' }, { name: 'route', value: '/' }]
  const common = { name: 'sample', help: 'Of the test.' }
  t.strictSame(decoded(encoded(families, 'protobuf')), [
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
  t.ok(Object.is(decoded(encoded(families, 'protobuf'))[1]?.metric[3]?.gauge?.value, -0))
})

t.test('a family without series is left out', async (t) => {
  t.strictSame(decoded(encoded([familyOf('counter', []), familyOf('gauge', [{}]), familyOf('histogram', [])], 'protobuf')).map(({ type }) => type), ['GAUGE'])
  t.equal(encoded([], 'protobuf').length, 0)
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
  const small = Array.from({ length: 1000 }, (_, i) => familyOf('gauge', [{ value: i }], { name: `small_${i}`, help: 'x'.repeat(i % 300) }))
  // More pairs than are kept at a time.
  const pairs = Array.from({ length: 20_000 }, (_, i) => new LabelPair('id', `${i}/`.repeat(i % 40)))
  const shared = new LabelPair('method', 'GET')
  const labelsOf = (i: number) => [shared, pairs[(i * 7) % 20_000] as LabelPair]
  let pulled = 0
  const large = {
    ...familyOf('counter', [], { name: 'large_total' }),
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
  const families = decoded(encoded([familyOf('counter', [{ labels: [huge], value: 1 }, { labels: [huge, huge], value: 2 }, { value: 3 }]), familyOf('gauge', [{ value: 4 }])], 'protobuf'))
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
    const [classic, both] = metricsOf(familyOf('histogram', [{ buckets: bucketsOf(counts, undefined, exemplars) }, { buckets: bucketsOf(counts, native, exemplars) }], { bounds }))
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
