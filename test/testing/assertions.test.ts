import * as platformatic from '@platformatic/prom-client'
import * as renamed from '@prometheus-io/client'
import * as prom from 'prom-client'
import t from 'tap'
import { AssertionError } from 'node:assert'
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { Counter, Gauge, Histogram, type Labels, type RegistryLike } from '../../src/metrics/index.js'
import { assertSeries, assertSeriesChanged, assertSeriesCompare, assertSeriesUnchanged, snapshot } from '../../src/testing/index.js'

const here = fileURLToPath(import.meta.url)

/** A registry with a metric of each kind, ours, and a summary of prom-client's. */
function example (): { registry: prom.Registry, requests: Counter<'method' | 'route'>, temperature: Gauge, sizes: Histogram<'route'> } {
  const registry = new prom.Registry()
  const registers = [registry]
  const requests = new Counter({ name: 'http_requests_received_total', help: 'Of the test.', labelNames: ['method', 'route'], registers })
  const temperature = new Gauge({ name: 'temperature_celsius', help: 'Of the test.', registers })
  const sizes = new Histogram({ name: 'sizes_bytes', help: 'Of the test.', labelNames: ['route'], buckets: [1, 10.5], registers })
  new prom.Summary({ name: 'waits_seconds', help: 'Of the test.', percentiles: [0.5], registers }).observe(4)
  requests.inc({ method: 'GET', route: '/' }, 2)
  requests.inc({ method: 'GET', route: '/dogs' }, 7)
  temperature.set(-1.5)
  for (const value of [1, 5, 0.1, 0.2]) sizes.observe({ route: '/' }, value)
  return { registry, requests, temperature, sizes }
}

async function failure (assertion: Promise<void>): Promise<AssertionError> {
  const error: unknown = await assertion.then(() => undefined, (error: unknown) => error)
  if (!(error instanceof AssertionError)) throw new Error('should have failed with an AssertionError', { cause: error })
  return error
}

t.test('a series is asserted to have a value, by its name on the page and all its labels', async (t) => {
  const { registry } = example()
  await assertSeries(registry, 'http_requests_received_total', { method: 'GET', route: '/' }, 2)
  await assertSeries(registry, 'http_requests_received_total', { route: '/', method: 'GET' }, 2)
  await assertSeries(registry, 'temperature_celsius', {}, -1.5)
  await assertSeries(registry, 'sizes_bytes_count', { route: '/' }, 4)
  await assertSeries(registry, 'sizes_bytes_sum', { route: '/' }, 6.3)
  await assertSeries(registry, 'sizes_bytes_bucket', { route: '/', le: 1 }, 3)
  await assertSeries(registry, 'sizes_bytes_bucket', { route: '/', le: '10.5' }, 4)
  await assertSeries(registry, 'sizes_bytes_bucket', { route: '/', le: '+Inf' }, 4)
  await assertSeries(registry, 'sizes_bytes_bucket', { route: '/', le: Infinity }, 4)
  await assertSeries(registry, 'waits_seconds', { quantile: 0.5 }, 4)
  await assertSeries(registry, 'waits_seconds_count', {}, 1)
  for (const labels of [{ method: 'GET' }, {}, { method: 'GET', route: '/', scheme: 'http' }] as Labels[]) {
    await failure(assertSeries(registry, 'http_requests_received_total', labels, 2))
  }
  t.pass()
})

t.test('whole numbers must be equal, and sums of others up to rounding', async (t) => {
  const { registry, temperature } = example()
  const holds = async (value: number, expected: number) => {
    temperature.set(value)
    return assertSeries(registry, 'temperature_celsius', {}, expected).then(() => true, () => false)
  }
  t.ok(await holds(0.1 + 0.2, 0.3))
  t.ok(await holds(NaN, NaN))
  t.ok(await holds(-0, 0))
  t.ok(await holds(Infinity, Infinity))
  t.notOk(await holds(Infinity, 5.5))
  t.notOk(await holds(-Infinity, Infinity))
  t.notOk(await holds(NaN, 0))
  t.notOk(await holds(2 ** 53 - 1, 2 ** 53 - 2))
  t.notOk(await holds(0.3001, 0.3))
})

t.test('a failure is an AssertionError that says what is and what is there, from the line of the test on', async (t) => {
  const { registry } = example()
  const error = await failure(assertSeries(registry, 'http_requests_received_total', { method: 'GET', route: '/dogs' }, 3))
  t.match(error, { code: 'ERR_ASSERTION', operator: 'assertSeries', actual: 7, expected: 3 })
  t.equal(error.message, `http_requests_received_total{method="GET",route="/dogs"} is 7, expected 3
the registry has
  http_requests_received_total{method="GET",route="/dogs"} 7
  http_requests_received_total{method="GET",route="/"} 2`)
  t.ok(error.stack?.split('\n').find((line) => line.startsWith('    at ') && !line.includes('node:internal'))?.includes(here), 'the stack starts in this file')
})

t.test('a series that is not there fails with those that are, the nearest first, however many', async (t) => {
  const { registry, requests } = example()
  t.match(await failure(assertSeries(registry, 'http_requests_received_total', { method: 'POST', route: '/dogs' }, 0)), {
    actual: undefined,
    expected: 0,
    message: /^there is no series http_requests_received_total\{method="POST",route="\/dogs"\}, expected it to be 0\nthe registry has\n.*"\/dogs"\} 7\n.*"\/"\} 2$/
  })
  for (let i = 0; i < 500; i++) requests.inc({ method: 'GET', route: `/${i}/${'x'.repeat(1000)}` })
  const { message } = await failure(assertSeries(registry, 'http_requests_received_total', { method: 'HEAD', route: '/dogs' }, 0))
  t.match(message, /the registry has\n.*"\/dogs"\} 7\n[^]*\n {2}and 482 more$/)
  t.ok(message.length < 6000, `${message.length} letters`)

  requests.reset()
  t.match(await failure(assertSeries(registry, 'http_requests_received_total', { method: 'GET', route: '/' }, 1)), { message: /\nhttp_requests_received_total has no series$/ })
  t.match(await failure(assertSeries(registry, 'http_requests_received_total', { methd: 'GET' }, 1)), { message: /\nhttp_requests_received_total has no label methd\n/ })
})

t.test('a name that is not there fails with the names it may be a slip of', async (t) => {
  const { registry } = example()
  const suggestions: Array<[string, string]> = [
    ['http_request_received_total', 'there is no metric of that name; did you mean\n  http_requests_received_total'],
    ['requests_received', 'there is no metric of that name; did you mean\n  http_requests_received_total'],
    ['app_temperature_celsius', 'there is no metric of that name; did you mean\n  temperature_celsius'],
    ['sizes_bytes', 'sizes_bytes is not the name of a series; its series are\n  sizes_bytes_count\n  sizes_bytes_sum\n  sizes_bytes_bucket'],
    ['quite_another', 'there is no metric of that name; the registry has\n  http_requests_received_total\n  temperature_celsius\n  sizes_bytes_bucket\n' +
      '  sizes_bytes_sum\n  sizes_bytes_count\n  waits_seconds\n  waits_seconds_sum\n  waits_seconds_count']
  ]
  for (const [name, suggestion] of suggestions) {
    t.equal((await failure(assertSeries(registry, name, {}, 1))).message, `there is no series ${name}, expected it to be 1\n${suggestion}`)
  }
  t.match(await failure(assertSeries(new prom.Registry(), 'anything', {}, 1)), { message: /\nthe registry has no metrics$/ })
})

t.test('a change since a snapshot is asserted; a series that was not there was 0', async (t) => {
  const { registry, requests, temperature, sizes } = example()
  const before = await snapshot(registry)
  requests.inc({ method: 'GET', route: '/' }, 3)
  requests.inc({ method: 'POST', route: '/' })
  temperature.dec(0.2)
  sizes.observe({ route: '/' }, 0.3)
  await assertSeriesChanged(registry, before, 'http_requests_received_total', { method: 'GET', route: '/' }, 3)
  await assertSeriesChanged(registry, before, 'http_requests_received_total', { method: 'POST', route: '/' }, 1)
  await assertSeriesChanged(registry, before, 'temperature_celsius', {}, -0.2)
  await assertSeriesChanged(registry, before, 'sizes_bytes_count', { route: '/' }, 1)
  await assertSeriesChanged(registry, before, 'sizes_bytes_bucket', { route: '/', le: 1 }, 1)
  t.match(await failure(assertSeriesChanged(registry, before, 'http_requests_received_total', { method: 'GET', route: '/' }, 2)), {
    operator: 'assertSeriesChanged', actual: 3, expected: 2, message: /^http_.*\{method="GET",route="\/"\} changed by 3, from 2 to 5, expected a change by 2\nthe registry has\n/
  })
  requests.remove('GET', '/dogs')
  await assertSeriesChanged(registry, before, 'http_requests_received_total', { method: 'GET', route: '/dogs' }, -7)
})

t.test('no change since a snapshot is asserted, and a slip in a name or label is no proof of it', async (t) => {
  const { registry, requests } = example()
  const before = await snapshot(registry)
  const labels = { method: 'GET', route: '/' }
  await assertSeriesUnchanged(registry, before, 'http_requests_received_total', labels)
  await assertSeriesUnchanged(registry, before, 'http_requests_received_total', { method: 'PUT', route: '/' })
  await assertSeriesUnchanged(registry, before, 'sizes_bytes_bucket', { route: '/cats', le: 1 })
  t.match(await failure(assertSeriesUnchanged(registry, before, 'http_request_received_total', labels)), {
    operator: 'assertSeriesUnchanged', message: /^there is no series .*, and there can be none\nthere is no metric of that name; did you mean\n {2}http_requests_received_total$/
  })
  t.match(await failure(assertSeriesUnchanged(registry, before, 'http_requests_received_total', { methd: 'GET', route: '/' })), { message: /has no label methd\n/ })
  await failure(assertSeriesUnchanged(registry, before, 'sizes_bytes', { route: '/' }))
  requests.inc(labels)
  t.match(await failure(assertSeriesUnchanged(registry, before, 'http_requests_received_total', labels)), {
    actual: 3, expected: 2, message: /^http_.*\{method="GET",route="\/"\} changed from 2 to 3, expected no change\nthe registry has\n/
  })
  t.equal(before.value('http_requests_received_total', labels), 2, 'a snapshot stays as it was')
})

t.test('a change is asserted by a predicate', async (t) => {
  const { registry, requests } = example()
  const before = await snapshot(registry)
  requests.inc({ method: 'GET', route: '/' }, 3)
  requests.inc({ method: 'POST', route: '/' })
  await assertSeriesCompare(registry, before, 'http_requests_received_total', { method: 'GET', route: '/' }, (before, after) => before === 2 && after === 5)
  await assertSeriesCompare(registry, before, 'http_requests_received_total', { method: 'POST', route: '/' }, (before, after) => before === 0 && after === 1)
  t.match(await failure(assertSeriesCompare(registry, before, 'http_requests_received_total', { method: 'GET', route: '/' }, (before, after) => after < before)), {
    operator: 'assertSeriesCompare', actual: { before: 2, after: 5 }, message: /went from 2 to 5, which is not accepted by \(before, after\) => after < before\nthe registry has\n/
  })
  await failure(assertSeriesCompare(registry, before, 'http_requests_receivd_total', {}, () => true))
})

t.test('a snapshot tells its series', async (t) => {
  const { registry } = example()
  const taken = await snapshot(registry)
  t.equal(taken.value('temperature_celsius'), -1.5)
  t.equal(taken.value('temperature_celsius', { of: 'nothing' }), undefined)
  t.same(taken.samples('http_requests_received_total'), [{ labels: { method: 'GET', route: '/' }, value: 2 }, { labels: { method: 'GET', route: '/dogs' }, value: 7 }])
  t.equal(taken.samples('nothing'), undefined)
  t.same(taken.names.slice(0, 3), ['http_requests_received_total', 'temperature_celsius', 'sizes_bytes_bucket'])
})

t.test('an argument that cannot be used is refused by name', async (t) => {
  const { registry } = example()
  const before = await snapshot(registry)
  const refused = (call: () => Promise<unknown>, message: RegExp) => t.rejects(call(), { code: 'FP_ERR_INVALID_OPTION', message })
  await refused(() => snapshot({} as RegistryLike), /snapshot option 'registry' must be a registry of prom-client's shape, got \{\}/)
  await refused(() => assertSeries(registry, 'temperature_celsius', 3 as never, 3), /assertSeries option 'labels' must be an object of label values, \{\} for none, got 3/)
  await refused(() => assertSeries(registry, undefined as never, {}, 3), /assertSeries option 'name'/)
  await refused(() => assertSeries(registry, 'temperature_celsius', {}, undefined as never), /assertSeries option 'expected' must be a number/)
  await refused(() => assertSeriesChanged(registry, before, 'temperature_celsius', {}, '1' as never), /assertSeriesChanged option 'delta'/)
  await refused(() => assertSeriesUnchanged(registry, snapshot(registry) as never, 'temperature_celsius', {}), /option 'before' must be what 'await snapshot\(registry\)' gave, got a promise: is an 'await' missing\?/)
  await refused(() => assertSeriesUnchanged(registry, undefined as never, 'temperature_celsius', {}), /option 'before'/)
  await refused(() => assertSeriesCompare(registry, before, 'temperature_celsius', {}, 1 as never), /assertSeriesCompare option 'accepts'/)
})

const libraries = { 'prom-client': prom, '@prometheus-io/client': renamed, '@platformatic/prom-client': platformatic } as unknown as Record<string, typeof prom>

for (const [name, { Registry, Counter, Gauge, Histogram, Summary }] of Object.entries(libraries)) {
  t.test(`it reads the registries and metrics of ${name}`, async (t) => {
    const registry = new Registry()
    const registers = [registry]
    const counter = new Counter({ name: 'walks_total', help: 'Of the test.', labelNames: ['walker', 'size'], registers })
    let collected = 0
    new Gauge({ name: 'collected', help: 'Of the test.', registers, collect () { this.set(++collected) } }).set(0)
    const histogram = new Histogram({ name: 'distance_meters', help: 'Of the test.', labelNames: ['walker'], buckets: [50, 200], registers })
    new Summary({ name: 'waits_seconds', help: 'Of the test.', percentiles: [0.9], registers }).observe(4)
    counter.inc({ walker: 'ada', size: 5 })
    counter.inc({ walker: 'ada' })
    const before = await snapshot(registry)
    counter.inc({ walker: 'ada', size: '5' }, 2)
    histogram.observe({ walker: 'ada' }, 100)
    await assertSeriesChanged(registry, before, 'walks_total', { walker: 'ada', size: 5 }, 2)
    await assertSeriesUnchanged(registry, before, 'walks_total', { walker: 'ada' })
    await assertSeriesChanged(registry, before, 'distance_meters_sum', { walker: 'ada' }, 100)
    await assertSeriesChanged(registry, before, 'distance_meters_bucket', { walker: 'ada', le: 200 }, 1)
    await assertSeries(registry, 'waits_seconds', { quantile: 0.9 }, 4)
    await assertSeriesCompare(registry, before, 'collected', {}, (before, after) => after > before)
    await failure(assertSeriesUnchanged(registry, before, 'walks_total', { wlker: 'ada' }))

    registry.setDefaultLabels({ pod: 'p-1' })
    await assertSeries(registry, 'walks_total', { walker: 'ada', size: 5, pod: 'p-1' }, 3)
    await assertSeriesUnchanged(registry, before, 'walks_total', { walker: 'eve', size: 5, pod: 'p-1' })

    const open = new Registry<prom.OpenMetricsContentType>()
    open.setContentType('application/openmetrics-text; version=1.0.0; charset=utf-8')
    new Counter({ name: 'walks_total', help: 'Of the test.', registers: [open] }).inc()
    new Counter({ name: 'dogs', help: 'Of the test.', registers: [open] }).inc(2)
    for (const what of ['at first', 'and when a page has renamed the counters']) {
      await assertSeries(open, 'walks_total', {}, 1)
      await assertSeries(open, 'dogs_total', {}, 2)
      t.match(await open.metrics(), /^dogs_total 2$/m, `an OpenMetrics page shows _total ${what}`)
    }
    const text = new Registry()
    new Counter({ name: 'dogs', help: 'Of the test.', registers: [text] }).inc(2)
    await assertSeries(text, 'dogs', {}, 2)
    t.pass()
  })
}

t.test('node:test shows a failure with its numbers, the series and the line', async (t) => {
  const sample = fileURLToPath(new URL('sample.ts', import.meta.url))
  // The loader that lets this file run as TypeScript, and nothing that would make the child report to this run.
  const env = { PATH: process.env.PATH, TZ: 'UTC' }
  const { code, stdout } = await new Promise<{ code: unknown, stdout: string }>((resolve) => {
    execFile(process.execPath, [...process.execArgv.filter((arg) => arg.includes('/typescript/')), '--test', '--test-reporter=tap', sample], { env }, (error, stdout) => resolve({ code: error?.code ?? 0, stdout }))
  })
  t.equal(code, 1)
  t.match(stdout, /ok \d - what holds passes/)
  t.match(stdout, /not ok \d - what does not hold fails/)
  t.match(stdout, /walks_started_total\{walker="ada"\} is 1, expected 3\s+the registry has\s+walks_started_total\{walker="ada"\} 1/)
  t.match(stdout, /expected: 3\s+actual: 1\s+operator: 'assertSeries'/)
  t.match(stdout, /sample\.ts:\d+/)
})
