import { setTimeout as sleep } from 'node:timers/promises'
import { collectDefaultMetrics, Counter as PromCounter, Gauge as PromGauge, Registry } from 'prom-client'
import t from 'tap'
import { metric } from '../../src/catalogue.js'
import { Exposition, readRequest } from '../../src/exposition/index.js'
import { Counter, Gauge, Histogram } from '../../src/index.js'
import { Live } from '../../src/live/index.js'
import { collectDefaults } from '../../src/runtime/defaults.js'
import type { Chart, LiveNumbers } from '../../src/live/index.js'

const SERVICE = { range: '5m', route: undefined } as const

/** A live page of a registry, of which the test takes the samples. */
function liveOf (registry: Registry, prefix = '') {
  const failed: string[] = []
  const pages = new Exposition(registry, { maxScrapes: 10, created: false }, { counted () {}, failed: (name) => failed.push(name), ended () {}, refused () {} })
  const live = new Live(pages, prefix, false)
  return { live, pages, failed, whole: (view: Parameters<Live['whole']>[0] = SERVICE) => live.whole(view) }
}

function chartOf ({ charts }: LiveNumbers, id: string): Chart {
  const chart = charts.find((each) => each.id === id)
  if (chart === undefined) throw new Error(`no chart ${id} among ${charts.map(({ id }) => id).join()}`)
  return chart
}

/** The newest value of a line. */
function lastOf (live: LiveNumbers, id: string, line: string): number | null | undefined {
  return chartOf(live, id).lines.find(({ name }) => name === line)?.values.at(-1)
}

t.test("the service's own metrics have charts without being asked for", async (t) => {
  const registry = new Registry()
  const registers = [registry]
  const started = new PromCounter({ name: 'walks_started', help: 'Walks that began.', labelNames: ['size'], registers })
  const dogs = new Gauge({ name: 'dogs_out', help: 'Dogs that are out.', registers })
  const distance = new Histogram({ name: 'walk_distance', help: 'Distance, in metres.', buckets: [100, 1000], registers })
  const age = new PromGauge({ name: 'dog_age_seconds', help: 'Age of the oldest dog.', registers, collect () { this.set(7) } })
  t.equal(typeof age.set, 'function')
  started.inc({ size: 'small' }, 40)
  const { live, whole } = liveOf(registry)
  await live.sample()
  started.inc({ size: 'small' }, 2)
  started.inc({ size: 'large' })
  dogs.set(3)
  for (const metres of [50, 500, 500, 5000]) distance.observe(metres)
  await live.sample()
  const found = whole()
  const chart = chartOf(found, 'own.walks_started')
  t.match(chart, { title: 'walks_started', help: 'Walks that began.', unit: 'per second', kind: 'line', section: 'own' })
  t.same(chart.lines.map(({ name, total }) => [name, total]), [['small', 42], ['large', 1]])
  const [small, large] = chart.lines.map(({ values }) => values.at(-1) as number) as [number, number]
  t.ok(small > 0 && Math.abs(small / large - 2) < 1e-6, `${small} and ${large} a second`)
  t.equal(lastOf(found, 'own.dogs_out', 'all'), 3)
  t.equal(lastOf(found, 'own.walk_distance', 'p50'), 550, 'half way to the third of two in the bucket')
  t.equal(lastOf(found, 'own.walk_distance', 'p99'), 1000, 'as Prometheus, which knows no more than the highest bound')
  t.same(chartOf(found, 'own.walk_distance.heatmap').lines.map(({ name, values }) => [name, values.at(-1)]), [['100', 1], ['1000', 2], ['+Inf', 1]])
  distance.observe(50)
  await live.sample()
  t.same(chartOf(whole(), 'own.walk_distance.heatmap').lines.map(({ values }) => values.at(-1)), [1, 0, 0], 'an observation is in one step alone')
  t.equal(lastOf(found, 'own.dog_age_seconds', 'all'), 7)
  t.equal(chartOf(found, 'own.dog_age_seconds').unit, 'seconds')
})

t.test('what is of this package and of the process is none of them', async (t) => {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry, prefix: 'svc_' })
  metric('http_requests_received_total', { registry, prefix: 'svc_' }).inc({ method: 'GET', route: '/', scheme: 'http' })
  // The names of others, without the prefix, and one that only begins as they do.
  new Counter({ name: 'process_orders_total', help: 'Orders.', registers: [registry] }).inc()
  new Counter({ name: 'http_requests_in_flight', help: "Somebody's own.", registers: [registry] }).inc()
  const { live, whole } = liveOf(registry, 'svc_')
  await live.sample()
  t.same(whole().charts.filter(({ section }) => section === 'own').map(({ title }) => title).sort(), ['http_requests_in_flight', 'process_orders_total'])
})

t.test('a scrape has the same numbers whether somebody looks or not', async (t) => {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const native = new Histogram({ name: 'spread', help: 'Wide.', buckets: [], native: { growthFactor: 1.1, resetAfter: 1 }, registers: [registry] })
  const { live, pages, failed } = liveOf(registry)
  await pages.text()
  // Node's histogram sees no delay that begins just after it was emptied.
  await sleep(100)
  const end = performance.now() + 200
  while (performance.now() < end) { /* blocks the event loop */ }
  await sleep(50)
  await live.sample()
  await live.sample()
  const lag = /^nodejs_eventloop_lag_max_seconds (.*)$/m.exec(await pages.text())?.[1]
  t.ok(Number(lag) > 0.15, `prom-client's delay of the event loop is still there: ${lag}`)

  for (let i = 0; i < 300; i++) native.observe(1.09 ** i)
  const widened = () => [...native.peek().series()][0]?.buckets?.native?.schema as number
  t.ok(widened() < 3, 'its buckets became wider')
  await sleep(1100)
  await live.sample()
  t.match(await pages.text(), /^spread_count 300$/m, 'a scrape after it has all that was counted')
  t.same(failed, [])
})

t.test("a single metric of the event loop's delay, without the one that has the `collect` of all", async (t) => {
  const registry = new Registry()
  await collectDefaults(registry, 'other_', (name) => name === 'nodejs_eventloop_lag_max_seconds')
  const { live, pages } = liveOf(registry)
  await pages.text()
  await sleep(100)
  const end = performance.now() + 200
  while (performance.now() < end) { /* blocks the event loop */ }
  await sleep(50)
  await live.sample()
  await live.sample()
  const lag = /^other_nodejs_eventloop_lag_max_seconds (.*)$/m.exec(await pages.text())?.[1]
  t.ok(Number(lag) > 0.15, `it is there for the scrape still: ${lag}`)
})

t.test('a metric that throws, one that never ends, and one that throws now and then', async (t) => {
  const registry = new Registry()
  const registers = [registry]
  let isWell = false
  new PromGauge({ name: 'broken', help: 'Broken.', registers, collect () { throw new Error('secret') } }).set(1)
  new PromGauge({ name: 'hanging', help: 'Hanging.', registers, collect: () => new Promise<void>(() => {}) }).set(1)
  new PromGauge({ name: 'moody', help: 'Moody.', registers, collect () { if (isWell) this.set(5); else throw new Error('secret') } }).set(1)
  const walks = new Counter({ name: 'walks_total', help: 'Walks.', registers })
  const { live, pages, failed, whole } = liveOf(registry)
  await live.sample()
  walks.inc()
  await live.sample()
  const found = whole()
  t.ok(lastOf(found, 'own.walks_total', 'all'))
  t.same(found.leftOut.map(({ what }) => what).sort(), ['broken could not be read.', 'hanging could not be read.', 'moody could not be read.'])
  t.notMatch(JSON.stringify(found), 'secret')
  t.same(failed, [], 'who looks reports nothing')
  const scrape = pages.scrape(readRequest({ 'x-prometheus-scrape-timeout-seconds': '1' }, ''))
  t.match(String(await scrape.whole()), /^walks_total 1$/m)
  t.same([...new Set(failed)].sort(), ['broken', 'hanging', 'moody'], 'a scrape does, once each')
  isWell = true
})

t.test('a metric with very many series', async (t) => {
  const registry = new Registry()
  const many = new PromCounter({ name: 'many_total', help: 'Many.', labelNames: ['id'], registers: [registry] })
  const growing = new Counter({ name: 'growing_total', help: 'Growing.', labelNames: ['id'], registers: [registry], maxSeries: 100_000 })
  const hundred = new Gauge({ name: 'hundred', help: 'A hundred.', labelNames: ['id'], registers: [registry] })
  const walks = new Counter({ name: 'walks_total', help: 'Walks.', labelNames: ['dog'], registers: [registry] })
  for (let id = 0; id < 50_000; id++) many.inc({ id })
  for (let id = 0; id < 100; id++) hundred.set({ id }, id)
  for (let id = 0; id < 100; id++) walks.inc({ dog: id })
  for (let id = 0; id < 10; id++) growing.inc({ id })
  const { live, whole } = liveOf(registry)
  await live.sample()
  for (let id = 0; id < 1500; id++) growing.inc({ id })
  for (let id = 0; id < 100; id++) walks.inc({ dog: id })
  await live.sample()
  const began = process.cpuUsage()
  await live.sample()
  const { user, system } = process.cpuUsage(began)
  const found = whole()
  t.ok(!found.charts.some(({ title }) => title === 'many_total'), 'it is left out')
  t.match(found.leftOut.map(({ what }) => what).join('\n'), 'many_total: 50000 series')
  t.match(found.leftOut.map(({ what }) => what).join('\n'), 'growing_total: 1500 series')
  t.match(found.leftOut.map(({ what }) => what).join('\n'), 'hundred')
  t.equal(chartOf(found, 'own.hundred').lines.length, 12, 'gauges do not add up')
  const lines = chartOf(found, 'own.walks_total').lines
  t.equal(lines.length, 13)
  t.equal(lines.reduce((sum, { total }) => sum + (total ?? 0), 0), 200, 'counters do: nothing is missing')
  t.comment(`${(user + system) / 1000} ms a sample`)
  t.ok(JSON.stringify(found).length < 200_000)
})

t.test('hostile names and texts come through as they are', async (t) => {
  const registry = new Registry()
  const help = '<script>alert(1)</script>\u202e"quoted"\u0000'
  new Counter({ name: 'walks_total', help, labelNames: ['dog'], registers: [registry] }).inc({ dog: '</script><img src=x onerror=alert(1)>\n\u2028' })
  const { live, whole } = liveOf(registry)
  await live.sample()
  const found = JSON.parse(JSON.stringify(whole())) as LiveNumbers
  t.equal(chartOf(found, 'own.walks_total').lines[0]?.name, '</script><img src=x onerror=alert(1)>\n\u2028')
})

t.test('traffic, and one route of it', async (t) => {
  const registry = new Registry()
  const duration = metric('http_request_duration_seconds', { registry })
  const inFlight = metric('http_requests_in_flight', { registry })
  const flying = { '/walks': 2, '/dogs': 1 }
  inFlight.addCallback(() => { for (const [route, count] of Object.entries(flying)) inFlight.inc({ method: 'GET', route }, count) })
  const observe = (route: string, status: string, seconds: number, times = 1) => {
    for (let i = 0; i < times; i++) duration.observe({ method: 'GET', route, status_code: status }, seconds)
  }
  observe('/walks', '200', 0.02)
  const { live, whole } = liveOf(registry)
  await live.sample()
  observe('/walks', '200', 0.02, 80)
  observe('/walks', '500', 0.3, 10)
  observe('/walks', '444', 0.3, 5)
  observe('/walks', '499', 0.3, 5)
  observe('/walks', '101', 3, 50)
  observe('/dogs', '404', 0.002, 150)
  await live.sample()
  const found = whole()
  const rate = (id: string, line: string) => lastOf(found, id, line) as number
  const unit = rate('http.requests', 'aborted') / 5
  for (const [line, count] of Object.entries({ '2xx': 80, '5xx': 15, '4xx': 150, 'aborted': 5, '1xx': 50 })) t.ok(Math.abs(rate('http.requests', line) / unit - count) < 1e-6, line)
  t.equal(lastOf(found, 'http.in_flight', 'in flight'), 3)
  const [dogs, walks] = found.routes
  t.match(walks, { method: 'GET', route: '/walks', errors: 0.15, inFlight: 2, queries: null, databaseSeconds: null })
  t.match(dogs, { route: '/dogs', errors: 0 })
  t.equal(found.summary.find(({ id }) => id === 'errors')?.value, 0.06)
  const p95 = found.summary.find(({ id }) => id === 'p95')?.value as number
  t.equal(p95, found.charts.find(({ id }) => id === 'http.latency')?.lines.find(({ name }) => name === 'p95')?.values.at(-1), 'upgrades are in no latency')
  t.match(found.problems[0], { id: 'http-errors', severity: 'critical', text: '6 % of the requests failed in the last minute: 15 of 250.' })

  const one = whole({ range: '5m', route: { method: 'GET', route: '/walks' } })
  t.same(chartOf(one, 'http.requests').lines.map(({ name }) => name), ['2xx', '5xx', 'aborted', '1xx'])
  t.equal(lastOf(one, 'http.in_flight', 'in flight'), 2)
  const none = whole({ range: '5m', route: { method: 'GET', route: '/nowhere' } })
  t.same(none.charts.filter(({ section }) => section === 'traffic'), [])
  t.match(none.leftOut[0]?.what, 'GET /nowhere')
})

t.test('routes that came late get charts when somebody chooses them', async (t) => {
  const registry = new Registry()
  const duration = metric('http_request_duration_seconds', { registry })
  const { live, whole } = liveOf(registry)
  for (let i = 0; i < 300; i++) duration.observe({ method: 'GET', route: `/${i}`, status_code: '200' }, 0.1)
  await live.sample()
  const { routes, leftOut } = whole()
  t.equal(routes.length, 200)
  t.match(leftOut[0]?.what, 'Routes beyond 200')
  const view = { range: '5m', route: { method: 'GET', route: '/150' } } as const
  t.same(whole(view).charts.filter(({ section }) => section === 'traffic').map(({ id }) => id), ['http.requests', 'http.latency', 'http.in_flight'])
  duration.observe({ method: 'GET', route: '/150', status_code: '200' }, 0.1)
  await live.sample()
  t.ok(lastOf(whole(view), 'http.requests', '2xx') as number > 0)
})

t.test('what a sample adds is what the whole has then', async (t) => {
  const registry = new Registry()
  const walks = new Counter({ name: 'walks_total', help: 'Walks.', labelNames: ['dog'], registers: [registry] })
  walks.inc({ dog: 'Pixel' })
  const { live, whole } = liveOf(registry)
  await live.sample()
  const layout = live.layout(SERVICE)
  walks.inc({ dog: 'Pixel' })
  await live.sample()
  t.equal(live.layout(SERVICE), layout)
  const { step, totals } = live.latest(SERVICE)
  const found = whole()
  t.equal(step?.time, found.times.at(-1))
  t.same(step?.values, found.charts.map(({ lines }) => lines.map(({ values }) => values.at(-1))))
  t.same(totals, found.charts.map(({ lines }) => lines.map(({ total }) => total)))
  t.equal(live.latest({ range: '1h', route: undefined }).step, null, 'the step of an hour is not over')
  walks.inc({ dog: 'Rex' })
  await live.sample()
  t.not(live.layout(SERVICE), layout, 'a line more')
})

t.test('a registry that is cleared, and a prefix', async (t) => {
  const registry = new Registry()
  const make = () => metric('http_request_duration_seconds', { registry, prefix: 'svc_' })
  make().observe({ method: 'GET', route: '/', status_code: '200' }, 0.1)
  const { live, whole } = liveOf(registry, 'svc_')
  await live.sample()
  registry.clear()
  await live.sample()
  t.equal(lastOf(whole(), 'http.requests', '2xx'), null, 'no data, and not 0')
  make().observe({ method: 'GET', route: '/', status_code: '200' }, 0.1)
  await live.sample()
  t.ok(lastOf(whole(), 'http.requests', '2xx') as number > 0)
})
