import fc from 'fast-check'
import t from 'tap'
import { encodeOpenMetrics2 } from '../../src/exposition/openmetrics-2.js'
import { Counter, Gauge, Histogram, LabelPair, isLabelName, type Exemplar, type FamilySnapshot, type NativeBuckets, type SeriesSnapshot } from '../../src/metrics/index.js'
import { readOpenMetrics2, type ReadFamily, type ReadHistogram, type ReadNative, type ReadSample, type ReadSummary } from '../support/openmetrics-2.js'

const registers: never[] = []

function pageOf (families: readonly FamilySnapshot[]): Buffer {
  return Buffer.concat([...encodeOpenMetrics2(families)])
}

function read (...families: FamilySnapshot[]): ReadFamily[] {
  return readOpenMetrics2(pageOf(families))
}

function familyOf (type: FamilySnapshot['type'], series: ReadonlyArray<Partial<SeriesSnapshot>>, rest: Partial<FamilySnapshot> = {}): FamilySnapshot {
  const whole = series.map((some): SeriesSnapshot => ({ labels: [], created: undefined, value: 0, exemplar: undefined, buckets: undefined, quantiles: undefined, ...some }))
  return { name: 'walk', help: 'Of the test.', type, size: whole.length, bounds: [], series: () => whole, ...rest }
}

t.test('a family is one name: TYPE, UNIT and HELP say the name that its samples have', async (t) => {
  const walks = new Counter({ name: 'walk_distance_meters_total', help: 'How "far"\nthey went.', labelNames: ['dog'], registers })
  walks.inc({ dog: 'Rex "the\\first"\n' }, 2.5)
  walks.inc({ dog: 'Ida' })
  const plain = new Counter({ name: 'barks', help: 'Barks.', registers })
  const age = new Gauge({ name: 'dog_age_seconds', help: 'Age.', registers })
  age.set(-0.5)
  const page = pageOf([walks.snapshot(), plain.snapshot(), age.snapshot()]).toString()
  t.match(page, /^# TYPE walk_distance_meters_total counter\n# UNIT walk_distance_meters_total meters\n# HELP walk_distance_meters_total How \\"far\\"\\nthey went\.\nwalk_distance_meters_total\{/)
  t.match(page, /\nwalk_distance_meters_total\{dog="Ida"\} 1 st@1\d{9}(\.\d+)?\n/)
  t.match(page, /# TYPE barks counter\n# HELP barks Barks\.\nbarks 0 st@/, 'a counter without _total stays a counter')
  t.match(page, '# TYPE dog_age_seconds gauge\n# UNIT dog_age_seconds seconds\n# HELP dog_age_seconds Age.\ndog_age_seconds -0.5\n# EOF\n')
  t.same(readOpenMetrics2(Buffer.from(page)).map(({ name, type, unit }) => [name, type, unit]), [
    ['walk_distance_meters_total', 'counter', 'meters'], ['barks', 'counter', ''], ['dog_age_seconds', 'gauge', 'seconds']
  ])
})

t.test('a histogram is one line: classic buckets, native ones, or both, with its start and its exemplars', async (t) => {
  const observed = (config: object) => {
    const histogram = new Histogram({ name: 'walk_seconds', help: 'h', labelNames: ['dog'], registers, enableExemplars: true, ...config })
    for (const value of [0, 0.05, 0.7, 0.7, 30]) histogram.observe({ labels: { dog: 'Rex' }, value })
    histogram.observe({ labels: { dog: 'Rex' }, value: 0.67, exemplarLabels: { trace_id: 'a}b', span_id: 7 } })
    return pageOf([histogram.snapshot()]).toString().split('\n')[3] ?? ''
  }
  const START = /st@1\d{9}(\.\d{1,7})? /
  const EXEMPLAR = /# \{trace_id="a\}b",span_id="7"\} 0\.67 1\d{9}(\.\d{1,7})?$/
  const classic = observed({ buckets: [0.1, 1, 1e6] })
  t.match(classic, 'walk_seconds{dog="Rex"} {count:6,sum:32.12,bucket:[0.1:2,1.0:5,1e+06:6,+Inf:6]} st@')
  t.match(classic, START)
  t.match(classic, EXEMPLAR)
  const both = observed({ buckets: [0.1, 1], native: { growthFactor: 2 } })
  t.match(both, 'walk_seconds{dog="Rex"} {count:6,sum:32.12,schema:0,zero_threshold:2.938735877055719e-39,zero_count:1,' +
    'positive_spans:[-4:1,3:1,4:1],positive_buckets:[1,3,1],bucket:[0.1:2,1.0:5,+Inf:6]} st@')
  t.match(both, EXEMPLAR)
  const native = observed({ buckets: [], native: { growthFactor: 2 } })
  t.notMatch(native, 'bucket:')
  t.match(native, 'positive_buckets:[1,3,1]} st@')
  t.match(native, EXEMPLAR)
  const line = pageOf([new Histogram({ name: 'h', help: 'h', registers, buckets: [-1, 1], native: {} }).snapshot()]).toString()
  t.match(line, 'h {count:0,sum:0,schema:3,zero_threshold:2.938735877055719e-39,zero_count:0,bucket:[-1.0:0,1.0:0,+Inf:0]} st@', 'empty sides are left out, bounds may be negative')
})

t.test('a start falls on its millisecond, however a reader gets there', async (t) => {
  const times = [0, 0.001, 1, 1.001, 1_764_082_800.123, 1_764_082_800, 2_147_483_648.007, 4_102_444_800.999, 253_402_300_799.999]
  for (let i = 0; i < 2000; i++) times.push((1_764_082_800_000 + i * 7919) / 1000)
  const [family] = read(familyOf('counter', times.map((created, i) => ({ created, labels: [new LabelPair('i', String(i))] }))))
  t.equal(family?.samples.length, times.length)
  for (const [i, { start = NaN }] of (family?.samples ?? []).entries()) {
    const time = times[i] as number
    // As Prometheus does it (model/textparse/openmetricsparse.go): a product of floats, and what is behind the point cut off.
    if (Math.trunc(start * 1000) !== Math.round(time * 1000)) t.equal(Math.trunc(start * 1000), Math.round(time * 1000), String(time))
    if (Math.abs(start - time) > 1e-4) t.equal(start, time)
  }
  t.same(read(familyOf('counter', [{ created: NaN }]))[0]?.samples[0]?.start, undefined, 'what is no time is none')
})

t.test('an exemplar that has no time is left out, and one of any time is written', async (t) => {
  const [family] = read(familyOf('counter', [NaN, Infinity, 0, 1e300, Number.MAX_VALUE, -1.5].map((timestamp, i) => ({
    labels: [new LabelPair('i', String(i))], value: 1, exemplar: { labelSet: { trace_id: 'x' }, value: 1, timestamp }
  }))))
  t.same(family?.samples.map(({ exemplars }) => exemplars.map(({ timestamp }) => timestamp)), [[], [], [0], [1e300], [Number.MAX_VALUE], [-1.5]])
})

t.test('a summary is one line, and one that says what a summary may not is in parts', async (t) => {
  const quantiles = { quantiles: [{ quantile: 0.99, value: NaN }, { quantile: 0.5, value: 2 }], count: 17 }
  t.match(pageOf([familyOf('summary', [{ value: 3.25, quantiles, created: 1.5 }, { labels: [new LabelPair('dog', 'x')], value: 0, quantiles: { quantiles: [], count: 0 } }])]).toString(),
    'walk {count:17,sum:3.25,quantile:[0.5:2,0.99:NaN]} st@1.5\nwalk{dog="x"} {count:0,sum:0,quantile:[]}\n')
  const wrong = [{ value: -1, quantiles }, { value: NaN, quantiles }, { value: 1, quantiles: { quantiles: [{ quantile: 2, value: 1 }], count: 1 } }]
  for (const each of wrong) {
    t.same(read(familyOf('summary', [each])).map(({ name, type }) => [name, type]), [['walk', 'unknown'], ['walk_sum', 'unknown'], ['walk_count', 'unknown']])
  }
})

t.test('counts that are no integers make a histogram of floats, those that are stay plain', async (t) => {
  const native = (count: number) => ({ schema: 0, zeroThreshold: 0, zeroCount: 0, positive: { offset: 1, counts: Float64Array.of(count) }, negative: { offset: 0, counts: new Float64Array() } })
  const histogram = (count: number) => read(familyOf('histogram', [{ value: 1, buckets: { counts: [0, count], at: 0, exemplars: undefined, native: native(count) } }], { bounds: [1] }))[0]?.samples[0]?.value as ReadHistogram
  for (const count of [1, 2 ** 31, 2 ** 32 + 1, 2 ** 53]) t.match(histogram(count), { count, native: { float: false, positive: new Map([[1, count]]) } }, String(count))
  t.match(histogram(2.5), { count: 2.5, buckets: [[1, 0], [Infinity, 2.5]], native: { float: true } })
})

t.test('chunks are of a size, and a label as long as many of them is written whole', async (t) => {
  const long = 'ü"\n'.repeat(100_000)
  const gauge = new Gauge({ name: 'long', help: 'h', labelNames: ['text'], registers, maxSeries: 3000 })
  gauge.set({ text: long }, 1)
  for (let i = 0; i < 2999; i++) gauge.set({ text: `${i}`.padStart(100) }, i)
  const chunks = [...encodeOpenMetrics2([gauge.snapshot()])]
  t.ok(chunks.length > 4)
  for (const chunk of chunks.slice(1)) t.ok(chunk.length < 100_000, String(chunk.length))
  t.equal(readOpenMetrics2(Buffer.concat(chunks))[0]?.samples[0]?.labels[0]?.[1], long)
})

// What follows reads random families back.

const TEXT = fc.oneof(fc.constantFrom('', '"', '\\', '\n', '}', ' # {', '\r', '\ud800', '👋', '\u0000'), fc.string({ maxLength: 12 }), fc.string({ unit: 'grapheme', maxLength: 6 }))
const LABELS = fc.uniqueArray(fc.tuple(fc.stringMatching(/^[a-z_][a-z0-9_]{0,8}$/).filter((name) => isLabelName(name) && name !== 'le' && name !== 'quantile'), TEXT), { maxLength: 4, selector: ([name]) => name })
  .map((pairs) => pairs.map(([name, value]) => new LabelPair(name, value)))
const NUMBER = fc.oneof(fc.double(), fc.integer(), fc.constantFrom(NaN, Infinity, -Infinity, 1e21, -0, 2 ** 31, 2 ** 53))
const CREATED = fc.option(fc.integer({ min: 0, max: 4e12 }).map((milliseconds) => milliseconds / 1000), { nil: undefined })
const COUNT = fc.oneof(fc.nat(5), fc.nat(2 ** 31 - 1), fc.constantFrom(2 ** 31, 2 ** 32, 2 ** 40), fc.double({ min: 0, max: 1e6, noNaN: true }).map(Math.abs))
const EXEMPLAR: fc.Arbitrary<Exemplar> = fc.record({
  labelSet: fc.dictionary(fc.constantFrom('trace_id', 'span_id', 'a'), fc.oneof(TEXT, fc.integer()), { maxKeys: 3, noNullPrototype: true }),
  value: NUMBER,
  timestamp: fc.integer({ min: 0, max: 4e12 }).map((milliseconds) => milliseconds / 1000)
})
const WINDOW: fc.Arbitrary<NativeBuckets> = fc.record({ offset: fc.integer({ min: -500, max: 500 }), counts: fc.array(fc.oneof(fc.constant(0), fc.nat(9), fc.nat(2 ** 40)), { maxLength: 30 }).map((counts) => Float64Array.from(counts)) })

interface Options { readonly classic: boolean, readonly native: boolean, readonly bounds: readonly number[] }

function histogramSeries ({ classic, native, bounds }: Options): fc.Arbitrary<Partial<SeriesSnapshot>> {
  const schema = fc.integer({ min: -4, max: 8 })
  return fc.record({
    labels: LABELS,
    value: NUMBER,
    created: CREATED,
    window: fc.record({ positive: WINDOW, negative: WINDOW, zeroCount: fc.nat(9), schema, zeroThreshold: fc.constantFrom(0, 2 ** -128, 0.5) }),
    counts: fc.array(COUNT, { minLength: bounds.length + 1, maxLength: bounds.length + 1 }),
    exemplars: fc.option(fc.array(fc.option(EXEMPLAR, { nil: undefined }), { maxLength: classic ? bounds.length + 1 : 10 }), { nil: undefined })
  }).map(({ labels, value, created, window, counts, exemplars }) => {
    // The same total in both kinds of buckets.
    const total = window.zeroCount + [...window.positive.counts, ...window.negative.counts].reduce((sum, count) => sum + count, 0)
    const own = native ? counts.map((_, i) => i === bounds.length ? total : 0) : counts
    return { labels, value, created, buckets: { counts: [7, ...own], at: 1, exemplars, native: native ? window : undefined } }
  })
}

const SERIES: Record<FamilySnapshot['type'], (options: Options) => fc.Arbitrary<Partial<SeriesSnapshot>>> = {
  counter: () => fc.record({ labels: LABELS, value: fc.double({ min: 0, noNaN: true }).map(Math.abs), created: CREATED, exemplar: fc.option(EXEMPLAR, { nil: undefined }) }),
  gauge: () => fc.record({ labels: LABELS, value: NUMBER }),
  unknown: () => fc.record({ labels: LABELS, value: NUMBER }),
  summary: () => fc.record({
    labels: LABELS,
    value: fc.double({ min: 0, noNaN: true }).map(Math.abs),
    created: CREATED,
    quantiles: fc.record({
      count: fc.nat(), quantiles: fc.uniqueArray(fc.record({ quantile: fc.double({ min: 0, max: 1, noNaN: true }).map(Math.abs), value: fc.oneof(fc.double({ min: 0 }).map(Math.abs), fc.constant(NaN)) }), { maxLength: 4, selector: ({ quantile }) => quantile })
    })
  }),
  histogram: histogramSeries
}

const FAMILY = fc.record({
  type: fc.constantFrom(...Object.keys(SERIES) as Array<FamilySnapshot['type']>),
  unit: fc.constantFrom('', '_seconds', '_bytes_total', '_total', '_info'),
  help: TEXT,
  classic: fc.boolean(),
  native: fc.boolean(),
  bounds: fc.uniqueArray(fc.double({ noNaN: true, noDefaultInfinity: true }).map((bound) => bound + 0), { maxLength: 5 }).map((bounds) => bounds.sort((a, b) => a - b))
}).chain(({ type, unit, help, native, ...rest }) => {
  const classic = rest.classic || !native
  const bounds = classic ? rest.bounds : []
  const key = ({ labels }: Partial<SeriesSnapshot>) => JSON.stringify((labels ?? []).filter(({ value }) => value !== '').map(({ name, value }) => [name, value]).sort())
  return fc.uniqueArray(SERIES[type]({ classic, native, bounds }), { maxLength: 5, selector: key })
    .map((series) => familyOf(type, series, { name: `walk${unit}`, help, bounds: type === 'histogram' ? bounds : [] }))
})

function text (value: string): string {
  return new LabelPair('x', value).value
}

function expectedExemplars (exemplars: ReadonlyArray<Exemplar | undefined>): Array<{ labels: string[][], value: number, milliseconds: number }> {
  return exemplars.flatMap((exemplar) => {
    if (exemplar === undefined) return []
    const labels = Object.entries(exemplar.labelSet).map(([name, value]) => [name, text(String(value))])
    return [...labels.flat().join('')].length > 128 ? [] : [{ labels, value: exemplar.value + 0, milliseconds: Math.round(exemplar.timestamp * 1000) }]
  })
}

function populated ({ offset, counts }: NativeBuckets): Map<number, number> {
  return new Map([...counts].flatMap((count, i) => count === 0 ? [] : [[offset + i, count]]))
}

function expectedValue ({ value, buckets, quantiles }: SeriesSnapshot, bounds: readonly number[]): ReadSample['value'] {
  if (quantiles !== undefined) {
    return { kind: 'summary', count: quantiles.count, sum: value, quantiles: [...quantiles.quantiles].sort((a, b) => a.quantile - b.quantile).map(({ quantile, value }) => [quantile, value] as const) } satisfies ReadSummary
  }
  if (buckets === undefined) return value + 0
  let count = 0
  const classic = [...bounds, Infinity].map((bound, i) => {
    count += buckets.counts[buckets.at + i] as number
    return [bound, count] as const
  })
  const native = buckets.native === undefined
    ? undefined
    : { schema: buckets.native.schema, zeroThreshold: buckets.native.zeroThreshold, zeroCount: buckets.native.zeroCount, negative: populated(buckets.native.negative), positive: populated(buckets.native.positive), float: false } satisfies ReadNative
  return { kind: 'histogram', count, sum: value + 0, buckets: native !== undefined && bounds.length === 0 ? undefined : classic, native }
}

t.test('random families are read back as they were', async (t) => {
  let families = 0
  fc.assert(fc.property(FAMILY, (family) => {
    const [found, ...others] = readOpenMetrics2(pageOf([family]))
    if (found === undefined || others.length > 0) throw new Error(`read ${others.length + 1} families`)
    families++
    const series = [...family.series()]
    const base = family.type === 'counter' ? family.name.replace(/_total$/, '') : family.name
    const expected = {
      name: family.name,
      type: family.type,
      unit: /_(seconds|bytes)$/.exec(base)?.[1] ?? '',
      help: text(family.help),
      samples: series.map((each) => ({
        labels: each.labels.map(({ name, value }) => [name, value]),
        value: expectedValue(each, family.bounds),
        start: each.created === undefined ? undefined : Math.round(each.created * 1000),
        exemplars: expectedExemplars(each.buckets?.exemplars ?? [each.exemplar])
      }))
    }
    const actual = {
      ...found,
      samples: found.samples.map(({ labels, value, start, exemplars }) => ({
        labels: labels.map((pair) => [...pair]),
        value,
        start: start === undefined ? undefined : Math.trunc(start * 1000),
        exemplars: exemplars.map(({ labels, value, timestamp }) => ({ labels: labels.map((pair) => [...pair]), value, milliseconds: Math.trunc(timestamp * 1000) }))
      }))
    }
    const same = t.strictSame(actual, expected)
    if (!same) throw new Error('read otherwise')
  }), { numRuns: 1500, interruptAfterTimeLimit: 60_000 })
  t.ok(families > 500, `${families} families`)
})
