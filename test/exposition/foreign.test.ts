import * as platformatic from '@platformatic/prom-client'
import * as renamed from '@prometheus-io/client'
import * as prom from 'prom-client'
import t from 'tap'
import { buffer } from 'node:stream/consumers'
import { setImmediate } from 'node:timers/promises'
import { Collection } from '../../src/exposition/collection.js'
import { all } from '../../src/exposition/reading.js'
import { Exposition, type Format } from '../../src/exposition/index.js'
import { Counter, Gauge, Histogram, type RegistryLike } from '../../src/metrics/index.js'
import { decoded, type DecodedLabel } from '../support/decoded.js'
import { missing, Parsers, type ParsedFamily, type ParsedSample } from '../support/parsers.js'

const parsers = await Parsers.start(t)
const skip = parsers === undefined && missing

interface Registry extends RegistryLike {
  setDefaultLabels (labels: object): void
}
interface Library {
  Registry: new (contentType?: string) => Registry
  Counter: typeof Counter
  Gauge: typeof Gauge
  Histogram: typeof Histogram
  Summary: new (config: { name: string, help: string, labelNames?: string[], percentiles?: number[], registers: Registry[] }) => { observe (labels: object, value: number): void, reset (): void }
  collectDefaultMetrics (config: { register: Registry }): void
}

// Each library has its own classes of the same behaviour; what the test calls is written down above.
const libraries: Record<string, Library> = {
  'prom-client': prom as unknown as Library,
  '@prometheus-io/client': renamed as unknown as Library,
  '@platformatic/prom-client': platformatic as unknown as Library
}
const OPENMETRICS = 'application/openmetrics-text; version=1.0.0; charset=utf-8'

function exposed (registry: Registry) {
  const failed: Array<[string, unknown]> = []
  const observer = {
    failed: (metric: string, error: unknown) => { failed.push([metric, error]) },
    counted: () => {},
    ended: () => {},
    refused: () => {}
  }
  const exposition = new Exposition(registry, { maxScrapes: 10, created: true }, observer)
  const page = async (format: Format): Promise<Buffer> => {
    const whole = await exposition.scrape({ format, compression: undefined, names: undefined, timeout: undefined }).whole()
    return Buffer.isBuffer(whole) ? whole : buffer(whole as NodeJS.ReadableStream)
  }
  return { exposition, observer, page, failed }
}

async function read (format: 'text' | 'openmetrics', page: string | Buffer): Promise<ParsedFamily[]> {
  return (await parsers?.read(format, page)) ?? []
}

/** Samples in one order; bounds and quantiles as numbers, for the libraries write 1 where OpenMetrics has 1.0. */
function sorted (samples: readonly ParsedSample[]): string[] {
  return samples.map(({ name, labels, value, exemplar }) => JSON.stringify([
    name,
    Object.entries(labels).map(([name, value]) => [name, name === 'le' || name === 'quantile' ? String(Number(value.replace('+Inf', 'Infinity'))) : value]).sort(),
    String(value + 0),
    exemplar
  ])).sort()
}

function comparable (families: readonly ParsedFamily[]) {
  return families.map(({ name, type, help, samples }) => ({ name, type, help, samples: sorted(samples) }))
}

/** A page of protobuf as the lines that the text format would have. */
function samplesOf (page: Buffer): ParsedSample[] {
  return decoded(page).flatMap(({ name, metric }) => metric.flatMap(({ label = [], counter, gauge, untyped, summary, histogram }) => {
    const sample = (suffix: string, value: number | string, more: DecodedLabel[] = []): ParsedSample => ({
      name: name + suffix,
      labels: Object.fromEntries([...label, ...more].map(({ name, value }) => [name, value])),
      value: Number(value),
      exemplar: undefined
    })
    const of = (name: string, bound: number): DecodedLabel[] => [{ name, value: String(bound) }]
    const single = counter ?? gauge ?? untyped
    if (single !== undefined) return [sample('', single.value)]
    const total = histogram ?? summary
    return [
      ...histogram?.bucket?.map(({ upperBound, cumulativeCount }) => sample('_bucket', cumulativeCount, of('le', upperBound))) ?? [],
      ...summary?.quantile?.map(({ quantile, value }) => sample('', value, of('quantile', quantile))) ?? [],
      sample('_sum', total?.sampleSum ?? NaN),
      sample('_count', total?.sampleCount ?? NaN)
    ]
  }))
}

/** A metric of each kind, and what is odd about it. */
function fill (registry: Registry, library: Library): void {
  const registers = [registry]
  const help = 'Of the "test"\\.\nSecond line.'
  const requests = new library.Counter({ name: 'requests_total', help, labelNames: ['path', 'code'], registers })
  requests.inc({ path: '/a"b\\c\nd👋', code: 200 }, 1e21)
  requests.labels('/', '404').inc()
  requests.inc({ path: '/b' })
  requests.inc({ code: 'of the default path' })
  requests.inc({ path: '/c', code: undefined as unknown as string })
  new library.Counter({ name: 'hits', help, registers }).inc(3)
  const extreme = new library.Gauge({ name: 'extreme', help, labelNames: ['of'], registers, collect () { this.set({ of: 'collected' }, -5e-324) } })
  for (const value of [NaN, Infinity, -Infinity, -0]) extreme.set({ of: String(value) }, value)
  const later = new library.Gauge({
    name: 'later',
    help,
    registers,
    async collect () {
      await setImmediate()
      later.set(4)
    }
  })
  const seconds = new library.Histogram({ name: 'wait_seconds', help, labelNames: ['path'], buckets: [0.1, 1, 10, 1e6], registers })
  for (const value of [0, 0.1, 0.5, 10, 11, 1e7]) seconds.observe({ path: '/' }, value)
  seconds.observe({}, 2)
  seconds.zero({ path: '/zero' })
  new library.Histogram({ name: 'bare_seconds', help, registers }).observe(0.3)
  const sizes = new library.Summary({ name: 'size_bytes', help, labelNames: ['path'], percentiles: [0, 0.5, 0.999], registers })
  for (let i = 1; i <= 100; i++) sizes.observe({ path: '/' }, i)
  sizes.observe({ path: '/b' }, 1.5)
  new library.Summary({ name: 'bare_bytes', help, registers }).reset()
}

for (const [name, library] of Object.entries(libraries)) {
  t.test(`the metrics of ${name} are on our page as on its own, in every format`, { skip }, async (t) => {
    const registry = new library.Registry()
    fill(registry, library)
    const { exposition, page, failed } = exposed(registry)
    const same = async (what: string) => {
      const theirs = comparable(await read('text', await registry.metrics()))
      t.strictSame(comparable(await read('text', await exposition.text())), theirs, `text ${what}`)
      const openmetrics = await read('openmetrics', await page('openmetrics'))
      t.strictSame(comparable(openmetrics), theirs.map((family) => ({ ...family, type: family.name === 'hits' ? 'unknown' : family.type })), `OpenMetrics ${what}`)
      t.strictSame(sorted(samplesOf(await page('protobuf'))), theirs.flatMap(({ samples }) => samples).sort(), `protobuf ${what}`)
    }
    await same('as it is')
    new Counter({ name: 'ours_total', help: 'Of the test.', labelNames: ['path'], registers: [registry] }).inc({ path: '/own' })
    new Histogram({ name: 'ours_ratio', help: 'Of the test.', buckets: [1], registers: [registry] }).observe(1)
    registry.setDefaultLabels({ path: 'default', pod: 'p-1' })
    const text = await exposition.text()
    t.match(text, /^requests_total\{code="of the default path",path="default",pod="p-1"\} 1$/m)
    t.match(text, /^ours_total\{path="\/own",pod="p-1"\} 1$/m)
    t.strictSame(comparable(await read('text', text)), comparable(await read('text', await registry.metrics())), 'with default labels')
    t.strictSame(sorted(samplesOf(await page('protobuf'))), sorted((await read('text', text)).flatMap(({ samples }) => samples)), 'with default labels in protobuf')
    t.strictSame(failed, [])
    registry.setDefaultLabels({ 'not-a-name': 1, pod: 'p-2' })
    t.match(await exposition.text(), /^ours_total\{path="\/own",pod="p-2"\} 1$/m, 'a default label that is none is left out')
    t.strictSame(failed.map(([name]) => name), ['default labels'])
  })

  t.test(`an OpenMetrics registry of ${name} is on our page as on its own, with its exemplars`, { skip }, async (t) => {
    const registry = new library.Registry(OPENMETRICS)
    fill(registry, library)
    const registers = [registry]
    const counter = new library.Counter({ name: 'traced_total', help: 'h', labelNames: ['path'], registers, enableExemplars: true })
    counter.inc({ labels: { path: '/' }, value: 2, exemplarLabels: { trace_id: '"\\\nx', span: 7 } })
    counter.inc({ labels: { path: '/none' } })
    const histogram = new library.Histogram({ name: 'traced_seconds', help: 'h', labelNames: ['path'], buckets: [1, 2], registers, enableExemplars: true })
    for (const value of [0.5, 1.5, 3]) histogram.observe({ labels: { path: '/' }, value, exemplarLabels: { trace_id: `t${value}` } })
    histogram.observe({ labels: { path: '/none' }, value: 1 })
    const { exposition, page, failed } = exposed(registry)

    const before = await exposition.text()
    const theirs = await read('openmetrics', await registry.metrics())
    const ours = await read('openmetrics', await page('openmetrics'))
    t.match(registry.getMetricsAsArray()[0], { name: 'requests' }, 'its counters have lost part of their names')
    t.strictSame(comparable(ours), comparable(theirs.map((family) => family.name !== 'hits'
      ? family
      : { ...family, type: 'unknown', samples: family.samples.map((sample) => ({ ...sample, name: 'hits' })) })))
    t.equal(ours.flatMap(({ samples }) => samples.filter(({ exemplar }) => exemplar !== undefined)).length, 4)
    t.equal(await exposition.text(), before, 'the text is as it was before it made a page of its own')

    t.throws(() => counter.inc({ labels: { path: '/none' }, exemplarLabels: { trace_id: 'x'.repeat(129) } }), RangeError)
    t.match(await registry.metrics(), / # \{\} \S+ undefined$/m, 'an exemplar that it refused is on its page')
    t.match(await read('openmetrics', await page('openmetrics')), { length: ours.length }, 'and not on ours')
    t.strictSame(failed, [])
  })

  t.test(`the metrics that ${name} has of the process are all there`, { skip }, async (t) => {
    const registry = new library.Registry()
    library.collectDefaultMetrics({ register: registry })
    const { exposition, page, failed } = exposed(registry)
    // Handles come and go between two pages, and so may the first garbage collection.
    const shapes = (families: ParsedFamily[]) => families.map(({ name, type, help, samples }) => {
      return [name, type, help, /_(active|gc)_/.test(name) || samples.map(({ name, labels }) => [name, ...Object.keys(labels).sort()])]
    })
    const theirs = shapes(await read('text', await registry.metrics()))
    t.ok(theirs.length > 15)
    t.strictSame(shapes(await read('text', await exposition.text())), theirs)
    t.strictSame(shapes(await read('openmetrics', await page('openmetrics'))), theirs)
    t.strictSame(failed, [])
  })
}

t.test('what is no metric costs only itself', { skip }, async (t) => {
  const registry = new prom.Registry()
  const broken: Record<string, unknown> = {
    throws: { get () { throw new Error('of the test') } },
    throws_text: { get () { throw 'of the test' } }, // eslint-disable-line no-throw-literal
    throws_nothing: { get () { throw undefined } }, // eslint-disable-line no-throw-literal
    rejects: { get: () => Promise.reject(new Error('of the test')) },
    rejects_nothing: { getForPromString: () => Promise.reject() }, // eslint-disable-line prefer-promise-reject-errors
    has_no_state: {},
    gives_nothing: { get () {} },
    gives_text: { get: async () => 'of the test' },
    values_are_none: { get: () => ({ values: {} }) },
    value_is_none: { get: () => ({ values: [null] }) },
    value_is_missing: { get: () => ({ type: 'gauge', values: [{ labels: {} }] }) },
    value_is_text: { get: () => ({ type: 'counter', values: [{ value: 'many' }] }) },
    sum_is_text: { get: () => ({ type: 'summary', values: [{ value: {}, metricName: 'sum_is_text_sum' }] }) },
    bound_is_text: { get: () => ({ type: 'histogram', values: [{ value: 1, labels: { le: 'high' } }] }) },
    label_has_no_name: { get: () => ({ values: [{ value: 1, labels: { 'a b': 'c' } }] }) },
    label_throws: { get: () => ({ values: [{ value: 1, labels: { a: { toString () { throw new Error('of the test') } } } }] }) },
    line_has_no_name: { get: () => ({ values: [{ value: 1, metricName: 'a b' }] }) },
    'a b': { get: () => ({ type: 'histogram', values: [] }) }
  }
  new prom.Gauge({ name: 'first', help: 'Of the test.', registers: [registry] }).set(0)
  for (const [name, metric] of Object.entries(broken)) registry.registerMetric({ name, ...metric as object } as never)
  registry.registerMetric('nothing of the kind' as never)
  new prom.Gauge({ name: 'theirs_throws', help: 'Of the test.', registers: [registry], collect () { throw new Error('of the test') } }).set(0)
  new Gauge({ name: 'ours_throws', help: 'Of the test.', registers: [registry], collect () { throw new Error('of the test') } }).set(0)
  new Gauge({ name: 'ours_rejects', help: 'Of the test.', registers: [registry], collect: () => Promise.reject(new Error('of the test')) }).set(0)
  registry.registerMetric({ name: 'plain', get: () => ({ values: [{ value: '1.5' }, { value: 2n, labels: null, sharedLabels: { a: 1 } }, { value: null, labels: { a: 'JSON' }, exemplar: 'none' }] }) } as never)
  registry.registerMetric({ name: 'empty', get: () => ({ help: 'Of the test.', type: 'gauge', values: null }) } as never)
  registry.registerMetric({ name: 'several', get: () => ({ type: 'gauge', values: [{ value: 1 }, { value: 2, metricName: 'several_max' }] }) } as never)
  const exemplars = [{ labelSet: {}, value: 1 }, { labelSet: {}, value: null, timestamp: 1 }, { value: 1, timestamp: 1 }, { labelSet: { 'a b': 'c' }, value: 1, timestamp: 1 }]
  registry.registerMetric({ name: 'traced_total', get: () => ({ type: 'counter', values: exemplars.map((exemplar, i) => ({ value: 1, labels: { i }, exemplar })) }) } as never)
  new Gauge({ name: 'last', help: 'Of the test.', registers: [registry] }).set(0)

  const { exposition, page, failed } = exposed(registry)
  const expected = [
    '# TYPE first gauge', 'first 0',
    '# TYPE plain untyped', 'plain 1.5', 'plain{a="1"} 2', 'plain{a="JSON"} NaN',
    '# TYPE empty gauge',
    '# TYPE several gauge', 'several 1', '# TYPE several_max untyped', 'several_max 2',
    '# TYPE traced_total counter', ...exemplars.map((_, i) => `traced_total{i="${i}"} 1`),
    '# TYPE last gauge', 'last 0', ''
  ]
  t.strictSame((await exposition.text()).split('\n').filter((line) => !line.startsWith('# HELP')), expected)
  const names = [...Object.keys(broken), 'undefined', 'theirs_throws', 'ours_throws', 'ours_rejects']
  t.strictSame(failed.splice(0).map(([name]) => name).sort(), names.sort(), 'each is named, once')
  const openmetrics = await read('openmetrics', await page('openmetrics'))
  t.strictSame(openmetrics.map(({ name }) => name), ['first', 'plain', 'empty', 'several', 'several_max', 'traced', 'last'])
  t.ok(openmetrics.every(({ samples }) => samples.every(({ exemplar }) => exemplar === undefined)), 'exemplars that are none are left out')
  t.equal(failed.splice(0).length, names.length)
  t.strictSame(decoded(await page('protobuf')).map(({ name }) => name), ['first', 'plain', 'several', 'several_max', 'traced_total', 'last'])
  t.strictSame((await exposition.scrape({ format: 'text', compression: undefined, names: new Set(['last']), timeout: undefined }).whole())?.toString(), '# HELP last Of the test.\n# TYPE last gauge\nlast 0\n')
})

t.test('what hangs is left out, not asked again while it hangs, and served again when it has come to an end', async (t) => {
  const registry = new prom.Registry()
  const asked: string[] = []
  let ends: Array<() => void> = []
  const hang = (name: string, ended: (resolve: () => void, reject: (error: Error) => void) => void) => {
    asked.push(name)
    return new Promise<void>((resolve, reject) => { ends.push(() => ended(resolve, reject)) })
  }
  const register = (metric: object) => registry.registerMetric(metric as never)
  const state = { type: 'gauge', help: 'Of the test.', values: [{ value: 1 }] }
  register({ name: 'settles', get: () => hang('settles', (resolve) => resolve()).then(() => state) })
  register({ name: 'rejects', get: () => hang('rejects', (_resolve, reject) => reject(new Error('of the test'))).then(() => state) })
  // A promise of another kind, as those of query builders.
  register({ name: 'foreign_promise', get: () => ({ then: (resolve: (value: object) => void) => { hang('foreign_promise', () => resolve(state)) } }) })
  new prom.Gauge({ name: 'theirs', help: 'Of the test.', registers: [registry], collect: () => hang('theirs', (resolve) => resolve()) }).set(0)
  new Gauge({ name: 'ours', help: 'Of the test.', registers: [registry], collect: () => hang('ours', (resolve) => resolve()) }).set(0)
  new prom.Gauge({ name: 'last', help: 'Of the test.', registers: [registry] }).set(0)
  const names = ['settles', 'rejects', 'foreign_promise', 'theirs', 'ours']
  const { observer, failed } = exposed(registry)
  const namesIn = async (collection: Collection) => (await collection.families).map(({ name }) => name)

  const first = new Collection(registry, all, observer)
  while (asked.length < names.length) await setImmediate()
  first.giveUp()
  t.strictSame(await namesIn(first), ['last'])
  t.strictSame(failed.splice(0).map(([name, error]) => [name, (error as Error).message]).sort(), names.map((name) => [name, 'it did not finish in the time of the scrape']).sort())

  // Longer than a scraper in a hurry could be the reason.
  const { now } = performance
  t.intercept(performance, 'now', { value: () => now.call(performance) + 2000 })
  t.strictSame(await namesIn(new Collection(registry, all, observer)), ['last'], 'at once')
  t.strictSame(failed.splice(0).map(([name]) => name).sort(), [...names].sort())
  t.equal(asked.length, names.length, 'none is asked again')

  for (const end of ends) end()
  ends = []
  await setImmediate()
  const third = new Collection(registry, all, observer)
  while (ends.length < names.length) await setImmediate()
  for (const end of ends) end()
  t.strictSame(await namesIn(third), ['settles', 'foreign_promise', 'theirs', 'ours', 'last'])
  t.strictSame(failed.map(([name, error]) => [name, (error as Error).message]), [['rejects', 'of the test']])
})

t.test('what is slow is waited for', async (t) => {
  const registry = new prom.Registry()
  const database = new EventTarget()
  const answered = async () => { await new Promise((resolve) => database.addEventListener('answer', resolve, { once: true })) }
  const asked: string[] = []
  new prom.Gauge({
    name: 'theirs',
    help: 'h',
    registers: [registry],
    async collect () {
      asked.push('theirs')
      await answered()
      this.set(5)
    }
  }).set(0)
  const ours = new Gauge({
    name: 'ours',
    help: 'h',
    registers: [registry],
    async collect () {
      asked.push('ours')
      await answered()
      ours.set(6)
    }
  })
  const { exposition, failed } = exposed(registry)
  let made = false
  const page = exposition.text().finally(() => { made = true })
  while (asked.length < 2) await setImmediate()
  await setImmediate()
  t.notOk(made)
  database.dispatchEvent(new Event('answer'))
  t.match(await page, /^theirs 5$[^]*^ours 6$/m)
  t.strictSame(failed, [])
})
