import fc from 'fast-check'
import { Counter as PromCounter, Registry } from 'prom-client'
import t from 'tap'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { BucketCounts } from '../../src/metrics/bucket-counts.js'
import { Counter, Gauge, Histogram, ObservableCounter, ObservableGauge, OVERFLOW, defaultRegistry, familyIn, isFamily } from '../../src/metrics/index.js'

const registers: [] = []

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

t.test('at most maxSeries label sets, then one overflow series', async (t) => {
  const counter = new Counter({ name: 'capped_total', help: 'Of the test.', labelNames: ['a', 'b'], maxSeries: 2, registers })
  counter.inc({ a: '1', b: '1' })
  const kept = counter.labels('2', '1')
  kept.inc()
  t.equal(counter.dropped, 0)
  counter.inc({ a: '3', b: '1' }, 10)
  counter.labels('4', '1').inc(100)
  kept.inc()
  t.same(await seriesOf(counter), [['1,1', 1], ['2,1', 2], [`${OVERFLOW},${OVERFLOW}`, 110]])
  t.equal(counter.size, 3)
  t.equal(counter.dropped, 2, 'writes that went to the overflow series are counted')

  const late = counter.labels('5', '1')
  late.inc(1000)
  late.inc(1000)
  t.equal(counter.dropped, 4, 'those of a kept child too, each')
  counter.remove('1', '1')
  late.inc(5)
  counter.inc({ a: '6', b: '1' })
  t.same(await seriesOf(counter), [['2,1', 2], ['5,1', 5], [`${OVERFLOW},${OVERFLOW}`, 2111]], 'a kept child gets its own when there is room')

  counter.remove(OVERFLOW, OVERFLOW)
  counter.inc({ a: '7', b: '1' }, 3)
  t.same(await seriesOf(counter), [['2,1', 2], ['5,1', 5], [`${OVERFLOW},${OVERFLOW}`, 3]], 'the overflow series can be removed and starts again')
  counter.reset()
  t.same(await seriesOf(counter), [])
  kept.inc()
  counter.inc({ a: '1', b: '1' })
  t.same(await seriesOf(counter), [['1,1', 1], ['2,1', 1]], 'a reset makes room')
  t.equal(counter.dropped, 6, 'and does not take back what was dropped')
})

t.test('a label set that is called as the overflow series is, is it', async (t) => {
  const counter = new Counter({ name: 'capped_total', help: 'Of the test.', labelNames: ['a'], maxSeries: 1, registers })
  const namesake = counter.labels(OVERFLOW)
  namesake.inc()
  counter.inc({ a: '1' }, 10)
  counter.inc({ a: '2' }, 100)
  namesake.inc(1000)
  t.same(await seriesOf(counter), [['2', 100], [OVERFLOW, 1011]], 'and no longer takes the place of another')
})

t.test('zero() of a histogram that is full leaves the overflow series as it is', async (t) => {
  const histogram = new Histogram({ name: 'capped_seconds', help: 'Of the test.', labelNames: ['a'], buckets: [1], maxSeries: 1, registers })
  histogram.observe({ a: '1' }, 1)
  histogram.observe({ a: '2' }, 5)
  histogram.zero({ a: '3' })
  histogram.zero({ a: '1' })
  const counts = (await histogram.get()).values.filter(({ metricName }) => metricName === 'capped_seconds_count')
  t.same(counts.map(({ labels, value }) => [labels.a, value]), [['1', 0], [OVERFLOW, 1]])
})

t.test('a million distinct label values leave memory flat', async (t) => {
  const histogram = new Histogram({ name: 'attacked_seconds', help: 'Of the test.', labelNames: ['path'], maxSeries: 100, registers })
  const attack = (from: number) => {
    for (let i = from; i < from + 500_000; i++) histogram.observe({ path: `/attack/${i}/${'x'.repeat(100)}` }, 1)
    collectGarbage()
    return process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers
  }
  attack(-500_000)
  const before = attack(0)
  const after = attack(500_000)
  t.equal(histogram.size, 101)
  t.ok(after - before < 2_000_000, `grew by ${after - before} bytes; 500,000 kept values would be 60 MB and more`)
})

t.test('series that come and go leave memory flat', async (t) => {
  const histogram = new Histogram({ name: 'passing_seconds', help: 'Of the test.', labelNames: ['id'], registers })
  const pass = (from: number) => {
    for (let id = from; id < from + 100_000; id++) {
      histogram.observe({ id }, 1)
      histogram.remove({ id })
    }
    collectGarbage()
    return process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers
  }
  const before = pass(0)
  const after = pass(100_000)
  t.ok(after - before < 2_000_000, `grew by ${after - before} bytes; 100,000 places would be 10 MB`)
  t.equal(histogram.size, 0)
  t.equal(histogram.dropped, 0)
})

t.test('no number gets from one series into another, whatever is added, kept, removed and used again', async (t) => {
  const series = fc.nat(30)
  const amount = fc.integer({ min: 1, max: 1000 })
  const operation = fc.oneof(
    { weight: 4, arbitrary: fc.tuple(fc.constant('child' as const), series, amount) },
    { weight: 4, arbitrary: fc.tuple(fc.constant('labels' as const), series, amount) },
    { weight: 4, arbitrary: fc.tuple(fc.constant('remove' as const), series, amount) },
    { weight: 1, arbitrary: fc.tuple(fc.constant('reset' as const), series, amount) }
  )
  await fc.assert(fc.asyncProperty(fc.array(operation, { maxLength: 300, size: 'max' }), fc.integer({ min: 1, max: 40 }), async (operations, maxSeries) => {
    const counter = new Counter({ name: 'subject_total', help: 'Of the test.', labelNames: ['a', 'b'], maxSeries, registers })
    const histogram = new Histogram({ name: 'subject_seconds', help: 'Of the test.', labelNames: ['a', 'b'], buckets: [10, 100], maxSeries, registers })
    const valuesOf = (series: number): [string, string] => [String(series % 5), String(Math.trunc(series / 5))]
    const children = Array.from({ length: 31 }, (_, series) => ({ counter: counter.labels(...valuesOf(series)), histogram: histogram.labels(...valuesOf(series)) }))
    const expected = new Map<string, number[]>()
    for (const [what, series, amount] of operations) {
      const values = valuesOf(series)
      const key = values.join()
      if (what === 'reset') {
        for (const family of [counter, histogram]) family.reset()
        expected.clear()
      } else if (what === 'remove') {
        for (const family of [counter, histogram]) family.remove(...values)
        expected.delete(key)
      } else {
        const own = [...expected.keys()].filter((key) => key !== 'overflow').length
        const target = expected.has(key) || own < maxSeries ? key : 'overflow'
        expected.set(target, [...expected.get(target) ?? [], amount])
        if (what === 'child') {
          children[series]?.counter.inc(amount)
          children[series]?.histogram.observe(amount)
        } else {
          counter.inc({ a: values[0], b: values[1] }, amount)
          histogram.observe({ a: values[0], b: values[1] }, amount)
        }
      }
    }
    const sum = (amounts: number[]) => amounts.reduce((all, one) => all + one, 0)
    const wanted = [...expected].map(([key, amounts]) => {
      const within = (from: number, to: number) => amounts.filter((amount) => amount > from && amount <= to).length
      return [key, sum(amounts), sum(amounts), within(0, 10), within(10, 100), within(100, Infinity)].join(' ')
    })
    const lines = (await histogram.get()).values
    const numbers = (await counter.get()).values.map(({ labels, value }) => {
      const key = labels.a === OVERFLOW ? 'overflow' : [labels.a, labels.b].join()
      const own = lines.filter((line) => line.labels.a === labels.a && line.labels.b === labels.b)
      const sum = own.find(({ metricName }) => metricName?.endsWith('_sum'))?.value
      const buckets = own.filter(({ metricName }) => metricName?.endsWith('_bucket')).map((line, i, all) => line.value - (all[i - 1]?.value ?? 0))
      return [key, value, sum, ...buckets].join(' ')
    })
    if (numbers.sort().join('\n') !== wanted.sort().join('\n')) throw new Error(`got:\n${numbers.join('\n')}\n\nwanted:\n${wanted.join('\n')}`)
  }), { numRuns: 300 })
  t.pass('in 300 random runs')
})

t.test('places grow by pages that never move: a kept child stays right', async (t) => {
  const gauge = new Gauge({ name: 'many', help: 'Of the test.', labelNames: ['id'], registers })
  const children = Array.from({ length: 5000 }, (_, id) => gauge.labels(id))
  for (const [id, child] of children.entries()) child.set(id)
  for (const child of children) child.inc(0.5)
  t.ok((await gauge.get()).values.every(({ labels, value }) => value === Number(labels.id) + 0.5))
  for (let id = 0; id < 5000; id++) if (id % 100 > 0) gauge.remove(id)
  for (let id = 0; id < 5000; id++) if (id % 100 > 0) gauge.set({ id: `later ${id}` }, 1)
  t.equal(Math.max(...[...gauge.series()].map(({ place }) => place)), 4999, 'what comes after takes the places that were left')
  for (const child of children) child.inc()
  t.equal((await gauge.get()).values.filter(({ labels, value }) => !String(labels.id).startsWith('later') && value !== (Number(labels.id) % 100 > 0 ? 1 : Number(labels.id) + 1.5)).length, 0, 'a kept child of a removed label set starts again')
})

t.test('a bucket counts on where its 32 bits end', async (t) => {
  const counts = new BucketCounts(3)
  for (const place of [0, 1]) counts.zero(place)
  counts.page(0)[1] = 2 ** 32 - 2
  for (let i = 0; i < 3; i++) counts.increment(0, 1)
  counts.increment(0, 2)
  t.same([0, 1, 2].map((bucket) => counts.countOf(0, bucket)), [0, 2 ** 32 + 1, 1])
  t.same([0, 1, 2].map((bucket) => counts.countOf(1, bucket)), [0, 0, 0], 'and no other does')
  counts.zero(0)
  t.same([0, 1, 2].map((bucket) => counts.countOf(0, bucket)), [0, 0, 0], 'a place that is taken again carries nothing')
})

t.test('label sets of many labels with many values are as apart as those of few', async (t) => {
  const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']
  const counter = new Counter({ name: 'wide', help: 'Of the test.', labelNames: names, registers })
  const label = (i: number, j: number) => `${(i * 31 + j * 17) % 97}`
  for (let i = 0; i < 1000; i++) counter.inc(Object.fromEntries(names.map((name, j) => [name, label(i, j)])), i)
  const expected = new Map<string, number>()
  for (let i = 0; i < 1000; i++) {
    const key = names.map((_, j) => label(i, j)).join()
    expected.set(key, (expected.get(key) ?? 0) + i)
  }
  t.same(new Map((await counter.get()).values.map(({ labels, value }) => [names.map((name) => labels[name]).join(), value])), expected)
  for (let i = 0; i < 500; i++) counter.remove(...names.map((_, j) => label(i, j)))
  t.equal(counter.size, new Set([...Array(1000).keys()].map((i) => names.map((_, j) => label(i, j)).join())).size - new Set([...Array(500).keys()].map((i) => names.map((_, j) => label(i, j)).join())).size)
})

t.test('a label value is kept as text, not as what was passed for it', async (t) => {
  const gauge = new Gauge({ name: 'subject', help: 'Of the test.', labelNames: ['a'], registers })
  const changing = ['x']
  gauge.set({ a: changing as never }, 1)
  changing[0] = 'y'
  t.same(await seriesOf(gauge), [['x', 1]])
  gauge.remove('x')
  t.same(await seriesOf(gauge), [])
  t.throws(() => gauge.set({ a: Symbol('x') as never }, 1), TypeError, 'refused at the write, as prom-client does, and not at the scrape')
  t.same(await seriesOf(gauge), [])
  gauge.set({ a: 200 }, 1)
  gauge.inc({ a: '200' })
  t.same((await gauge.get()).values, [{ labels: { a: 200 }, value: 2 }], 'a number is shown as it first came')
})

t.test('200 and \'200\' are one value, and each series shows it as it was given to it', async (t) => {
  const labelNames = ['code', 'route']
  const gauge = new Gauge({ name: 'subject', help: 'Of the test.', labelNames, registers })
  const shown = async (family: Gauge | Histogram) => (await family.get()).values.map(({ labels }) => labels)
  const child = gauge.labels(200, '/')
  child.set(1)
  gauge.set({ code: '200', route: '/a' }, 1)
  gauge.inc({ code: '200', route: '/' })
  t.strictSame(await shown(gauge), [{ code: 200, route: '/' }, { code: '200', route: '/a' }], 'inc leaves it')
  gauge.set({ code: '200', route: '/' }, 2)
  t.strictSame((await shown(gauge))[0], { code: '200', route: '/' }, 'set shows its own')
  child.set(3)
  t.strictSame((await shown(gauge))[0], { code: 200, route: '/' }, 'a child\'s too')
  gauge.remove('200', '/')
  gauge.set({ code: 500, route: '/b' }, 1)
  gauge.inc({ code: 200, route: '/a' })
  t.strictSame(await shown(gauge), [{ code: '200', route: '/a' }, { code: 500, route: '/b' }], 'whatever a place held before')

  const histogram = new Histogram({ name: 'subject', help: 'Of the test.', labelNames: ['code'], buckets: [], registers })
  histogram.observe({ code: 200 }, 1)
  histogram.zero({ code: '200' })
  t.strictSame((await shown(histogram)).at(-1), { code: '200' })

  const capped = new Gauge({ name: 'subject', help: 'Of the test.', labelNames: ['code'], maxSeries: 1, registers })
  capped.set({ code: 200 }, 1)
  capped.inc({ code: '200' })
  capped.set({ code: 404 }, 1)
  t.strictSame(await shown(capped), [{ code: 200 }, { code: OVERFLOW }], 'the overflow series keeps its labels')
})

t.test('an observable metric is computed at each read from what is there then', async (t) => {
  const gauge = new ObservableGauge({ name: 'pooled', help: 'Of the test.', labelNames: ['alias'], registers })
  const counter = new ObservableCounter({ name: 'elsewhere_total', help: 'Of the test.', registers })
  let elsewhere = 5
  counter.addCallback((counter) => counter.inc(elsewhere))
  const undo = gauge.addCallback((gauge) => gauge.inc({ alias: 'default' }, 2))
  gauge.addCallback((gauge) => gauge.inc({ alias: 'default' }, 3))
  t.same(await seriesOf(gauge), [['default', 5]])
  undo()
  undo()
  t.same(await seriesOf(gauge), [['default', 3]])
  t.same(await seriesOf(counter), [['', 5]])
  elsewhere = 7
  t.same(await seriesOf(counter), [['', 7]])
})

t.test('a family is made once in a registry', async (t) => {
  const registry = new Registry()
  const config = { name: 'shared_total', help: 'Of the test.', labelNames: ['a'] }
  const first = familyIn(registry, config, Counter)
  first.inc({ a: 'x' })
  t.equal(familyIn(registry, { ...config, help: 'In other words.', maxSeries: 5 }, Counter), first)
  t.equal(registry.getSingleMetric('shared_total') as unknown, first)
  t.not(familyIn(new Registry(), config, Counter), first, 'another in another registry')
  t.ok(isFamily(first))
  t.notOk(isFamily(null) || isFamily({}))
  t.equal(defaultRegistry.getSingleMetric('shared_total'), undefined)
})

t.test('a registry that holds something else under the name is left as it is', async (t) => {
  const registry = new Registry()
  const foreign = new PromCounter({ name: 'foreign_total', help: 'Of the test.', registers: [registry] })
  const family = familyIn(registry, { name: 'ours', help: 'Of the test.', labelNames: ['a'], buckets: [1, 2] }, Histogram)
  const conflict = (message: RegExp) => ({ name: 'MetricsError', code: 'FP_ERR_METRIC_CONFLICT', message })
  t.throws(() => familyIn(registry, { name: 'foreign_total', help: 'Of the test.' }, Counter), conflict(/'foreign_total' as a metric of another library, expected counter\(\); .*'prefix' or a 'registry'/))
  t.throws(() => familyIn(registry, { name: 'ours', help: 'Of the test.', labelNames: ['a'] }, Gauge), conflict(/'ours' as histogram\(a\) with buckets 1 2, expected gauge\(a\)/))
  t.throws(() => familyIn(registry, { name: 'ours', help: 'Of the test.', labelNames: ['b'], buckets: [1, 2] }, Histogram), conflict(/expected histogram\(b\)/))
  t.throws(() => familyIn(registry, { name: 'ours', help: 'Of the test.', labelNames: ['a'], buckets: [1, 3] }, Histogram), conflict(/buckets 1 2, expected .* buckets 1 3/))
  t.throws(() => familyIn(registry, { name: 'not a name', help: 'Of the test.' }, Counter), /Invalid metric name/)
  t.same(registry.getMetricsAsArray() as unknown[], [foreign, family])
})

async function seriesOf (family: Counter | Gauge): Promise<Array<[string, number]>> {
  const { values } = await family.get()
  return values.map(({ labels, value }): [string, number] => [Object.values(labels).join(), value]).sort()
}
