import { Registry } from 'prom-client'
import t, { type Test } from 'tap'
import { Histogram, type BucketsSnapshot, type HistogramConfig } from '../../src/metrics/index.js'

const HOUR = 3600_000

function make<T extends string> (config: Partial<HistogramConfig<T>>): Histogram<T> {
  return new Histogram<T>({ name: 'native_seconds', help: 'Of the test.', registers: [], ...config })
}

/** A clock that a test sets: what began, and how old an exemplar is, is read from it. */
function clockAt (t: Test, start: number): { now: number } {
  const clock = { now: start }
  const { now } = Date
  t.teardown(() => { Date.now = now })
  Date.now = () => clock.now
  return clock
}

t.test('a series whose buckets became wider starts anew after an hour, when a page has read it', async (t) => {
  const clock = clockAt(t, 1_800_000_000_000)
  const registry = new Registry()
  const histogram = make({ labelNames: ['a'], native: { growthFactor: 1.1, maxBuckets: 4 }, buckets: [1], registers: [registry], enableExemplars: true })
  const observe = (a: string, value: number) => histogram.observe({ labels: { a }, value, exemplarLabels: { trace_id: 'x' } })
  const read = () => new Map([...histogram.snapshot().series()].map(({ labels, value, created, buckets }) => {
    const { counts, at, native, exemplars } = buckets as BucketsSnapshot
    const total = (counts[at] as number) + (counts[at + 1] as number)
    return [labels[0]?.value, { schema: native?.schema, count: total, native: native?.positive.counts.reduce((sum, count) => sum + count, 0), sum: value, created, exemplars: exemplars?.filter(Boolean).length ?? 0 }] as const
  }))
  for (const value of [0.001, 1, 1000, 1e6, 1e9]) observe('wide', value)
  observe('narrow', 1)
  const wide = read().get('wide')
  t.match(wide, { count: 5, native: 5, created: 1_800_000_000 })
  t.ok((wide?.schema ?? 9) < 3, 'it is coarser now')

  clock.now += HOUR - 1
  t.same(read().get('wide')?.count, 5, 'it is too young')
  observe('wide', 2)
  clock.now += 1
  const last = read()
  t.match(last.get('wide'), { count: 6, native: 6 }, 'the page that finds it old enough has all of it')
  const anew = read()
  t.same(anew.get('wide'), { schema: 3, count: 0, native: 0, sum: 0, created: 1_800_003_600, exemplars: 0 }, 'and the next one what came since, from a start of its own')
  t.same({ ...anew.get('narrow'), exemplars: 1 }, { ...last.get('narrow'), exemplars: 1 }, 'a series that is as fine as it was goes on')
  observe('wide', 2)
  t.match(read().get('wide'), { schema: 3, count: 1, native: 1, sum: 2 })
  t.match(await registry.metrics(), 'native_seconds_count{a="wide"} 1\n')
})

t.test('resetAfter is a time of the user\'s, or never', async (t) => {
  const clock = clockAt(t, 1_800_000_000_000)
  const wideAfter = (resetAfter: number | undefined, milliseconds: number) => {
    const histogram = make({ native: { maxBuckets: 1, resetAfter } })
    for (const value of [1, 100]) histogram.observe(value)
    clock.now += milliseconds
    histogram.snapshot()
    return [...histogram.snapshot().series()][0]?.buckets?.native?.schema !== 3
  }
  t.equal(wideAfter(60, 60_000), false)
  t.equal(wideAfter(60, 59_999), true)
  t.equal(wideAfter(Infinity, 1e12), true)
  for (const resetAfter of [0, -1, NaN]) t.throws(() => make({ native: { resetAfter } }), { message: `native.resetAfter of 'native_seconds' must be seconds, more than 0, or Infinity, got ${resetAfter}` })
})

t.test('exemplars of native buckets are ten, spread over the values, and expire', async (t) => {
  const clock = clockAt(t, 1_800_000_000_000)
  const histogram = make({ labelNames: ['a'], buckets: [], native: {} })
  const child = histogram.labels('x')
  const shown = () => ([...histogram.snapshot().series()][0]?.buckets?.exemplars ?? []).flatMap((exemplar) => exemplar === undefined ? [] : [exemplar.value])
  for (const value of [-10, -0.1, 0, 1e-6, 0.001, 0.1, 1, 10, 1000]) child.observe(value, { trace_id: `t${value}` })
  t.same(shown(), [-10, -0.1, 0, 1e-6, 0.001, 0.1, 1, 10, 1000])
  clock.now += 1000
  for (let i = 0; i < 1000; i++) child.observe(0.1 + i / 1e6, { trace_id: `many${i}` })
  const spread = shown()
  t.equal(spread.length, 10)
  for (const far of [-10, -0.1, 0, 1e-6, 0.001, 1, 10, 1000]) t.ok(spread.includes(far), `${far} stays, however many are close together elsewhere`)
  t.ok(spread.includes(0.100999), 'the newest of those that are close together')
  t.same(spread, [...spread].sort((a, b) => a - b))

  clock.now += 299_500
  t.same(shown().filter((value) => value < 0.1 || value > 0.2), [], 'after five minutes an exemplar is not shown')
  t.equal(shown().length, 2)
  child.observe(77, { trace_id: 'new' })
  t.ok(shown().includes(77))
  clock.now += 1_000
  t.same(shown(), [77])

  const both = make({ labelNames: ['a'], buckets: [1], native: {} })
  both.labels('x').observe(0.5, { trace_id: 'low' })
  clock.now += 200_000
  both.labels('x').observe(2, { trace_id: 'high' })
  const [low, high] = [...both.snapshot().series()][0]?.buckets?.exemplars ?? []
  t.same([low?.value, high?.value], [0.5, 2], 'one a classic bucket, where there are any')
  clock.now += 100_000
  t.same([...both.snapshot().series()][0]?.buckets?.exemplars?.map((exemplar) => exemplar?.value), [undefined, 2])
  const classic = make({ labelNames: ['a'], buckets: [1] })
  classic.labels('x').observe(0.5, { trace_id: 'low' })
  clock.now += HOUR
  t.same([...classic.snapshot().series()][0]?.buckets?.exemplars?.map((exemplar) => exemplar?.value), [0.5], 'those of a classic histogram stay until the next one')
})
