import Fastify from 'fastify'
import * as prometheusIo from '@prometheus-io/client'
import * as platformatic from '@platformatic/prom-client'
import { Counter as PromCounter, Registry, register } from 'prom-client'
import t from 'tap'
import { Counter, metricsPlugin, type MetricsPluginOptions } from '../../src/index.js'
import { assertSeries, assertSeriesChanged, snapshot } from '../../src/testing/index.js'
import { exchange, get, service } from '../support/http.js'
import { Page } from '../support/page.js'
import { promtoolIsContent } from '../support/promtool.js'

t.test('every wrong option is refused at registration, by name, with what was expected and what came', async (t) => {
  const wrong: Array<[options: unknown, message: RegExp]> = [
    [{ endpoint: 'metrics' }, /option 'endpoint' must be a path that starts with '\/', got a string of 7 characters/],
    [{ endpoint: { path: 'x' } }, /option 'endpoint(\.path)?' must be a path/],
    [{ endpoint: { path: 5 } }, /option 'endpoint(\.path)?' must be a path that starts with '\/', got 5/],
    [{ endpoint: true }, /option 'endpoint' must be a path, an object .* got true/],
    [{ endpoint: { counted: 'no' } }, /option 'endpoint.counted' must be true or false, got a string of 2 characters/],
    [{ endpoint: { maxScrapes: 0 } }, /option 'endpoint.maxScrapes' must be a whole number from 1 on, got 0/],
    [{ endpoint: { created: 1 } }, /option 'endpoint.created' must be true or false, got 1/],
    [{ endpoint: { host: '::' } }, /option 'endpoint.host' must be left out where there is no 'port', got a string of 2 characters/],
    [{ endpoint: { port: 70_000 } }, /option 'endpoint.port' must be a port, or \{ from, to \} for the first free one of them, from 0 to 65535, got 70000/],
    [{ endpoint: { port: { from: 9 } } }, /option 'endpoint.port' must be a port, .* got an object with 1 key/],
    [{ registry: {} }, /option 'registry' must be a registry of prom-client's shape, got {}/],
    [{ prefix: '1-' }, /option 'prefix' must be letters, .* got a string of 2 characters/],
    [{ runtime: 1 }, /option 'runtime' must be true or false, got 1/],
    [{ maxSeries: 0 }, /option 'maxSeries' must be a whole number from 1 on, got 0/],
    [{ maxSeries: '10' }, /option 'maxSeries' must be a whole number/],
    [{ nativeHistograms: 1 }, /option 'nativeHistograms' must be true, false, a growth factor greater than 1 or .* got 1/],
    [{ exemplars: {} }, /option 'exemplars' must be true, false or a function that gives labels, got {}/],
    [{ excludeRoutes: '/health' }, /option 'excludeRoutes' must be an array/],
    [{ excludeRoutes: [5] }, /option 'excludeRoutes' must be an array/],
    [{ labels: { 'a-b': () => '' } }, /option 'labels.a-b' must be named/],
    [{ labels: { method: () => '' } }, /option 'labels.method' must be named other than/],
    [{ labels: { tenant: 'x' } }, /option 'labels.tenant' must be a function/],
    [{ labels: [] }, /option 'labels' must be an object/],
    [{ metrics: { nope: true } }, /option 'metrics.nope' must be one of http_requests_received_total/],
    [{ metrics: { http_exceptions_total: 'off' } }, /option 'metrics.http_exceptions_total' must be true or false, got a string of 3 characters/],
    [{ buckets: [1, 2] }, /option 'buckets' must be an object/],
    [{ buckets: { time: [1] } }, /option 'buckets.time' must be duration or size/],
    [{ buckets: { duration: [2, 1] } }, /option 'buckets.duration' must be an array of finite numbers/],
    [{ buckets: { size: [] } }, /option 'buckets.size' must be/],
    [{ metric: {} }, /option 'metric' must be one of registry, prefix/]
  ]
  for (const [options, message] of wrong) {
    const app = Fastify()
    app.register(metricsPlugin, { registry: new Registry(), ...options as MetricsPluginOptions })
    const error = await app.ready().then(() => undefined, (error) => error)
    t.match(error, { code: 'FP_ERR_INVALID_OPTION', message }, `${JSON.stringify(options)} is refused`)
    await app.close()
  }
  const { proxy: gone, revoke } = Proxy.revocable({}, {})
  revoke()
  const app = Fastify()
  app.register(metricsPlugin, { registry: gone as never })
  await t.rejects(async () => { await app.ready() }, { code: 'FP_ERR_INVALID_OPTION', message: /option 'registry' must be a registry of prom-client's shape/ })
})

t.test('what a route says wrongly of itself is refused where it is registered, by its URL and name', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(metricsPlugin, { registry: new Registry() })
  const wrong: Array<[said: unknown, message: RegExp]> = [
    [{ route: '' }, /route '\/' option 'config.metrics' must be false or { route: 'name' }, got an object with 1 key/],
    [{ route: 5 }, /route '\/' option 'config.metrics' must be false or { route: 'name' }, got an object with 1 key/],
    [true, /option 'config.metrics' must be false or { route: 'name' }, got true/],
    ['name', /option 'config.metrics' must be false or { route: 'name' }, got a string/],
    [null, /option 'config.metrics' must be false or { route: 'name' }, got null/],
    [{ name: 'x' }, /option 'config.metrics.name' must be left out; the options are route, longLived/],
    [{ longLived: 'yes' }, /option 'config.metrics.longLived' must be true or false, got a string/],
    [{ longLived: null }, /option 'config.metrics.longLived' must be true or false, got null/]
  ]
  for (const [said, message] of wrong) {
    t.throws(() => app.get('/', { config: { metrics: said as never } }, async () => ''), { code: 'FP_ERR_INVALID_OPTION', message }, JSON.stringify(said))
  }
  const right: unknown[] = [undefined, false, {}, { route: 'x' }, { route: undefined, longLived: undefined }, { longLived: true }, { longLived: false }]
  for (const [i, said] of right.entries()) t.doesNotThrow(() => app.get(`/${i}`, { config: { metrics: said as never } }, async () => ''))
})

t.test('what a route from before the plugin says wrongly of itself counts as not said, and is logged at its first request', async (t) => {
  const said: unknown[] = [true, 'name', null, 5, { route: '' }, { route: 5 }, { longLived: 'yes' }]
  const { app, page } = await service(t, { before: (app) => { for (const [i, metrics] of said.entries()) app.get(`/${i}`, { config: { metrics: metrics as never } }, async () => 'ok') } })
  for (const i of said.keys()) t.equal((await app.inject(`/${i}`)).body, 'ok')
  const after = await page()
  t.same(after.values('http_requests_received_total', 'route'), said.map((_, i) => `/${i}`))
  t.same(after.of('http_streams_open'), [])
  t.equal(after.sum('metrics_instrumentation_errors_total'), 0)
})

t.test('a misspelt config of a route beside a plugin that was not awaited is logged once, with what to write', async (t) => {
  const warnings: string[] = []
  const log = Fastify({ logger: { level: 'warn', stream: { write: (line: string) => { warnings.push((JSON.parse(line) as { msg: string }).msg) } } } })
  t.teardown(() => log.close())
  log.register(metricsPlugin, { registry: new Registry() })
  log.get('/walks', { config: { metrics: { rout: 'walks' } as never } }, async () => 'ok')
  for (let i = 0; i < 3; i++) t.equal((await log.inject('/walks')).statusCode, 200)
  t.equal(warnings.length, 1)
  t.match(warnings[0], /^FP_ERR_INVALID_OPTION: route '\/walks' option 'config\.metrics\.rout' must be left out; the options are route, longLived, .*; it is ignored/)

  const broken = Fastify({ loggerInstance: { level: 'warn', info () {}, error () {}, debug () {}, fatal () {}, trace () {}, warn () { throw new Error('of the test') }, child () { return this } } as never })
  t.teardown(() => broken.close())
  broken.register(metricsPlugin, { registry: new Registry() })
  broken.get('/walks', { config: { metrics: 7 as never } }, async () => 'ok')
  t.equal((await broken.inject('/walks')).body, 'ok')
  t.match(await broken.metrics.render(), 'http_requests_received_total{method="GET",route="/walks",scheme="http"} 1\n', 'a logger that throws costs no request')
})

t.test('the options are not changed, and the defaults need none', async (t) => {
  t.teardown(() => register.clear())
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(metricsPlugin)
  app.get('/', async () => 'ok')
  await app.inject('/')
  const { body, headers } = await app.inject('/metrics')
  t.equal(headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8')
  const page = new Page(body)
  t.equal(page.sum('http_requests_received_total', { route: '/' }), 1)
  t.equal(page.sum('http_requests_received_total', { route: '/metrics' }), 0, 'the endpoint itself is not counted')
  t.equal(page.of('process_cpu_user_seconds_total').length, 1, 'runtime metrics are there')
  t.equal(app.metrics.registry, register)

  const options = Object.freeze({ registry: new Registry(), endpoint: Object.freeze({ path: '/m', counted: true, logLevel: 'silent' as const }), buckets: Object.freeze({ duration: Object.freeze([1]) }) })
  const second = Fastify()
  t.teardown(() => second.close())
  await second.register(metricsPlugin, options)
  await second.inject('/m')
  const counted = new Page((await second.inject('/m')).body)
  t.equal(counted.sum('http_requests_received_total', { route: '/m' }), 2, 'the endpoint is counted where asked')
  t.same(counted.of('http_request_duration_seconds_bucket', { route: '/m' }).map(({ labels }) => labels.le), ['1.0', '+Inf'])
})

t.test('the endpoint takes Fastify route options, so a hook protects it; false leaves it out', async (t) => {
  const guarded = await service(t, {
    options: { endpoint: { path: '/internal/metrics', onRequest: async (request, reply) => { if (request.headers.authorization !== 'let me') return reply.code(401).send() } } }
  })
  t.equal((await guarded.app.inject('/internal/metrics')).statusCode, 401)
  t.equal((await guarded.app.inject({ url: '/internal/metrics', headers: { authorization: 'let me' } })).statusCode, 200)
  const without = await service(t, { options: { endpoint: false } })
  t.equal((await without.app.inject('/metrics')).statusCode, 404)
  t.match(await without.app.metrics.render(), /http_requests_received_total/)
})

t.test('routes are left out or renamed, by the plugin and by themselves', async (t) => {
  const { app, port, page } = await service(t, {
    options: { excludeRoutes: ['/health', /^\/internal\//g, '__unmatched__'] },
    routes: (app) => {
      for (const path of ['/health', '/healthy', '/internal/a', '/internal/b']) app.get(path, async () => 'ok')
      app.get('/quiet', { config: { metrics: false } }, async () => { throw new Error('quiet') })
      app.get('/a/:b/:c', { config: { metrics: { route: 'named' } } }, async () => 'ok')
    }
  })
  for (const path of ['/health', '/healthy', '/internal/a', '/internal/b', '/internal/b', '/quiet', '/a/1/2', '/nowhere']) await app.inject(path)
  await exchange(port, get('/%'))
  const body = await page()
  t.same(body.values('http_requests_received_total', 'route'), ['/healthy', 'named'])
  t.same(body.values('http_request_duration_seconds_count', 'route'), ['/healthy', 'named'])
  t.same(body.values('http_handler_duration_seconds_count', 'route'), ['/healthy', 'named'])
  t.same(body.of('http_exceptions_total'), [])
  t.same(body.values('http_requests_in_flight', 'route'), ['/healthy', 'named'])
  t.equal(body.sum('metrics_instrumentation_errors_total'), 0)
})

t.test('labels of the user are bounded, and one that throws is counted and hidden', async (t) => {
  const { app, page, port } = await service(t, {
    options: {
      labels: {
        tenant: (request) => request.headers['x-tenant'] as string,
        plan: (_request, reply) => { if (reply.statusCode === 200) throw new Error('no plan'); return 'free' }
      }
    },
    routes: (app) => { app.get('/', async () => 'ok') }
  })
  for (let i = 0; i < 150; i++) t.equal((await app.inject({ url: '/', headers: { 'x-tenant': `tenant ${i}` } })).body, 'ok')
  await app.inject('/nowhere')
  await exchange(port, get('/%'))
  const body = await page()
  const tenants = body.values('http_request_duration_seconds_count', 'tenant')
  t.equal(tenants.filter((tenant) => tenant.startsWith('tenant')).length, 100)
  t.equal(body.sum('http_request_duration_seconds_count', { tenant: '_OTHER' }), 50)
  t.equal(body.sum('http_request_duration_seconds_count', { tenant: '', plan: 'free' }), 1)
  t.equal(body.sum('http_request_duration_seconds_count', { tenant: '', plan: '' }), 1, 'a request that never came to Fastify has no labels')
  t.equal(body.sum('http_request_duration_seconds_count', { plan: '_ERROR' }), 150)
  t.equal(body.sum('metrics_instrumentation_errors_total', { source: 'label plan' }), 150)
})

t.test('registered twice, in two services and in every test, it is safe', async (t) => {
  const registry = new Registry()
  for (let i = 0; i < 2; i++) {
    const before = await snapshot(registry)
    const app = Fastify()
    app.register(metricsPlugin, { registry })
    app.register(metricsPlugin, { registry })
    app.register(async (child) => { child.register(metricsPlugin, { registry }) })
    app.get('/', async () => 'ok')
    await app.inject('/')
    const body = new Page((await app.inject('/metrics')).body)
    await assertSeriesChanged(registry, before, 'http_requests_received_total', { method: 'GET', route: '/', scheme: 'http' }, 1)
    await assertSeriesChanged(registry, before, 'http_request_duration_seconds_count', { method: 'GET', route: '/', status_code: '200' }, 1)
    await assertSeries(registry, 'http_requests_in_flight', { method: 'GET', route: '/' }, 0)
    t.same(body.samples.filter(({ name }) => name.startsWith('metrics_series')), [], 'nothing is near its cap')
    await app.close()
  }
  const conflict = Fastify()
  conflict.register(metricsPlugin, { registry, buckets: { duration: [1, 2] } })
  await t.rejects(async () => { await conflict.ready() }, { code: 'FP_ERR_METRIC_CONFLICT', message: /'http_request_duration_seconds' as histogram\(.*'prefix' or a 'registry'/ })
})

t.test('a decorator that another plugin put under its name is refused, not taken for its own', async (t) => {
  const app = Fastify()
  app.decorate('metrics', { registry: {} } as never)
  app.register(metricsPlugin, { registry: new Registry() })
  await t.rejects(async () => { await app.ready() }, { code: 'FST_ERR_DEC_ALREADY_PRESENT' })
})

t.test('in a scope of its own it sees that scope alone', async (t) => {
  const registry = new Registry()
  const app = Fastify()
  t.teardown(() => app.close())
  app.register(async (scope) => {
    scope.register(metricsPlugin, { registry, runtime: false, endpoint: false })
    scope.get('/in', async () => 'in')
  })
  app.get('/out', async () => 'out')
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  for (const path of ['/in', '/out', '/%']) await (await fetch(url + path)).text()
  t.same(new Page(await registry.metrics()).values('http_requests_received_total', 'route'), ['/in'])
})

t.test('one page: ours and the users\', a prefix before every name of ours, one failing metric costs only itself', async (t) => {
  const registry = new Registry()
  const walks = new PromCounter({ name: 'walks_started', help: 'Walks.', registers: [registry] })
  walks.inc(2)
  new Counter({ name: 'ours', help: 'Ours.', registers: [registry] }).inc(3)
  let broken = true
  // eslint-disable-next-line no-new -- a metric registers itself
  new PromCounter({ name: 'broken', help: 'Broken.', registers: [registry], collect () { if (broken) throw new Error('no value') } })
  registry.setDefaultLabels({ zone: 'eu' })
  const app = Fastify()
  t.teardown(() => app.close())
  app.register(metricsPlugin, { registry, prefix: 'dogs_' })
  app.get('/', async () => 'ok')
  await app.inject('/')
  let body = new Page((await app.inject('/metrics')).body)
  t.equal(body.sum('walks_started', { zone: 'eu' }), 2)
  t.equal(body.sum('ours'), 3)
  t.equal(body.sum('dogs_http_requests_received_total', { zone: 'eu' }), 1)
  t.equal(body.of('dogs_process_cpu_user_seconds_total').length, 1)
  t.same(body.of('broken'), [])
  broken = false
  body = new Page((await app.inject('/metrics')).body)
  t.equal(body.of('broken').length, 1)
  t.equal(body.sum('dogs_metrics_instrumentation_errors_total', { source: 'metric broken' }), 1)
  for (const { name } of body.samples) t.match(name, /^(dogs_|walks_started|ours|broken)/)
})

t.test('the registries of the three libraries serve', async (t) => {
  for (const registry of [new Registry(), new prometheusIo.Registry(), new platformatic.Registry()]) {
    const app = Fastify()
    await app.register(metricsPlugin, { registry })
    app.get('/', async () => 'ok')
    await app.inject('/')
    const body = new Page((await app.inject('/metrics')).body)
    t.equal(body.sum('http_request_duration_seconds_count', { route: '/' }), 1)
    t.equal(new Page(await registry.metrics()).sum('http_requests_received_total', { route: '/' }), 1, 'the registry prints them itself')
    t.ok(body.of('nodejs_version_info').length)
    await app.close()
  }
})

t.test('promtool finds nothing wrong with the page', async (t) => {
  const { app } = await service(t, {
    options: { registry: new Registry() },
    routes: (app) => { app.get('/"quoted\\:id', async () => { throw new Error('x') }) }
  })
  await app.inject('/%22quoted%5Cx')
  await app.inject('/nowhere')
  promtoolIsContent(t, await app.metrics.render())
})
