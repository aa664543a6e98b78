import { once } from 'node:events'
import Fastify, { type FastifyInstance } from 'fastify'
import { Counter as ForeignCounter, Registry } from 'prom-client'
import t, { type Test } from 'tap'
import { instrumentPool } from '../../adapters/pg.js'
import { OWN_METRICS } from '../../src/catalogue.js'
import { Counter, Histogram, metricsPlugin, metricsServer, type MetricsPluginOptions, type OwnMetricName } from '../../src/index.js'
import { large } from '../support/exposed.js'
import { service } from '../support/http.js'
import { Page } from '../support/page.js'

/** An application that keeps what it logs, and its page. */
async function logged (t: Test, options: MetricsPluginOptions) {
  const lines: string[] = []
  const app: FastifyInstance = Fastify({ logger: { level: 'warn', stream: { write: (line: string) => lines.push(JSON.parse(line).msg) } } })
  t.teardown(() => app.close())
  await app.register(metricsPlugin, { runtime: false, ...options })
  return { app, lines, page: async () => new Page((await app.inject('/metrics')).body) }
}

function fill (metric: Counter<'a'> | ForeignCounter<'a'>, from: number, to: number): void {
  for (let a = from; a < to; a++) metric.inc({ a })
}

t.test('a metric that is full is logged once, with its name, when that happens', async (t) => {
  const [registry, other] = [new Registry(), new Registry()]
  const { app, lines } = await logged(t, { registry: [registry, other] })
  const counter = new Counter({ name: 'dogs_total', help: 'h', labelNames: ['a'], maxSeries: 3, registers: [registry] })
  fill(counter, 0, 3)
  t.same(lines, [], 'there is room')
  counter.inc({ a: 'one more' })
  t.match(lines, [/^fastify-prometheus: metric dogs_total has the 3 label sets that its maxSeries allows; .*__overflow__.*metrics_series_dropped_total/])
  fill(counter, 0, 100)
  counter.reset()
  fill(counter, 0, 100)
  const histogram = new Histogram({ name: 'walks', help: 'h', labelNames: ['a'], maxSeries: 1, registers: [other] })
  for (const a of ['x', 'y', 'z']) histogram.labels(a).observe(1)
  // Put into a registry later.
  const later = new Counter({ name: 'later_total', help: 'h', labelNames: ['a'], maxSeries: 1, registers: [] })
  registry.registerMetric(later as never)
  fill(later, 0, 3)
  t.match(lines, [/ dogs_total /, / walks /, / later_total /])
  t.equal(lines.length, 3)
  await app.close()
})

t.test('where no plugin has its registry it is a process warning; and what fails there is nobody else\'s', async (t) => {
  const { app, lines } = await logged(t, { registry: new Registry() })
  const registry = new Registry()
  const counter = new Counter({ name: 'lonely_total', help: 'h', labelNames: ['a'], maxSeries: 1, registers: [registry] })
  const warned = once(process, 'warning')
  fill(counter, 0, 10)
  t.match(await warned, [{ code: 'FP_WARN_MAX_SERIES', message: / lonely_total / }])
  t.same(lines, [])
  await app.close()

  const broken = Fastify({ logger: { stream: { write () {} } } })
  t.teardown(() => broken.close())
  broken.log.warn = () => { throw new Error('the log is full') }
  await broken.register(metricsPlugin, { registry, runtime: false })
  const second = new Counter({ name: 'second_total', help: 'h', labelNames: ['a'], maxSeries: 1, registers: [registry] })
  t.doesNotThrow(() => fill(second, 0, 10))
  t.equal(second.dropped, 9)
})

t.test('metrics_series and the dropped ones show a metric from when it matters, and then always', async (t) => {
  const registry = new Registry()
  const { page } = await logged(t, { registry })
  t.same((await page()).samples.filter(({ name }) => name.startsWith('metrics_series')), [], 'nothing at first')
  const counter = new Counter({ name: 'dogs_total', help: 'h', labelNames: ['a'], maxSeries: 1500, registers: [registry] })
  const small = new Counter({ name: 'cats_total', help: 'h', labelNames: ['a'], maxSeries: 50, registers: [registry] })
  const foreign = new ForeignCounter({ name: 'foreign_total', help: 'h', labelNames: ['a'], registers: [registry] })
  const alone = new Counter({ name: 'alone_total', help: 'h', maxSeries: 1, registers: [registry] })
  const shown = async () => {
    const samples = (await page()).samples
    const of = (name: string) => Object.fromEntries(samples.filter((sample) => sample.name === name).map(({ labels, value }) => [labels.metric, value]))
    return { series: of('metrics_series'), dropped: of('metrics_series_dropped_total') }
  }
  const steady = new Counter({ name: 'steady_total', help: 'h', labelNames: ['a'], registers: [registry] })
  alone.inc()
  fill(counter, 0, 99)
  fill(small, 0, 4)
  fill(foreign, 0, 99)
  t.same(await shown(), { series: {}, dropped: {} })
  fill(counter, 99, 100)
  fill(small, 4, 5)
  fill(foreign, 99, 100)
  await page()
  t.same(await shown(), { series: { dogs_total: 100, cats_total: 5, foreign_total: 100 }, dropped: { dogs_total: 0, cats_total: 0 } }, 'at 100, or at a tenth of its maxSeries')
  fill(counter, 100, 1505)
  fill(small, 5, 60)
  t.match(await shown(), { series: { dogs_total: 1501, cats_total: 51 }, dropped: { dogs_total: 5, cats_total: 10 } })
  fill(steady, 0, 100)
  await page()
  for (const metric of [counter, small, foreign, steady]) metric.reset()
  await page()
  t.same(await shown(), { series: { dogs_total: 0, cats_total: 0, foreign_total: 0, steady_total: 0 }, dropped: { dogs_total: 5, cats_total: 10, steady_total: 0 } }, 'it is not gone')
  for (const name of ['dogs_total', 'foreign_total', 'steady_total']) registry.removeSingleMetric(name)
  t.same(await shown(), { series: { cats_total: 0 }, dropped: { cats_total: 10 } })
})

t.test('metrics_series counts the label sets of every metric that has many, of other libraries too', async (t) => {
  const { registry, page } = await service(t, {})
  const foreign = new ForeignCounter({ name: 'foreign_total', help: 'h', labelNames: ['a'], registers: [registry] })
  for (let a = 0; a < 103; a++) foreign.inc({ a })
  large(registry, 105)
  const found = await page()
  const series = (name: string) => found.sum('metrics_series', { metric: name })
  t.equal(series('foreign_total'), 103)
  t.equal(series('large_seconds'), 105)
  t.equal(found.of('metrics_series').length, 2)
  registry.removeSingleMetric('foreign_total')
  t.equal((await page()).of('metrics_series', { metric: 'foreign_total' }).length, 0)
})

t.test('what is about metrics is never full below their number', async (t) => {
  const [registry, other] = [new Registry(), new Registry()]
  const { page } = await logged(t, { registry: [registry, other], maxSeries: 2 })
  for (const [i, each] of [registry, other].entries()) {
    for (let n = 0; n < 30; n++) {
      const name = `m${i}_${n}_total`
      fill(new Counter({ name, help: 'h', labelNames: ['a'], maxSeries: 2, registers: [each] }), 0, 5)
      each.registerMetric({ name: `broken${i}_${n}`, get () { throw new Error('of the test') } } as never)
    }
  }
  await page()
  const body = await page()
  for (const name of ['metrics_series', 'metrics_series_dropped_total', 'metrics_instrumentation_errors_total', 'metrics_expositions_total']) {
    t.same(body.samples.filter((sample) => sample.name === name && Object.values(sample.labels).includes('__overflow__')), [], name)
  }
  t.equal(body.of('metrics_series_dropped_total').filter(({ labels, value }) => /^m\d/.test(labels.metric ?? '') && value === 3).length, 60)
  t.equal(body.of('metrics_instrumentation_errors_total').filter(({ labels }) => labels.source?.startsWith('metric broken')).length, 60)
})

/** These are only on the page of several processes, and in no registry. */
const OF_SEVERAL: readonly string[] = ['metrics_processes', 'metrics_contribution_oldest_seconds'] satisfies OwnMetricName[]
const IN_REGISTRY = OWN_METRICS.filter((name) => !OF_SEVERAL.includes(name))

t.test('each can be switched off, in the plugin and in metricsServer', async (t) => {
  for (const off of IN_REGISTRY) {
    const registry = new Registry()
    registry.registerMetric({ name: 'broken', get () { throw new Error('of the test') } } as never)
    fill(new Counter({ name: 'full_total', help: 'h', labelNames: ['a'], maxSeries: 1, registers: [registry] }), 0, 5)
    fill(new ForeignCounter({ name: 'foreign_total', help: 'h', labelNames: ['a'], registers: [registry] }), 0, 100)
    const { page, lines } = await logged(t, { registry, metrics: { [off]: false } })
    await page()
    await page()
    t.same(IN_REGISTRY.filter((name) => !(name in (registry as unknown as { _metrics: object })._metrics)), [off])
    t.match(lines, [/metric broken failed; it is (counted in metrics_instrumentation_errors_total and )?not logged again$/], 'an error is logged all the same')
    t.equal(lines[0]?.includes('counted'), off !== 'metrics_instrumentation_errors_total')
    const own = new Registry()
    const server = await metricsServer({ port: 0, registry: own, metrics: { [off]: false } })
    t.teardown(() => server.close())
    for (let i = 0; i < 2; i++) t.equal((await fetch(server.url)).status, 200)
    t.same(IN_REGISTRY.filter((name) => own.getSingleMetric(name) === undefined), [off])
  }
  const refused = { code: 'FP_ERR_INVALID_OPTION' }
  await t.rejects(logged(t, { registry: new Registry(), metrics: { metrics_serie: false } as never }), { ...refused, message: /'metrics.metrics_serie' must be one of http_requests_received_total, .*metrics_series/ })
  await t.rejects(metricsServer({ port: 0, metrics: { http_request_size_bytes: false } as never }), { ...refused, message: /'metrics.http_request_size_bytes' must be one of metrics_/ })
  await t.rejects(metricsServer({ port: 0, metrics: { metrics_series: 0 } as never }), { ...refused, message: /'metrics.metrics_series' must be true or false/ })
  await t.rejects(metricsServer({ port: 0, metrics: [] as never }), { ...refused, message: /'metrics' must be an object/ })
})

t.test('registries: which may be given, and where ours go', async (t) => {
  const [a, b] = [new Registry(), new Registry()]
  new ForeignCounter({ name: 'of_b_total', help: 'h', registers: [b] }).inc(2)
  new Counter({ name: 'of_both_total', help: 'h', registers: [a, b] }).inc(3)
  const { app, page } = await logged(t, { registry: [a, b, a], runtime: true })
  t.equal(app.metrics.registry, a)
  const server = await metricsServer({ port: 0, registry: [a, b], prefix: 'server_' })
  t.teardown(() => server.close())
  for (const body of [await page(), new Page(await app.metrics.render()), new Page(await (await fetch(server.url)).text())]) {
    t.same(body.of('of_b_total').concat(body.of('of_both_total')).map(({ value }) => value), [2, 3])
    t.equal(body.of('process_cpu_user_seconds_total').length, 1)
  }
  t.same(new Page((await app.inject('/metrics?name[]=of_b_total')).body).samples, [{ name: 'of_b_total', labels: {}, value: 2 }])
  t.equal(a.getSingleMetric('of_b_total'), undefined, 'nothing moves')
  t.equal(b.getMetricsAsArray().length, 2, 'and nothing of ours is in the other')
  const merged = new Page(await Registry.merge([a, b]).metrics())
  const names = new Set((await page()).samples.map(({ name }) => name))
  t.same([...new Set(merged.samples.map(({ name }) => name))].filter((name) => !names.has(name)), [], 'what prom-client merges is there')

  // Node's metrics may be in the other one already.
  const { page: second } = await logged(t, { registry: [new Registry(), a], runtime: true })
  t.equal((await second()).of('process_cpu_user_seconds_total').length, 1)
  t.same((await second()).of('metrics_instrumentation_errors_total', { source: 'metric process_cpu_user_seconds_total' }), [])

  const refused = (registry: unknown, message: RegExp) => t.rejects(logged(t, { registry: registry as never }), { code: 'FP_ERR_INVALID_OPTION', message })
  await refused([], /metricsPlugin option 'registry' must be a registry, or an array of at least one/)
  await refused([a, {}], /metricsPlugin option 'registry\[1\]' must be a registry of prom-client's shape/)
  await refused([[a]], /'registry\[0\]'/)
  await refused(null, /'registry' must be a registry/)
  await t.rejects(metricsServer({ port: 0, registry: [a, undefined] as never }), { code: 'FP_ERR_INVALID_OPTION', message: /metricsServer option 'registry\[1\]'/ })
  t.throws(() => instrumentPool({} as never, { registry: [a, b] as never }), { code: 'FP_ERR_INVALID_OPTION', message: /instrumentPool option 'registry' must be one registry.*an array of 2; several on one page are for metricsPlugin and metricsServer/ })
})

t.test('a metric that is in two registries under one name costs only itself, counted and logged once', async (t) => {
  const [a, b] = [new Registry(), new Registry()]
  new Counter({ name: 'same_total', help: 'h', registers: [a] }).inc(1)
  new Counter({ name: 'same_total', help: 'h', registers: [b] }).inc(2)
  new Counter({ name: 'good_total', help: 'h', registers: [b] }).inc(3)
  const { page, lines } = await logged(t, { registry: [a, b] })
  await page()
  const body = await page()
  t.same(body.of('same_total').map(({ value }) => value), [1])
  t.equal(body.sum('good_total'), 3)
  t.equal(body.sum('metrics_instrumentation_errors_total', { source: 'metric same_total' }), 1)
  t.match(lines, [/metric same_total failed/])
  t.equal(lines.length, 1)
})
