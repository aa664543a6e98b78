import assert from 'node:assert'
import fc from 'fast-check'
import t from 'tap'
import { BucketCounts } from '../../src/metrics/bucket-counts.js'
import { boundText } from '../../src/exposition/numbers.js'
import { Counter, Gauge, Histogram, LabelPair, type FamilySnapshot } from '../../src/metrics/index.js'
import { chunksOf, encoded } from '../support/encoded.js'
import { missing, Parsers, type ParsedFamily } from '../support/parsers.js'
import { promtoolIsContent } from '../support/promtool.js'
import { familyOf } from '../support/snapshots.js'

const parsers = await Parsers.start(t)
const skip = parsers === undefined && missing

type Format = 'text' | 'openmetrics'

function pageOf (families: readonly FamilySnapshot[], format: Format, created = true): string {
  return encoded(families, format, created).toString()
}

async function read (families: readonly FamilySnapshot[], format: Format): Promise<ParsedFamily[]> {
  return (await parsers?.read(format, encoded(families, format))) ?? []
}

t.test('a page of ours, byte for byte', async (t) => {
  const config = { registers: [], enableExemplars: true }
  const requests = new Counter({ ...config, name: 'requests_total', help: ' Of "the"\\test\n\t', labelNames: ['path'] })
  requests.inc({ labels: { path: '/"a\\b\nc\t👋\ud800' }, value: 2, exemplarLabels: { trace_id: '"\\\n' } })
  const seconds = new Histogram({ ...config, name: 'wait_seconds', help: 'Of the test.', buckets: [0.1, 1e6] })
  seconds.observe({ value: 3, exemplarLabels: { trace_id: 'abc' } })
  seconds.observe({ value: 2e6, exemplarLabels: { trace_id: 'def' } })
  const depth = new Gauge({ name: 'depth', help: 'Of the test.', registers: [], labelNames: ['of', 'to'] })
  depth.set({ of: '' }, -Infinity)
  depth.set({ to: 'x' }, NaN)
  const plain = familyOf('counter', [{ value: 1e21, created: 1, exemplar: { labelSet: { trace_id: 'x' }, value: 1, timestamp: 1 } }], { name: 'plain' })
  const families = [requests.snapshot(), seconds.snapshot([new LabelPair('pod', 'p-1')]), depth.snapshot(), plain, familyOf('unknown', [], { name: 'empty', help: '' })]
  const [created, later] = families.slice(0, 2).map((family) => [...family.series()][0]?.created)
  const at = (page: string): string => page.replace(/(# \{.*\} \d+) \d+(\.\d+)?$/gm, '$1 <now>')

  t.equal(pageOf(families, 'text'), [
    '# HELP requests_total  Of "the"\\\\test\\n\t',
    '# TYPE requests_total counter',
    'requests_total{path="/\\"a\\\\b\\nc\t👋\ufffd"} 2',
    '# HELP wait_seconds Of the test.',
    '# TYPE wait_seconds histogram',
    'wait_seconds_bucket{pod="p-1",le="0.1"} 0',
    'wait_seconds_bucket{pod="p-1",le="1e+06"} 1',
    'wait_seconds_bucket{pod="p-1",le="+Inf"} 2',
    'wait_seconds_sum{pod="p-1"} 2000003',
    'wait_seconds_count{pod="p-1"} 2',
    '# HELP depth Of the test.',
    '# TYPE depth gauge',
    'depth{of=""} -Inf',
    'depth{to="x"} NaN',
    '# HELP plain Of the test.',
    '# TYPE plain counter',
    'plain 1e+21',
    '# HELP empty ',
    '# TYPE empty untyped',
    ''
  ].join('\n'))
  t.equal(at(pageOf(families, 'openmetrics')), [
    '# TYPE requests counter',
    '# HELP requests  Of \\"the\\"\\\\test\\n\t',
    'requests_total{path="/\\"a\\\\b\\nc\t👋\ufffd"} 2 # {trace_id="\\"\\\\\\n"} 2 <now>',
    `requests_created{path="/\\"a\\\\b\\nc\t👋\ufffd"} ${created}`,
    '# TYPE wait_seconds histogram',
    '# UNIT wait_seconds seconds',
    '# HELP wait_seconds Of the test.',
    'wait_seconds_bucket{pod="p-1",le="0.1"} 0',
    'wait_seconds_bucket{pod="p-1",le="1e+06"} 1 # {trace_id="abc"} 3 <now>',
    'wait_seconds_bucket{pod="p-1",le="+Inf"} 2 # {trace_id="def"} 2000000 <now>',
    'wait_seconds_sum{pod="p-1"} 2000003',
    'wait_seconds_count{pod="p-1"} 2',
    `wait_seconds_created{pod="p-1"} ${later}`,
    '# TYPE depth gauge',
    '# HELP depth Of the test.',
    'depth{of=""} -Inf',
    'depth{to="x"} NaN',
    '# TYPE plain unknown',
    '# HELP plain Of the test.',
    'plain 1e+21',
    '# TYPE empty unknown',
    '# HELP empty ',
    '# EOF',
    ''
  ].join('\n'))
  t.notMatch(pageOf(families, 'openmetrics', false), /_created/, 'unless it is not wanted')
  t.same([pageOf([], 'text'), pageOf([], 'openmetrics')], ['', '# EOF\n'], 'a page of nothing')
})

t.test('no line takes the name of another metric, in OpenMetrics neither', { skip }, async (t) => {
  const names = ['foo_total', 'foo', '_total', 'bar_total']
  const families = names.map((name) => familyOf('counter', [{ value: 1, created: 1.5 }], { name }))
  const read = async (...more: FamilySnapshot[]) => (await parsers?.read('openmetrics', pageOf([...families, ...more], 'openmetrics')))
    ?.map(({ name, type, samples }) => [name, type, ...samples.map(({ name }) => name)])
  t.strictSame(await read(), [
    ['foo_total', 'unknown', 'foo_total'],
    ['foo', 'unknown', 'foo'],
    ['_total', 'unknown', '_total'],
    ['bar', 'counter', 'bar_total', 'bar_created']
  ])
  t.match(pageOf([...families, familyOf('gauge', [{}], { name: 'bar_created' })], 'openmetrics'), /^bar_total 1\n# TYPE bar_created gauge\n# HELP .*\nbar_created 0$/m,
    'and a metric named like the line that says when another began has that name to itself')
})

t.test('exemplars whose labels have names that are none are left out, for they would cost the whole page', async (t) => {
  const exemplar = { labelSet: { 'trace-id': 'abc' }, value: 1, timestamp: 1 }
  t.match(pageOf([familyOf('counter', [{ value: 1, exemplar }], { name: 'foo_total' })], 'openmetrics'), /^foo_total 1$/m)
  t.match(pageOf([familyOf('histogram', [{ value: 1, buckets: { counts: [1], at: 0, exemplars: [exemplar], native: undefined } }])], 'openmetrics'), /^sample_bucket\{le="\+Inf"\} 1$/m)
})

t.test('counts are exact where 32 bits end and where they are carried', { skip }, async (t) => {
  const carried = new BucketCounts(2)
  carried.zero(0)
  carried.page(0)[0] = 2 ** 32 - 1
  carried.increment(0, 0)
  carried.increment(0, 1)
  const counts = [[9, 1, 89, 1, 2 ** 31 - 101, 1, 2 ** 31 - 1, 1, 2 ** 53 - 1 - 2 ** 32], carried.carriedOf(0) ?? []]
  const families = counts.map((counts, i) => familyOf('histogram', [{ buckets: { counts, at: 0, exemplars: undefined, native: undefined } }], {
    name: `sample_${i}`,
    bounds: counts.slice(1).map((_, i) => i)
  }))
  for (const format of ['text', 'openmetrics'] as const) {
    t.strictSame((await read(families, format)).map(({ samples }) => samples.filter(({ name }) => !name.endsWith('_sum')).map(({ value }) => value)), [
      [9, 10, 99, 100, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1, 2 ** 53 - 1],
      [2 ** 32, 2 ** 32 + 1, 2 ** 32 + 1]
    ], format)
  }
})

t.test('wherever a chunk ends, nothing is lost between two', async (t) => {
  const gauge = new Gauge({ name: 'level', help: 'h', labelNames: ['series'], registers: [] })
  for (let i = 0; i < 1500; i++) gauge.set({ series: `👋 ${i}` }, i % 7 === 0 ? i / 3 : i)
  const histogram = new Histogram({ name: 'wait_seconds', help: 'h', labelNames: ['series'], registers: [] })
  for (let i = 0; i < 150; i++) histogram.observe({ series: `é ${i}` }, i % 12)
  for (let i = 0; i < 12; i++) histogram.observe({ series: 'é'.repeat(4078 + i) + i }, i)
  const families = [gauge.snapshot(), histogram.snapshot()]
  for (const format of ['text', 'openmetrics'] as const) {
    const single = (family: FamilySnapshot): string => pageOf([family], format).replace('# EOF\n', '')
    const apart = families.flatMap((family) => {
      const pages = [...family.series()].map((series) => single({ ...family, size: 1, series: () => [series] }))
      return pages.map((page, i) => i === 0 ? page : page.replace(/^(?:# .*\n)*/, ''))
    }).join('') + pageOf([], format)
    for (let pad = 0; pad < 30; pad++) {
      const padding = familyOf('gauge', [], { name: 'padding', help: 'x'.repeat(pad) })
      const chunks = chunksOf([padding, ...families], format)
      if (pad === 0) t.ok(chunks.length > 2 && chunks.slice(0, 2).every(({ length }) => length < 80_000), `${chunks.length} chunks, of about 64 KB where labels are short`)
      if (!Buffer.concat(chunks).equals(Buffer.from(single(padding) + apart))) t.fail(`${format}, moved by ${pad} bytes`)
    }
  }
})

t.test('a series whose labels are 1 MB long is not in one chunk', { skip }, async (t) => {
  const help = '€'.repeat(30_000)
  const long = '"\\\n' + 'x'.repeat(990_000) + 'é'.repeat(5000)
  const histogram = new Histogram({ name: 'wait_seconds', help, labelNames: ['a', 'b'], registers: [], buckets: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13] })
  histogram.observe({ a: 'short', b: long }, 6.5)
  const families = [histogram.snapshot()]
  for (const format of ['text', 'openmetrics'] as const) {
    const chunks = chunksOf(families, format)
    t.ok(chunks.length >= 14 && chunks.every(({ length }) => length < 3_100_000), `${chunks.length} chunks`)
    const [family] = await read(families, format)
    t.equal(family?.help, help)
    t.equal(family?.samples.length, format === 'text' ? 16 : 17)
    t.ok(family?.samples.every(({ labels }) => labels.a === 'short' && labels.b === long))
    t.strictSame(family?.samples.slice(0, 14).map(({ value }) => value), [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1])
  }
})

t.test('bounds are written as Prometheus writes them', async (t) => {
  // Go's strconv.FormatFloat(bound, 'g', -1, 64): the shortest digits that are read as the same number, with an
  // exponent of two digits or more below 0.0001 and from a million on (%e is for exponents below -4 or from 6 on where
  // the precision is the shortest, strconv/ftoa.go). Then ".0" where there is neither a dot nor an exponent
  // (prometheus/common/expfmt/openmetrics_create.go, writeOpenMetricsFloat).
  const table: Array<[number, string]> = [
    [0, '0.0'], [-0, '0.0'], [1, '1.0'], [-1, '-1.0'], [0.1, '0.1'], [0.005, '0.005'], [2.5, '2.5'], [10, '10.0'], [-12.25, '-12.25'],
    [0.0001, '0.0001'], [0.00012345, '0.00012345'], [0.00001, '1e-05'], [0.000099999, '9.9999e-05'], [1e-10, '1e-10'], [1.5e-100, '1.5e-100'],
    [123456, '123456.0'], [999999, '999999.0'], [999999.5, '999999.5'], [123456.789, '123456.789'], [1e6, '1e+06'], [1234567, '1.234567e+06'], [1048576, '1.048576e+06'],
    [67108864, '6.7108864e+07'], [1234567.25, '1.23456725e+06'], [-1e6, '-1e+06'], [1e20, '1e+20'], [1e21, '1e+21'], [123456789012345680000, '1.2345678901234568e+20'],
    [2 ** 53, '9.007199254740992e+15'], [5e-324, '5e-324'], [Number.MAX_VALUE, '1.7976931348623157e+308'], [0.1 + 0.2, '0.30000000000000004'],
    [Infinity, '+Inf'], [-Infinity, '-Inf'], [NaN, 'NaN']
  ]
  for (const [bound, text] of table) t.equal(boundText(bound), text)
  fc.assert(fc.property(fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.double({ min: 1e-6, max: 1e8, noNaN: true }), fc.integer()), (bound) => {
    const text = boundText(bound)
    assert.strictEqual(Number(text), bound + 0)
    const small = bound === 0 || (Math.abs(bound) >= 1e-4 && Math.abs(bound) < 1e6)
    assert.match(text, small ? /^-?\d{1,6}\.\d+$/ : /^-?[1-9](\.\d*[1-9])?e[+-]\d{2,3}$/)
  }), { numRuns: 2000 })
})

t.test('promtool finds nothing to say about a page', async (t) => {
  const hostile = '"a\\b\nc\t\0👋\ud800'
  const labels = [new LabelPair('hostile', hostile), new LabelPair('empty', '')]
  const counter = new Counter({ name: 'requests_total', help: hostile, labelNames: ['path'], registers: [] })
  counter.inc({ path: hostile }, 1e21)
  const histogram = new Histogram({ name: 'wait_seconds', help: 'Of the test.', registers: [], buckets: [-1e6, -1, 0, 1e-10, 1, 1e21] })
  for (const value of [-3, 0.5, 1e300]) histogram.observe(value)
  const page = pageOf([
    counter.snapshot(labels),
    histogram.snapshot(labels),
    familyOf('gauge', [NaN, Infinity, -Infinity, -0, 5e-324].map((value) => ({ labels: [new LabelPair('value', String(value))], value })), { name: 'level' }),
    familyOf('summary', [{ labels, value: 1.5, quantiles: { quantiles: [{ quantile: 0, value: 1 }, { quantile: 0.99, value: NaN }], count: 2 } }]),
    familyOf('unknown', [{ labels }], { name: 'odd' })
  ], 'text')
  promtoolIsContent(t, page)
})
