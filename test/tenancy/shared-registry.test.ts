import Fastify, { type FastifyInstance } from 'fastify'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import * as prometheusIo from '@prometheus-io/client'
import * as platformatic from '@platformatic/prom-client'
import { Counter as PromCounter, Registry, collectDefaultMetrics } from 'prom-client'
import t from 'tap'
import pg from 'pg'
import { instrumentPool } from '../../adapters/pg.js'
import { Counter, metricsPlugin, metricsServer, type MetricsPluginOptions, type RegistryLike } from '../../src/index.js'
import { beginTenancy } from '../../src/tenancy/tenants.js'
import { assertSeries, snapshot } from '../../src/testing/index.js'
import { Page } from '../support/page.js'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

interface Test { teardown (fn: () => unknown): void }

/** An application and the warnings in its log. */
async function application (t: Test, options: MetricsPluginOptions, server: object = {}): Promise<{ app: FastifyInstance, warnings: string[] }> {
  const warnings: string[] = []
  const app = Fastify({ ...server, logger: { level: 'warn', stream: { write: (line: string) => warnings.push((JSON.parse(line) as { msg: string }).msg) } } })
  t.teardown(() => app.close())
  await app.register(metricsPlugin, { runtime: false, ...options })
  app.get('/walks', async () => 'ok')
  return { app, warnings }
}

const SHARED = /another open application .* 'registry: new Registry\(\)'/

t.test('a second application in the same registry says so once, while the first is open', async (t) => {
  const registry = new Registry()
  const first = await application(t, { registry })
  const second = await application(t, { registry })
  await second.app.register(async (scope) => { await scope.register(metricsPlugin, { registry }) })
  t.same(first.warnings, [])
  t.match(second.warnings, [SHARED, /registered already/])
  t.equal(second.warnings.length, 2)
  const said: string[] = []
  const apart = Fastify({ logger: { level: 'warn', stream: { write: (line: string) => said.push((JSON.parse(line) as { msg: string }).msg) } } })
  for (const prefix of ['/a', '/b']) apart.register(async (scope) => { await scope.register(metricsPlugin, { registry, runtime: false }) }, { prefix })
  await apart.ready()
  t.equal(said.length, 1, 'two scopes of one application say it once')
  await apart.close()
  await first.app.close()
  const third = await application(t, { registry })
  t.match(third.warnings, [SHARED], 'the second is open')
  await Promise.all([second.app.close(), third.app.close()])
  const fourth = await application(t, { registry })
  t.same(fourth.warnings, [], 'all others are closed')
})

t.test('what does not share numbers is not warned of', async (t) => {
  const registry = new Registry()
  await application(t, { registry })
  for (const options of [{ registry, prefix: 'dogs_' }, { registry: new Registry() }]) t.same((await application(t, options)).warnings, [])
  const server = await metricsServer({ port: 0, registry })
  t.teardown(() => server.close())
  // Two scopes of one application, and several listeners of it.
  const warnings: string[] = []
  const app = Fastify({ logger: { level: 'warn', stream: { write: (line: string) => warnings.push((JSON.parse(line) as { msg: string }).msg) } } })
  t.teardown(() => app.close())
  const own = new Registry()
  for (const prefix of ['/a', '/b']) app.register(async (scope) => { await scope.register(metricsPlugin, { registry: own, runtime: false }) }, { prefix })
  await app.listen({ port: 0, host: 'localhost' })
  t.same(warnings, [])
  t.equal((await app.inject('/b/metrics')).statusCode, 200)
})

t.test('an application behind a server of the user\'s is known by that', async (t) => {
  const registry = new Registry()
  const factory = { serverFactory: (handler: (request: IncomingMessage, response: ServerResponse) => void) => createServer(handler) }
  await application(t, { registry }, factory)
  t.match((await application(t, { registry }, factory)).warnings, [SHARED])
})

t.test('after register.clear() the page has this package\'s metrics from zero, and the runtime\'s', async (t) => {
  const registries: RegistryLike[] = [new Registry(), new prometheusIo.Registry() as RegistryLike, new platformatic.Registry() as RegistryLike]
  const openMetrics = new Registry()
  openMetrics.setContentType(Registry.OPENMETRICS_CONTENT_TYPE as never)
  for (const registry of [...registries, openMetrics]) {
    const { app } = await application(t, { registry, runtime: true, prefix: 'dogs_' })
    const pool = new pg.Pool()
    const undo = instrumentPool(pool, { registry, prefix: 'dogs_' })
    const walks = new Counter({ name: 'walks_total', help: 'Walks.', registers: [registry] })
    walks.inc()
    for (let i = 0; i < 3; i++) await app.inject('/walks')
    // A registry of OpenMetrics takes _total off the names of counters here.
    await registry.metrics()
    const before = new Page((await app.inject('/metrics')).body)
    // Twice, and with none between: nothing is put back that was not there.
    for (let i = 0; i < 2; i++) (registry as Registry).clear()
    t.same(registry.getMetricsAsArray(), [], 'it is empty, as ever')
    await app.inject('/walks')
    const page = new Page((await app.inject('/metrics')).body)
    t.equal(before.sum('dogs_http_requests_received_total', { route: '/walks' }), 3)
    t.equal(page.sum('dogs_http_requests_received_total', { route: '/walks' }), 1)
    t.equal(page.sum('dogs_http_request_duration_seconds_count', { route: '/walks' }), 1)
    t.equal(page.of('dogs_process_cpu_user_seconds_total').length, 1)
    t.equal(page.of('dogs_nodejs_version_info').length, 1)
    t.equal(page.sum('dogs_db_pool_connections_max'), 10)
    t.equal(page.of('dogs_metrics_exposition_duration_seconds_count').length, 1)
    t.same(page.of('walks_total'), [], "the user's own are the user's to put back")
    const families = (text: string) => [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name as string).filter((name) => name !== 'walks_total').sort()
    t.same(families(page.text), families(before.text), 'each family is there')
    await assertSeries(registry, 'dogs_http_requests_in_flight', { method: 'GET', route: '/walks' }, 0)
    undo()
    await app.close()
    t.notOk(Object.hasOwn(registry, 'clear'), 'the registry has its own clear again')
    ;(registry as Registry).clear()
    t.same(registry.getMetricsAsArray(), [])
  }
})

t.test('render(), a port of its own and metricsServer put them back too', async (t) => {
  const registry = new Registry()
  const { app } = await application(t, { registry, endpoint: { port: 0 } })
  await app.ready()
  await app.inject('/walks')
  registry.clear()
  t.match(await app.metrics.render(), '# TYPE http_requests_received_total counter\n')
  registry.clear()
  t.match(await (await fetch(app.metrics.server?.url ?? '')).text(), '# TYPE http_requests_in_flight gauge\n')
  const own = new Registry()
  const server = await metricsServer({ port: 0, registry: own })
  const undo = instrumentPool(new pg.Pool(), { registry: own })
  own.clear()
  t.match(await (await fetch(server.url)).text(), '\ndb_pool_connections_max{alias="default",vendor="postgresql"} 10\n')
  undo()
  await server.close()
  own.clear()
  t.notOk(Object.hasOwn(own, 'clear'))
})

t.test('what follows a clear() in the code of users finds the registry empty', async (t) => {
  const registry = new Registry()
  const first = await application(t, { registry, runtime: true })
  registry.clear()
  collectDefaultMetrics({ register: registry })
  const taken = new PromCounter({ name: 'http_requests_received_total', help: 'Theirs.', registers: [registry] })
  const second = await application(t, { registry, metrics: { http_requests_received_total: false }, buckets: { duration: [1, 2] } })
  await second.app.inject('/walks')
  const { statusCode, body } = await first.app.inject('/metrics')
  t.equal(statusCode, 200)
  t.equal(registry.getSingleMetric('http_requests_received_total'), taken)
  t.match(body, /\nhttp_request_duration_seconds_bucket\{[^}]*le="2.0"/, "the second's family has the name now")
})

t.test('a metric that is removed alone stays out, and a registry that takes no properties is cleared', async (t) => {
  const registry = new Registry()
  const { app } = await application(t, { registry })
  registry.removeSingleMetric('http_requests_in_flight')
  await app.inject('/walks')
  t.notMatch((await app.inject('/metrics')).body, 'http_requests_in_flight{')
  const sealed = Object.preventExtensions(new Registry())
  const other = await application(t, { registry: sealed })
  sealed.clear()
  t.equal((await other.app.inject('/metrics')).statusCode, 200)
})

t.test('a clear() that others have put theirs over puts nothing back once the application is closed', async (t) => {
  const registry = new Registry()
  const first = await application(t, { registry, prefix: 'first_' })
  const { clear } = registry
  registry.clear = function () { clear.call(this) }
  await first.app.close()
  registry.clear()
  const second = await application(t, { registry, prefix: 'second_' })
  const page = new Page((await second.app.inject('/metrics')).body)
  t.same(page.samples.filter(({ name }) => name.startsWith('first_')), [])
})

t.test('an application that nobody kept or closed is forgotten', async (t) => {
  const registry = new Registry()
  beginTenancy(registry, '', {})
  t.equal(beginTenancy(registry, '', {}).isShared, true)
  // A WeakRef keeps what it was made of until the turn is over.
  await new Promise(setImmediate)
  collectGarbage()
  t.equal(beginTenancy(registry, '', {}).isShared, false)
})

t.test('afterEach(register.clear) with one application gives each test its own numbers', async (t) => {
  const registry = new Registry()
  const { app } = await application(t, { registry })
  for (let i = 0; i < 3; i++) {
    await app.inject('/walks')
    await app.metrics.render()
    t.equal((await snapshot(registry)).value('http_requests_received_total', { method: 'GET', route: '/walks', scheme: 'http' }), 1)
    registry.clear()
  }
})
