import { createServer } from 'node:net'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import basicAuth from '@fastify/basic-auth'
import bearerAuth from '@fastify/bearer-auth'
import Fastify from 'fastify'
import { Registry } from 'prom-client'
import t from 'tap'
import { Counter, Gauge, metricsPlugin, metricsServer, type MetricsServerOptions } from '../../src/index.js'
import { open, service } from '../support/http.js'

/** A registry with something in it. */
function filled (): Registry {
  const registry = new Registry()
  new Counter({ name: 'walks_total', help: 'Walks.', registers: [registry] }).inc(3)
  return registry
}

/** A port that is taken until teardown. */
async function taken (t: { teardown: (fn: () => unknown) => void }): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  t.teardown(() => server.close())
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

t.test('metricsServer serves /metrics and /-/healthy without an application', async (t) => {
  const server = await metricsServer({ port: 0, registry: filled() })
  t.teardown(() => server.close())
  t.match(server, { host: '127.0.0.1', url: `http://127.0.0.1:${server.port}/metrics` })
  const response = await fetch(server.url)
  t.equal(response.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8')
  t.match(await response.text(), '\nwalks_total 3\n')
  const healthy = await fetch(`http://127.0.0.1:${server.port}/-/healthy`)
  t.equal(healthy.status, 200)
  t.equal(await healthy.text(), 'Healthy\n')
  t.equal((await fetch(`http://127.0.0.1:${server.port}/`)).status, 404)
  // A scraper keeps its connection.
  const idle = await open(server.port)
  await Promise.all([once(idle, 'close'), server.close()])
  await t.rejects(fetch(server.url))
})

t.test('the first free port of a range is taken, and named', async (t) => {
  const port = await taken(t)
  const server = await metricsServer({ port: { from: port, to: Math.min(port + 50, 65_535) }, registry: filled() })
  t.teardown(() => server.close())
  t.ok(server.port > port && server.port <= port + 50)
  t.equal((await fetch(server.url)).status, 200)
  await t.rejects(metricsServer({ port, registry: filled() }), { code: 'FP_ERR_PORT_TAKEN', message: `port ${port} of 127.0.0.1 is taken` })
  await t.rejects(metricsServer({ port: { from: port, to: port }, registry: filled() }), { code: 'FP_ERR_PORT_TAKEN' })
  await t.rejects(metricsServer({ port: 0, host: 'no.such.host.invalid', registry: filled() }), { code: /ENOTFOUND|EAI_AGAIN/ })
})

t.test('what is wrong with the options is said', async (t) => {
  const refused = async (options: unknown, message: string) => await t.rejects(metricsServer(options as MetricsServerOptions), { code: 'FP_ERR_INVALID_OPTION', message })
  await refused({}, "metricsServer option 'port' must be given: a port, or { from, to } for the first free one of them; or give a 'socket', got undefined")
  await refused({ port: -1 }, "metricsServer option 'port' must be a port")
  await refused({ port: '9464' }, "metricsServer option 'port' must be a port")
  await refused({ port: { from: 2, to: 1 } }, "metricsServer option 'port' must be a port")
  await refused({ port: { from: 65_535, to: 65_536 } }, "metricsServer option 'port' must be a port")
  await refused({ port: 0, host: '' }, "metricsServer option 'host' must be an address")
  await refused({ port: 0, path: 'metrics' }, "metricsServer option 'path' must be a path that starts with '/'")
  await refused({ port: 0, maxScrapes: 0 }, "metricsServer option 'maxScrapes' must be a whole number from 1 on")
  await refused({ port: 0, registry: {} }, "metricsServer option 'registry' must be a registry")
})

t.test('the plugin\'s endpoint on a port of its own is there while the application is, and not in it', async (t) => {
  const lines: string[] = []
  const app = Fastify({ logger: { level: 'info', stream: { write: (line: string) => lines.push(JSON.parse(line).msg) } } })
  t.teardown(() => app.close())
  const port = await taken(t)
  app.register(metricsPlugin, { registry: filled(), runtime: false, endpoint: { port: { from: port, to: Math.min(port + 50, 65_535) }, path: '/own' } })
  await app.register(async () => {})
  t.equal(app.metrics.server, undefined, 'not before the application is ready')
  await app.ready()
  const { server } = app.metrics
  if (server === undefined) return t.fail('there is no server')
  t.match(lines, [`metrics are at http://127.0.0.1:${server.port}/own`])
  t.match(await (await fetch(server.url)).text(), 'walks_total 3\n')
  t.equal((await app.inject('/own')).statusCode, 404)
  t.equal((await app.inject('/metrics')).statusCode, 404)
  t.match(await app.metrics.render(), /http_requests_received_total\{.*\} 2\n/, 'the scrape is no traffic of the application')
  await app.close()
  await t.rejects(fetch(server.url))
})

t.test('a registry that is served twice is counted once', async (t) => {
  const registry = filled()
  const breeds = new Gauge({ name: 'breeds', help: 'h', labelNames: ['breed'], registers: [registry] })
  for (let i = 0; i < 100; i++) breeds.set({ breed: i }, 1)
  const { app } = await service(t, { options: { registry } })
  const server = await metricsServer({ port: 0, registry })
  t.teardown(() => server.close())
  for (const page of [(await app.inject('/metrics')).body, await (await fetch(server.url)).text()]) t.match(page, '\nmetrics_series{metric="breeds"} 100\n')
})

t.test('an application does not become ready where no port is free', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  app.register(metricsPlugin, { registry: filled(), runtime: false, endpoint: { port: await taken(t) } })
  await t.rejects(async () => await app.ready(), { code: 'FP_ERR_PORT_TAKEN' })
})

const basic = (password: string) => ({ authorization: `Basic ${Buffer.from(`prometheus:${password}`).toString('base64')}` })

t.test('behind @fastify/basic-auth the page takes the password, as a route and on its own port', async (t) => {
  for (const port of [undefined, 0]) {
    const app = Fastify()
    t.teardown(() => app.close())
    await app.register(basicAuth, {
      authenticate: { realm: 'metrics' },
      async validate (username, password) {
        if (username !== 'prometheus' || password !== 'secret') throw new Error('wrong name or password')
      }
    })
    app.register(metricsPlugin, { registry: filled(), runtime: false, endpoint: { onRequest: app.basicAuth, ...port === undefined ? {} : { port } } })
    app.get('/', async () => 'open')
    await app.listen({ port: 0, host: '127.0.0.1' })
    const own = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`
    const url = app.metrics.server?.url ?? `${own}/metrics`
    const without = await fetch(url)
    t.equal(without.status, 401)
    t.match(without.headers.get('www-authenticate'), 'Basic')
    t.notMatch(await without.text(), 'walks_total')
    t.equal((await fetch(url, { headers: basic('wrong') })).status, 401)
    t.equal((await fetch(url, { method: 'HEAD' })).status, 401)
    const served = await fetch(url, { headers: basic('secret') })
    t.equal(served.status, 200)
    t.match(await served.text(), 'walks_total 3\n')
    t.equal((await fetch(own)).status, 200, 'the application is open')
    if (port !== undefined) t.equal((await fetch(new URL('/-/healthy', url))).status, 200, 'a probe has no password')
  }
})

t.test('behind @fastify/bearer-auth the page takes the token', async (t) => {
  const registry = filled()
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(bearerAuth, { keys: new Set(['secret']), addHook: false })
  if (app.verifyBearerAuth === undefined) return t.fail('bearer-auth gives no hook')
  app.register(metricsPlugin, { registry, runtime: false, endpoint: { onRequest: app.verifyBearerAuth } })
  t.equal((await app.inject('/metrics')).statusCode, 401)
  t.equal((await app.inject({ url: '/metrics', headers: { authorization: 'Bearer wrong' } })).statusCode, 401)
  const served = await app.inject({ url: '/metrics', headers: { authorization: 'Bearer secret' } })
  t.equal(served.statusCode, 200)
  t.match(served.body, 'walks_total 3\n')
})

t.test('any Fastify option of the route holds', async (t) => {
  const sent: string[] = []
  const { app } = await service(t, {
    options: { endpoint: { path: '/own', logLevel: 'error', constraints: { host: 'metrics.example' }, onSend: async (_request, reply, payload) => { sent.push(String(reply.statusCode)); return payload } } }
  })
  t.equal((await app.inject('/own')).statusCode, 404)
  t.equal((await app.inject({ url: '/own', headers: { host: 'metrics.example' } })).statusCode, 200)
  t.equal((await app.inject({ method: 'HEAD', url: '/own', headers: { host: 'metrics.example' } })).statusCode, 200)
  t.same(sent, ['200', '200'])
})
