import * as prometheusIo from '@prometheus-io/client'
import * as platformatic from '@platformatic/prom-client'
import * as promClient from 'prom-client'
import t, { type Test } from 'tap'
import { encodeOpenMetrics } from '../../src/exposition/openmetrics.js'
import { encodeText } from '../../src/exposition/text.js'
import { Counter, Gauge, Histogram, type FamilySnapshot, type RegistryLike } from '../../src/metrics/index.js'
import { MeetingPlace } from '../../src/processes/meeting-place.js'
import { Processes } from '../../src/processes/index.js'
import { temporaryFolder } from '../support/temporary-folder.js'

/*
 * What several processes have becomes one. Each registry here is a process' own.
 */
interface Together {
  readonly families: readonly FamilySnapshot[]
  readonly failed: ReadonlyArray<readonly [metric: string, message: string]>
  readonly text: string
}

/** The page of the last registry, which is of the youngest process. */
async function together (t: Test, ...registries: RegistryLike[]): Promise<Together> {
  const place = new MeetingPlace(await temporaryFolder(t, 'merge'))
  const failed: Array<[string, string]> = []
  const observer = { failed: (metric: string, error: unknown) => { failed.push([metric, (error as Error).message]) }, counted () {}, obstacle: (error: unknown) => { throw error } }
  let last: Processes | undefined
  for (const registry of registries) {
    last = new Processes([registry], place, 100_000, '', { metrics_processes: false, metrics_contribution_oldest_seconds: false }, observer)
    await last.begin()
    const { end } = { end: last.end.bind(last) }
    t.teardown(end)
    // Of two that begin in one millisecond neither is the younger.
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
  const families = await last?.collect(undefined, 10_000) ?? []
  return { families, failed, text: Buffer.concat([...encodeText(families)]).toString() }
}

const registry = () => new promClient.Registry()
const lines = (text: string) => text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))

t.test('counters and histograms are summed, and of gauges each aggregator is what it is at prom-client', async (t) => {
  const registries = [1, 2, 6].map((n) => {
    const own = registry()
    const registers = [own]
    new Counter({ name: 'walks_total', help: 'x', labelNames: ['dog'], registers }).inc({ dog: n === 6 ? 'b' : 'a' }, n)
    const distance = new Histogram({ name: 'distance', help: 'x', buckets: [1, 5], registers })
    for (let i = 0; i < n; i++) distance.observe(n)
    for (const aggregator of ['sum', 'min', 'max', 'average', 'omit'] as const) new Gauge({ name: `dogs_${aggregator}`, help: 'x', aggregator, registers }).set(n)
    new Gauge({ name: 'info', help: 'x', aggregator: 'first', labelNames: ['version'], registers }).set({ version: '1' }, 1)
    return own
  })
  const { text, failed } = await together(t, ...registries)
  t.same(lines(text), [
    'walks_total{dog="a"} 3', 'walks_total{dog="b"} 6',
    'distance_bucket{le="1.0"} 1', 'distance_bucket{le="5.0"} 3', 'distance_bucket{le="+Inf"} 9', 'distance_sum 41', 'distance_count 9',
    'dogs_sum 9', 'dogs_min 1', 'dogs_max 6', 'dogs_average 3', 'info{version="1"} 1'
  ])
  t.same(failed, [])
})

t.test('what prom-client and its relatives have is in it, with what only collect callbacks know', async (t) => {
  for (const [name, library] of Object.entries({ promClient, prometheusIo, platformatic }) as unknown as Array<[string, typeof promClient]>) {
    const registries = [1, 2].map((n) => {
      const own = new library.Registry()
      const registers = [own]
      new library.Counter({ name: 'walks_total', help: 'x', labelNames: ['dog'], registers }).inc({ dog: 'a' }, n)
      new library.Histogram({ name: 'distance', help: 'x', buckets: [1, 5], registers }).observe(n)
      own.registerMetric(new library.Gauge({ name: 'asked', help: 'x', registers: [], collect () { this.set(n) } }))
      new library.Gauge({ name: 'highest', help: 'x', registers, aggregator: 'max' }).set(n)
      const pace = new library.Summary({ name: 'pace', help: 'x', percentiles: [0.5], registers })
      pace.observe(n)
      return own
    })
    const { text, failed } = await together(t, ...registries as unknown as RegistryLike[])
    t.same(lines(text), [
      'walks_total{dog="a"} 3', 'distance_bucket{le="1.0"} 1', 'distance_bucket{le="5.0"} 2', 'distance_bucket{le="+Inf"} 2', 'distance_sum 3', 'distance_count 2',
      'asked 3', 'highest 2', 'pace_sum 3', 'pace_count 2'
    ], name)
    t.same(failed, [])
  }
})

t.test('the runtime has a series for each process, and of what is the same in all of them one', async (t) => {
  const registries = [1, 2].map(() => {
    const own = registry()
    promClient.collectDefaultMetrics({ register: own })
    return own
  })
  const { text } = await together(t, ...registries)
  const of = (name: string) => lines(text).filter((line) => line.startsWith(name)).map((line) => line.replace(/ [^ ]+$/, ''))
  t.same(of('process_resident_memory_bytes').sort(), ['process_resident_memory_bytes{process="0"}', 'process_resident_memory_bytes{process="1"}'])
  t.same(of('nodejs_version_info').length, 1)
  t.same(of('process_cpu_seconds_total'), ['process_cpu_seconds_total'])
  t.same(new Set(of('nodejs_active_handles_total').map((line) => /process="(\d)"/.exec(line)?.[1])), new Set(['0', '1']))
})

t.test('exemplars are the newest, start times the earliest', async (t) => {
  const clock = Date.now
  t.teardown(() => { Date.now = clock })
  const registries = [3, 1, 2].map((n) => {
    Date.now = () => n * 1_000_000
    const own = registry()
    const walks = new Counter({ name: 'walks_total', help: 'x', enableExemplars: true, registers: [own] })
    walks.inc({ value: 1, exemplarLabels: { trace: String(n) } })
    new Histogram({ name: 'distance', help: 'x', buckets: [1], registers: [own] }).labels().observe(0.5, { trace: String(n) })
    Date.now = clock
    return own
  })
  const { families } = await together(t, ...registries)
  const page = Buffer.concat([...encodeOpenMetrics(families, true)]).toString()
  t.match(page, 'walks_total 3 # {trace="3"} 1 3000')
  t.match(page, 'distance_bucket{le="1.0"} 3 # {trace="3"} 0.5 3000')
  t.match(page, 'walks_created 1000')
  t.match(page, 'distance_created 1000')
})

t.test('native histograms of different resolution become one of the coarser, with the wider zero bucket', async (t) => {
  const registries = [{ growthFactor: 1.1, zeroThreshold: 2 ** -10 }, { growthFactor: 2, zeroThreshold: 0.01 }, { growthFactor: 1.5, zeroThreshold: 0 }].map((native, n) => {
    const own = registry()
    const histogram = new Histogram({ name: 'native', help: 'x', buckets: [], native, registers: [own] })
    for (const value of [0, 0.005, -0.005, 1, 2, 3, 100, -7]) histogram.observe(value * (n + 1))
    return own
  })
  const { families } = await together(t, ...registries)
  const [series] = [...families.find(({ name }) => name === 'native')?.series() ?? []]
  const native = series?.buckets?.native
  t.equal(native?.schema, 0)
  t.equal(native?.zeroThreshold, 2 ** -6, 'to the end of a bucket that it would cut in two')
  const all = (of: ArrayLike<number> = []) => Array.from(of).reduce((sum, count) => sum + count, 0)
  t.equal(native?.zeroCount, 9, 'all that is nearer to 0')
  t.equal(all(native?.positive.counts), 12)
  t.equal(all(native?.negative.counts), 3)
  t.equal(series?.buckets?.counts[series.buckets.at], 24)
})

t.test('beyond maxSeries there is one series for the rest, default labels are labels, and label values of any kind are one', async (t) => {
  const registries = [0, 1, 2].map((n) => {
    const own = registry()
    own.setDefaultLabels({ app: 'dogs' })
    const walks = new Counter({ name: 'walks_total', help: 'x', labelNames: ['dog'], maxSeries: 3, registers: [own] })
    for (const dog of [n, n + 1, String(n)]) walks.inc({ dog })
    new Counter({ name: 'none_total', help: 'x', registers: [own] }).inc()
    return own
  })
  const { text } = await together(t, ...registries)
  t.same(lines(text).filter((line) => line.startsWith('walks')).sort(), [
    'walks_total{dog="0",app="dogs"} 2', 'walks_total{dog="1",app="dogs"} 3', 'walks_total{dog="2",app="dogs"} 3', 'walks_total{dog="__overflow__",app="dogs"} 1'
  ])
  t.match(text, '\nnone_total{app="dogs"} 3\n')
})

t.test('a metric of another library that has no series yet says nothing against that of another process', async (t) => {
  for (const order of [[0, 1, 2], [1, 0, 2], [2, 1, 0]]) {
    const registries = order.map((n) => {
      const own = registry()
      const registers = [own]
      const histogram = new promClient.Histogram({ name: 'pauses', help: 'x', labelNames: ['kind'], buckets: [1, 2], registers })
      const summary = new promClient.Summary({ name: 'pace', help: 'x', labelNames: ['kind'], percentiles: [0.9], registers })
      const counter = new promClient.Counter({ name: 'walks_total', help: 'x', labelNames: ['kind'], registers })
      for (let i = 0; i < n; i++) {
        histogram.observe({ kind: 'minor' }, 0.5)
        summary.observe({ kind: 'minor' }, 0.5)
        counter.inc({ kind: 'minor' })
      }
      return own
    })
    const { text, failed } = await together(t, ...registries)
    t.same(failed, [])
    t.same(lines(text), ['pauses_bucket{kind="minor",le="1.0"} 3', 'pauses_bucket{kind="minor",le="2.0"} 3', 'pauses_bucket{kind="minor",le="+Inf"} 3', 'pauses_sum{kind="minor"} 1.5', 'pauses_count{kind="minor"} 3', 'pace_sum{kind="minor"} 1.5', 'pace_count{kind="minor"} 3', 'walks_total{kind="minor"} 3'])
  }
})

t.test('a count that is not ready in time is as it was, and does not go back', async (t) => {
  let hangs = false
  const own = registry()
  own.registerMetric(new promClient.Counter({ name: 'asked_total', help: 'x', registers: [], collect () { return hangs ? new Promise<void>(() => {}) : this.inc(5) } }))
  own.registerMetric(new promClient.Gauge({ name: 'asked', help: 'x', registers: [], collect () { return hangs ? new Promise<void>(() => {}) : this.set(5) } }))
  own.registerMetric(new Counter({ name: 'own_total', help: 'x', registers: [], collect () { return hangs ? new Promise<void>(() => {}) : this.inc(5) } }) as never)
  const failed: string[] = []
  const observer = { failed: (metric: string) => { failed.push(metric) }, counted () {}, obstacle: (error: unknown) => { throw error } }
  const processes = new Processes([own], new MeetingPlace(await temporaryFolder(t, 'merge')), 100_000, '', { metrics_processes: false, metrics_contribution_oldest_seconds: false }, observer)
  await processes.begin()
  t.teardown(() => processes.end())
  const page = async () => lines(Buffer.concat([...encodeText(await processes.collect(undefined, 400) ?? [])]).toString())
  const before = await page()
  t.same(before.map((line) => line.split(' ')[0]), ['asked_total', 'asked', 'own_total'])
  hangs = true
  t.same(await page(), before.filter((line) => !line.startsWith('asked ')))
  t.same(failed, ['asked_total', 'asked', 'own_total'])
})

t.test('of two metrics of one name that are not the same, that of the younger process is right, and both are told', async (t) => {
  const [old, young] = [registry(), registry()]
  new Histogram({ name: 'distance', help: 'x', buckets: [1, 5], registers: [old] }).observe(1)
  new Counter({ name: 'walks_total', help: 'x', labelNames: ['dog'], registers: [old] }).inc({ dog: 'a' })
  new Gauge({ name: 'dogs', help: 'x', registers: [old] }).set(1)
  new Counter({ name: 'same_total', help: 'x', registers: [old] }).inc()
  new Histogram({ name: 'distance', help: 'x', buckets: [1, 6], registers: [young] }).observe(1)
  new Counter({ name: 'walks_total', help: 'x', labelNames: ['walker'], registers: [young] }).inc({ walker: 'b' })
  new Counter({ name: 'dogs', help: 'x', registers: [young] }).inc(5)
  new Counter({ name: 'same_total', help: 'y', registers: [young] }).inc()
  new Histogram({ name: 'native', help: 'x', buckets: [1, 5], registers: [old] }).observe(1)
  new Histogram({ name: 'native', help: 'x', buckets: [1, 5], native: {}, registers: [young] }).observe(1)
  const { text, failed } = await together(t, old, young)
  t.same(lines(text), ['distance_bucket{le="1.0"} 1', 'distance_bucket{le="6.0"} 1', 'distance_bucket{le="+Inf"} 1', 'distance_sum 1', 'distance_count 1', 'walks_total{walker="b"} 1', 'dogs 5', 'same_total 2', 'native_bucket{le="1.0"} 1', 'native_bucket{le="5.0"} 1', 'native_bucket{le="+Inf"} 1', 'native_sum 1', 'native_count 1'])
  t.same(failed.map(([name]) => name), ['distance', 'walks_total', 'dogs', 'native'])
})
