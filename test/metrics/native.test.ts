import fc from 'fast-check'
import { Registry } from 'prom-client'
import t from 'tap'
import assert from 'node:assert/strict'
import { isDeepStrictEqual } from 'node:util'
import { metric, type Scope } from '../../src/catalogue.js'
import { Histogram, OVERFLOW, type BucketsSnapshot, type HistogramConfig, type NativeBuckets, type NativeConfig, type NativeSnapshot } from '../../src/metrics/index.js'
import { NativeScale } from '../../src/metrics/native-scale.js'

const SCHEMAS = Array.from({ length: 13 }, (_, i) => i - 4)
const THRESHOLD = 2 ** -128

/** Floats greater than 0: all bit patterns alike, what a service observes, and the surroundings of bounds. */
const anyFloat = fc.oneof(
  fc.double({ min: Number.MIN_VALUE, max: Number.MAX_VALUE, noNaN: true }),
  fc.double({ min: 1e-6, max: 1e4, noNaN: true }),
  fc.tuple(fc.integer({ min: -1070, max: 1022 }), fc.integer({ min: 0, max: 255 }), fc.integer({ min: -4, max: 4 })).map(([exponent, fraction, steps]) => stepped(2 ** (exponent + fraction / 256), steps))
).filter((value) => value > 0 && value < Infinity)

/** Zero, and what lies no further apart than 20 powers of two. */
const anyQuantity = fc.oneof(fc.constant(0), fc.double({ min: 1e-3, max: 1e3, noNaN: true }), fc.double({ min: -1e3, max: -1e-3, noNaN: true }))

const anyObservation = fc.oneof(
  { arbitrary: fc.constant(0), weight: 1 },
  { arbitrary: anyFloat, weight: 2 },
  { arbitrary: anyFloat.map((value) => -value), weight: 2 },
  { arbitrary: fc.double({ min: -10, max: 10, noNaN: true }), weight: 6 }
)

t.test('a value is in the bucket (base^(i-1), base^i], exactly, at every schema', async (t) => {
  for (const schema of SCHEMAS) {
    const wrong = (value: number) => !isIn(NativeScale.of(schema).indexOf(value), value, schema)
    const powers = Array.from({ length: 1074 + 1024 }, (_, i) => 2 ** (i - 1074))
    t.same(powers.filter((value) => NativeScale.of(schema).indexOf(value) !== Math.ceil(Math.log2(value) * 2 ** schema)), [], `powers of two are bounds, schema ${schema}`)
    t.same([Number.MIN_VALUE, 3 * Number.MIN_VALUE, 2 ** -1022, (1 - 2 ** -53) * 2 ** -1022, 1 + 2 ** -52, 1 - 2 ** -53, Number.MAX_VALUE].filter(wrong), [], `the ends of the floats, schema ${schema}`)
    t.same(bounds(schema).flatMap((bound) => neighbours(bound, 2)).filter(wrong), [], `what stands next to each bound between 1 and 2, schema ${schema}`)
  }
  fc.assert(fc.property(anyFloat, fc.constantFrom(...SCHEMAS), (value, schema) => isIn(NativeScale.of(schema).indexOf(value), value, schema)), { numRuns: 2000 })
})

t.test('every observation is counted once, positive, negative or zero, and those of a bucket are what stands in it', async (t) => {
  fc.assert(fc.property(fc.array(anyObservation, { maxLength: 100 }), fc.constantFrom(...SCHEMAS), (values, schema) => {
    const native = observed(values, { growthFactor: factorOf(schema), maxBuckets: 10_000 })
    const expected = { zero: 0, positive: new Map<number, number>(), negative: new Map<number, number>() }
    for (const value of values) {
      if (Math.abs(value) <= THRESHOLD) expected.zero++
      else count(value > 0 ? expected.positive : expected.negative, referenceIndex(Math.abs(value), native.schema))
    }
    assert.equal(native.zeroCount, expected.zero)
    assert(isDeepStrictEqual(populated(native.positive), expected.positive))
    assert(isDeepStrictEqual(populated(native.negative), expected.negative))
    for (const { counts } of [native.positive, native.negative]) assert(counts[0] !== 0 && counts.at(-1) !== 0, 'no empty bucket at an end')
  }), { numRuns: 150 })
})

// A counterexample is not made smaller: with this many values that takes minutes.
t.test('where the budget is spent, the buckets become wider: as often as needed, and as if they always had been', async (t) => {
  let lowered = 0
  fc.assert(fc.property(fc.array(anyObservation, { maxLength: 100, size: 'max' }), fc.constantFrom(...SCHEMAS), fc.integer({ min: 1, max: 60 }), (values, schema, maxBuckets) => {
    const native = observed(values, { growthFactor: factorOf(schema), maxBuckets })
    const size = populated(native.positive).size + populated(native.negative).size
    assert.equal(total(native), values.length)
    if (native.schema > -4) assert(size <= maxBuckets)
    const born = observed(values, { growthFactor: factorOf(native.schema), maxBuckets: 10_000 })
    assert(isDeepStrictEqual(native, born), 'the same as a histogram that was born with the wider buckets')
    if (native.schema === schema) return
    lowered++
    const finer = observed(values, { growthFactor: factorOf(native.schema + 1), maxBuckets: 10_000 })
    assert(finer.schema === native.schema || populated(finer.positive).size + populated(finer.negative).size > maxBuckets, 'no wider than needed')
  }), { numRuns: 150, endOnFailure: true })
  t.ok(lowered > 20, `${lowered} times`)
})

t.test('a populated bucket takes more when the budget is spent', async (t) => {
  const native = observed([1, 2, 4, 4, 2, 1, 0], { growthFactor: 2, maxBuckets: 3 })
  t.same([native.schema, [...native.positive.counts], native.zeroCount], [0, [2, 2, 2], 1])
  const below = observed([-1, -2, -4, -4, -2, -1], { growthFactor: 2, maxBuckets: 3 })
  t.same([below.schema, [...below.negative.counts]], [0, [2, 2, 2]])
  t.equal(observed(new Array<number>(200).fill(-1), { maxBuckets: 2 }).schema, 3, 'and one bucket counts once')
  const wider = observed([1, 2, 4, 8, -8], { growthFactor: 2, maxBuckets: 4 })
  t.same([wider.schema, [...wider.positive.counts], [...wider.negative.counts]], [-1, [1, 2, 1], [1]], 'both signs share it: (1/4, 1], (1, 4], (4, 16]')
})

t.test('values far from each other make buckets wider instead of taking megabytes', async (t) => {
  const native = observed([1e-30, 1e30], {})
  t.equal(native.schema, 3, 'a billion billion billions is not far')
  const far = observed([1e-30, 1e30, -1e-30, -1e30], { growthFactor: 1.002, maxBuckets: 160 })
  t.equal(far.schema, 4, '199 powers of two are 4096 buckets at most')
  t.ok(far.positive.counts.length <= 4096 && far.negative.counts.length <= 4096)
  t.equal(total(far), 4)
})

t.test('all floats there are fit the default budget', async (t) => {
  const values: number[] = []
  for (let exponent = -1074; exponent < 1024; exponent++) values.push(1.5 * 2 ** exponent, -1.5 * 2 ** exponent, 2 ** exponent, -(2 ** exponent))
  const native = observed(values, {})
  t.equal(native.schema, -4)
  t.equal(populated(native.positive).size + populated(native.negative).size, 144)
  t.equal(total(native), values.length)
  const unlucky = observed(values, { zeroThreshold: 0, maxBuckets: 1 })
  t.equal(unlucky.schema, -4, 'at the coarsest schema a budget that is too small is exceeded')
  t.equal(populated(unlucky.positive).size + populated(unlucky.negative).size, 264)
  t.equal(total(unlucky), values.length)
})

t.test('quantiles are as near as the growth factor promises', async (t) => {
  for (const [growthFactor, base] of [[undefined, 1.0905077326652577], [1.01, 2 ** 2 ** -7], [2, 2], [1e9, 65536]] as const) {
    fc.assert(fc.property(fc.array(anyQuantity, { minLength: 1, maxLength: 150 }), fc.double({ min: 0.001, max: 1, noNaN: true }), (values, q) => {
      const native = observed(values, { growthFactor, maxBuckets: 400 })
      const truth = [...values].sort((a, b) => a - b)[Math.ceil(q * values.length) - 1] as number
      const estimate = quantile(native, q)
      if (Math.abs(truth) <= THRESHOLD) return assert.equal(estimate, 0)
      const ratio = estimate / truth
      assert(ratio <= base * (1 + 1e-9) && ratio >= 1 / base * (1 - 1e-9), `${estimate} for ${truth}`)
    }), { numRuns: 50 })
  }
})

t.test('the zero bucket takes both its ends', async (t) => {
  const native = observed([0, -0, THRESHOLD, -THRESHOLD, THRESHOLD * 1.01, -THRESHOLD * 1.01], {})
  t.equal(native.zeroThreshold, THRESHOLD)
  t.same([native.zeroCount, native.positive.offset, [...native.positive.counts], [...native.negative.counts]], [4, -128 * 8 + 1, [1], [1]])
  t.equal(observed([0.5, -0.5, 0.51], { zeroThreshold: 0.5 }).zeroCount, 2)
  const exact = observed([0, Number.MIN_VALUE], { zeroThreshold: 0 })
  t.same([exact.zeroCount, exact.positive.offset], [1, -1074 * 8])
})

t.test('a snapshot stays as it was, whatever is observed or removed after it', async (t) => {
  const histogram = make({ labelNames: ['a'], native: { maxBuckets: 4 } })
  for (const a of ['1', '2', '3']) histogram.observe({ a }, Number(a))
  const before = histogram.snapshot().series()
  const later = histogram.snapshot()
  const expected = JSON.stringify([...before])
  for (let i = 0; i < 100; i++) histogram.observe({ a: '1' }, -i)
  for (let i = 0; i < 3; i++) histogram.observe({ a: '3' }, 3)
  histogram.remove({ a: '2' })
  histogram.observe({ a: 'new' }, 1e9)
  t.equal(JSON.stringify([...later.series()]), expected)
  const { bounds, series } = histogram.snapshot()
  for (const { buckets } of series()) {
    const { counts, at, native } = buckets as BucketsSnapshot
    t.equal(total(native as NativeSnapshot), sum(Array.from(counts).slice(at, at + bounds.length + 1)), 'native and classic buckets count the same')
  }
})

t.test('what is removed, reset or put back to zero begins again, at the resolution it began with', async (t) => {
  const histogram = make({ labelNames: ['a'], native: { growthFactor: 2, maxBuckets: 2 } })
  const nothing = { schema: 0, zeroThreshold: THRESHOLD, zeroCount: 0, positive: { offset: 0, counts: new Float64Array() }, negative: { offset: 0, counts: new Float64Array() } }
  const child = histogram.labels('old')
  const use = () => { for (const value of [0, 1, 1000, -1, -1000]) child.observe(value) }
  use()
  t.not(nativeOf(histogram, 'old')?.schema, 0)
  histogram.remove('old')
  histogram.zero({ a: 'heir' })
  t.same(nativeOf(histogram, 'heir'), nothing, 'the next owner of the place has nothing of the last')
  use()
  histogram.zero({ a: 'old' })
  t.same(nativeOf(histogram, 'old'), nothing)
  use()
  histogram.reset()
  t.same([...histogram.snapshot().series()], [])
  child.observe(4)
  t.same(nativeOf(histogram, 'old'), { ...nothing, positive: { offset: 2, counts: Float64Array.of(1) } })

  const bare = make({ native: {} })
  t.equal(nativeOf(bare)?.zeroCount, 0, 'one without labels is there before its first observation')
  bare.observe(1)
  t.same(nativeOf(bare)?.positive, { offset: 0, counts: Float64Array.of(1) })
})

t.test('the overflow series has native buckets too', async (t) => {
  const histogram = make({ labelNames: ['a'], maxSeries: 1, native: {} })
  for (const a of ['1', '2', '3']) histogram.observe({ a }, 1)
  t.same(nativeOf(histogram, OVERFLOW)?.positive.counts, Float64Array.of(2))
})

t.test('a value that is refused is in no bucket', async (t) => {
  const histogram = make({ native: {} })
  for (const value of [NaN, Infinity, -Infinity]) t.throws(() => histogram.observe(value), TypeError)
  t.equal(total(nativeOf(histogram) as NativeSnapshot), 0)
})

t.test('a histogram with native buckets alone has only +Inf elsewhere', async (t) => {
  const registry = new Registry()
  const histogram = make({ labelNames: ['a'], buckets: [], native: {}, registers: [registry] })
  histogram.observe({ a: '1' }, 3)
  histogram.observe({ a: '1' }, 0.25)
  t.equal(await registry.metrics(), [
    '# HELP native_seconds Of the test.',
    '# TYPE native_seconds histogram',
    'native_seconds_bucket{le="+Inf",a="1"} 2',
    'native_seconds_sum{a="1"} 3.25',
    'native_seconds_count{a="1"} 2', ''].join('\n'))
  const { bounds, series } = histogram.snapshot()
  t.same(bounds, [])
  const [only] = series()
  t.same([only?.buckets?.counts[only.buckets.at], total(only?.buckets?.native as NativeSnapshot)], [2, 2])
})

t.test('a histogram without native has none', async (t) => {
  const histogram = make({})
  histogram.observe(1)
  t.equal(nativeOf(histogram), undefined)
})

t.test("the growth factor chooses the schema as Prometheus' Go client does", async (t) => {
  const chosen = [1.00001, 2 ** 2 ** -8, 1.003, 1.005, 1.01, 1.02, 1.03, 1.05, 1.1, 1.2, 1.5, 2, 3, 4, 16, 100, 256, 65535, 65536, 1e300]
  t.same(chosen.map((growthFactor) => observed([1], { growthFactor }).schema), [8, 8, 8, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0, -1, -2, -2, -3, -3, -4, -4])
  t.equal(observed([1], {}).schema, 3)
})

t.test('a configuration that cannot be is refused', async (t) => {
  const registry = new Registry()
  const refused = (native: unknown, message: string) => t.throws(() => make({ native: native as NativeConfig, registers: [registry] }), { message }, message)
  for (const factor of [1, 0, -2, NaN, Infinity, '2', null]) {
    refused({ growthFactor: factor }, `native.growthFactor of 'native_seconds' must be a finite number greater than 1, got ${typeof factor === 'string' ? 'a string of 1 character' : factor}`)
  }
  for (const maxBuckets of [0, -1, 1.5, NaN, Infinity]) refused({ maxBuckets }, `native.maxBuckets of 'native_seconds' must be a whole number from 1 on, got ${maxBuckets}`)
  for (const zeroThreshold of [-1, NaN, Infinity]) refused({ zeroThreshold }, `native.zeroThreshold of 'native_seconds' must be a finite number from 0 on, got ${zeroThreshold}`)
  for (const native of [true, 1.1, null]) refused(native, `native of 'native_seconds' must be an object, got ${native}`)
  t.equal(registry.getSingleMetric('native_seconds'), undefined)
})

t.test('nativeHistograms of a scope makes the histograms of the catalogue native', async (t) => {
  const of = (nativeHistograms: Scope['nativeHistograms']) => {
    const scope: Scope = { registry: new Registry(), nativeHistograms }
    metric('http_requests_received_total', scope).inc()
    const histogram = metric('db_query_duration_seconds', scope)
    histogram.labels('default', 'postgresql', 'select').observe(0.1)
    const { bounds, series } = histogram.snapshot()
    return [bounds.length, ...[...series()].map(({ buckets }) => buckets?.native?.schema)]
  }
  t.same(of(undefined), [9, undefined])
  t.same(of(false), [9, undefined])
  t.same(of(true), [9, 3])
  t.same(of(2), [9, 0])
  t.same(of({}), [9, 3])
  t.same(of({ growthFactor: 4 }), [9, -1])
  t.same(of({ growthFactor: 4, classicBuckets: true }), [9, -1])
  t.same(of({ classicBuckets: false }), [0, 3])
  const scope: Scope = { registry: new Registry(), nativeHistograms: { classicBuckets: false } }
  t.same(metric('http_request_size_bytes', scope, { buckets: [1, 2] }).buckets, [], 'even where buckets were given')
})

t.test('two scopes that disagree about native histograms in one registry are in conflict', async (t) => {
  const registry = new Registry()
  const family = metric('db_query_duration_seconds', { registry, nativeHistograms: true })
  t.equal(metric('db_query_duration_seconds', { registry, nativeHistograms: 1.1 }), family, 'the same said otherwise is the same')
  const conflict = (nativeHistograms: Scope['nativeHistograms'], expected: string) => t.throws(() => metric('db_query_duration_seconds', { registry, nativeHistograms }), {
    code: 'FP_ERR_METRIC_CONFLICT',
    message: "FP_ERR_METRIC_CONFLICT: the registry already holds 'db_query_duration_seconds' as histogram(alias, vendor, operation) with buckets 0.001 0.005 0.01 0.05 0.1 0.5 1 5 10 " +
      `and native buckets of schema 3, expected histogram(alias, vendor, operation) with ${expected}; give this one a 'prefix' or a 'registry' of its own, or remove the other`
  })
  conflict(undefined, 'buckets 0.001 0.005 0.01 0.05 0.1 0.5 1 5 10')
  conflict(2, 'buckets 0.001 0.005 0.01 0.05 0.1 0.5 1 5 10 and native buckets of schema 0')
  conflict({ classicBuckets: false }, 'native buckets of schema 3')
  t.not(make({ native: { maxBuckets: 20 } }).shape(), make({ native: {} }).shape())
  t.not(make({ native: { zeroThreshold: 0 } }).shape(), make({ native: {} }).shape())
})

function make<T extends string = string> (config: Partial<HistogramConfig<T>>): Histogram<T> {
  return new Histogram<T>({ name: 'native_seconds', help: 'Of the test.', registers: [], ...config })
}

function observed (values: readonly number[], native: NativeConfig): NativeSnapshot {
  const histogram = make({ native, labelNames: ['a'] })
  histogram.zero({ a: 'x' })
  const child = histogram.labels('x')
  for (const value of values) child.observe(value)
  return nativeOf(histogram, 'x') as NativeSnapshot
}

/** The native buckets of the series whose only label has this value, or of the only one. */
function nativeOf (histogram: Histogram, value?: string): NativeSnapshot | undefined {
  for (const { labels, buckets } of histogram.snapshot().series()) if (labels[0]?.value === value) return buckets?.native && written(buckets.native)
  throw new Error(`no series ${value}`)
}

/** As data that can be compared. */
function written ({ schema, zeroThreshold, zeroCount, positive, negative }: NativeSnapshot): NativeSnapshot {
  return { schema, zeroThreshold, zeroCount, positive, negative }
}

function factorOf (schema: number): number {
  return 2 ** 2 ** -schema
}

/** Whether base^(index-1) < value <= base^index, in whole numbers of any length. */
function isIn (index: number, value: number, schema: number): boolean {
  return !isAtMost(value, index - 1, schema) && isAtMost(value, index, schema)
}

/** Whether value <= 2^(index / 2^schema): fraction^n * 2^(exponent * n) <= 2^index, n being 2^schema. */
function isAtMost (value: number, index: number, schema: number): boolean {
  let exponent = 0
  while (!Number.isInteger(value)) {
    value *= 2
    exponent--
  }
  const n = 2 ** Math.max(schema, 0)
  const power = index * 2 ** Math.max(-schema, 0) - exponent * n
  return power >= 0 && BigInt(value) ** BigInt(n) <= 1n << BigInt(power)
}

/** Found by a logarithm, and put right by exact comparison. */
function referenceIndex (value: number, schema: number): number {
  let index = Math.ceil(Math.log2(value) * 2 ** schema)
  while (!isAtMost(value, index, schema)) index++
  while (isAtMost(value, index - 1, schema)) index--
  return index
}

/** The bounds from 1 to 2 of a schema, nearly. */
function bounds (schema: number): number[] {
  const n = 2 ** Math.max(schema, 0)
  return Array.from({ length: n + 1 }, (_, i) => 2 ** (i / n))
}

function neighbours (value: number, distance: number): number[] {
  return Array.from({ length: 2 * distance + 1 }, (_, i) => stepped(value, i - distance))
}

/** The float that is some steps away. */
function stepped (value: number, steps: number): number {
  const bits = new BigInt64Array(new Float64Array([value]).buffer)
  bits[0] = (bits[0] as bigint) + BigInt(steps)
  return new Float64Array(bits.buffer)[0] as number
}

function count (counts: Map<number, number>, index: number): void {
  counts.set(index, (counts.get(index) ?? 0) + 1)
}

function populated ({ offset, counts }: NativeBuckets): Map<number, number> {
  return new Map([...counts].map((count, i): [number, number] => [offset + i, count]).filter(([, count]) => count !== 0))
}

function sum (counts: ArrayLike<number>): number {
  return Array.from(counts).reduce((sum, count) => sum + count, 0)
}

function total ({ zeroCount, positive, negative }: NativeSnapshot): number {
  return zeroCount + sum(positive.counts) + sum(negative.counts)
}

/** As Prometheus' histogram_quantile: the bucket that holds the rank, and in it exponentially between its bounds. */
function quantile ({ schema, zeroCount, positive, negative }: NativeSnapshot, q: number): number {
  const bound = (index: number) => 2 ** (index / 2 ** schema)
  const ordered = [
    ...[...populated(negative)].sort(([a], [b]) => b - a).map(([index, count]) => ({ from: -bound(index), to: -bound(index - 1), count })),
    { from: 0, to: 0, count: zeroCount },
    ...[...populated(positive)].sort(([a], [b]) => a - b).map(([index, count]) => ({ from: bound(index - 1), to: bound(index), count }))
  ]
  let rank = Math.ceil(q * ordered.reduce((total, { count }) => total + count, 0))
  for (const { from, to, count } of ordered) {
    if (rank <= count) return from === 0 ? 0 : from * (to / from) ** (rank / count)
    rank -= count
  }
  throw new Error('no such rank')
}
