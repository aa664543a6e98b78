import { Readable } from 'node:stream'
import fc from 'fast-check'
import Fastify, { type FastifyInstance } from 'fastify'
import type { AddressInfo } from 'node:net'
import { Registry } from 'prom-client'
import t from 'tap'
import { metricsPlugin, type Histogram } from '../../src/index.js'
import { exchange, service } from '../support/http.js'
import { Page } from '../support/page.js'

function routes (app: FastifyInstance, seen: unknown[]): void {
  app.setErrorHandler((error: Error & { statusCode?: number }, request, reply) => {
    seen.push(['error handler', error.message, error.stack?.split('\n').filter((line) => !line.includes('node_modules') && !line.includes('node:')).length])
    reply.code(error.statusCode ?? 500).send({ error: error.message, url: request.url })
  })
  app.addHook('onResponse', async (request, reply) => {
    seen.push(['onResponse', request.url, reply.statusCode, request.raw.listenerCount('data'), reply.raw.listenerCount('finish')])
  })
  app.addHook('onError', async (_request, _reply, error) => { seen.push(['onError', error.message]) })
  app.get('/sync', (_request, reply) => { reply.send({ sync: true }) })
  app.get('/async', async function (request) { return { async: true, same: this === app, handler: typeof request.routeOptions.handler, keys: Object.keys(request).length } })
  app.get('/throws', async () => { throw new TypeError('thrown') })
  app.get('/throws-sync', () => { throw new TypeError('thrown') })
  app.get('/rejects-later', (_request, reply) => { setImmediate(() => reply.send(new Error('later'))) })
  app.get('/stream', (_request, reply) => { reply.send(Readable.from(['a', 'b'])) })
  app.get('/stream-fails', (_request, reply) => { reply.send(new Readable({ read () { this.destroy(new Error('source')) } })) })
  app.get('/hook', { preHandler: async () => { throw new RangeError('hook') } }, async () => 'never')
  app.post('/echo', async (request) => request.body)
  app.get('/twice', (_request, reply) => {
    reply.send('once')
    try {
      reply.send('twice')
    } catch (error) {
      seen.push(['second send', (error as { code: string }).code])
    }
  })
}

t.test('an application answers and behaves the same with and without it', async (t) => {
  const runs: unknown[][] = []
  for (const instrumented of [false, true]) {
    const seen: unknown[] = []
    const app = Fastify()
    t.teardown(() => app.close())
    const warnings: unknown[] = []
    const onWarning = (warning: Error) => warnings.push(warning.message)
    process.on('warning', onWarning)
    if (instrumented) await app.register(metricsPlugin, { registry: new Registry(), runtime: false })
    routes(app, seen)
    await app.listen({ port: 0, host: '127.0.0.1' })
    const { port } = app.server.address() as AddressInfo
    const answers: string[] = []
    const head = (path: string, more = '') => `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${more}\r\n`
    for (const path of ['/sync', '/async', '/throws', '/throws-sync', '/rejects-later', '/stream', '/stream-fails', '/hook', '/twice', '/nowhere', '/%']) {
      answers.push(await exchange(port, head(path)))
    }
    answers.push(await exchange(port, 'POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\nContent-Type: text/plain\r\n\r\n', '5\r\nhello\r\n', '6\r\n world\r\n', '0\r\n\r\n'))
    answers.push(await exchange(port, 'POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 4\r\nContent-Type: application/json\r\n\r\n{"a"'))
    answers.push(await exchange(port, 'NONSENSE\r\n\r\n'))
    process.off('warning', onWarning)
    runs.push([answers.map((answer) => answer.replace(/date: .*\r\n/i, '')), seen, warnings])
  }
  t.match((runs[0] as [string[]])[0][0], /200 OK[^]*"sync":true/)
  t.same(runs[1], runs[0])
})

t.test('a recorder that fails is counted and never reaches the application', async (t) => {
  const { app, registry, url, page } = await service(t, { routes: (app) => { app.get('/', async () => 'ok') } })
  const sabotage = (name: string) => {
    const family = registry.getSingleMetric(name) as unknown as Histogram
    family.resolve = () => { throw new Error('sabotage') }
  }
  for (const name of ['http_requests_received_total', 'http_request_duration_seconds', 'http_handler_duration_seconds', 'http_request_size_bytes']) sabotage(name)
  for (let i = 0; i < 3; i++) t.equal(await (await fetch(url)).text(), 'ok')
  t.equal((await app.inject('/nowhere')).statusCode, 404)
  t.ok((await page()).sum('metrics_instrumentation_errors_total', { source: 'http' }) > 0)
})

t.test('hostile input leaves the number of series where it is', async (t) => {
  const { port, page, app } = await service(t, {
    routes: (app) => {
      app.get('/items/:id', async () => 'item')
      app.post('/items', async () => 'made')
    }
  })
  const labelSets = async () => new Set((await page()).of('http_requests_received_total').map(({ labels }) => JSON.stringify(labels))).size
  const token = fc.stringMatching(/^[a-zA-Z0-9%._~-]{1,40}$/)
  const method = fc.constantFrom('GET', 'POST', 'PROPFIND', 'PURGE', 'M-SEARCH', 'LINK', 'REPORT', 'CONNECT', 'FOO')
  await fc.assert(fc.asyncProperty(method, fc.array(token, { maxLength: 4 }), token, async (method, path, value) => {
    await exchange(port, `${method} /items/${path.join('/')}?${value} HTTP/1.1\r\nHost: ${value}\r\nConnection: close\r\nX-${value.replace(/[^a-zA-Z]/g, '')}: ${value}\r\n\r\n`)
  }), { numRuns: 150 })
  const few = await labelSets()
  t.ok(few <= 12, `${few} label sets: two routes, and the known methods on none`)
  for (let i = 0; i < 300; i++) await app.inject({ method: 'GET', url: `/scan/${i}/${Math.random()}` })
  t.ok(await labelSets() <= few + 1)
  const body = await page()
  t.equal(body.sum('http_requests_received_total'), body.sum('http_request_duration_seconds_count') + body.sum('http_requests_in_flight'))
  for (const label of ['route', 'method']) {
    for (const value of body.values('http_request_duration_seconds_count', label)) t.match(value, /^(__unmatched__|\/items(\/:id)?|_OTHER|[A-Z]+)$/)
  }
})

t.test('a scrape while requests come and go adds up, every time', async (t) => {
  const { app } = await service(t, { routes: (app) => { app.get('/', async () => new Promise((resolve) => setImmediate(resolve, 'ok'))) } })
  const requests = Promise.all(Array.from({ length: 200 }, () => app.inject('/')))
  for (let i = 0; i < 20; i++) {
    const page = new Page(await app.metrics.render())
    t.equal(page.sum('http_requests_received_total'), page.sum('http_request_duration_seconds_count') + page.sum('http_requests_in_flight'))
    const [count] = page.of('http_request_duration_seconds_count')
    t.equal(count?.value, page.of('http_request_duration_seconds_bucket', { le: '+Inf' })[0]?.value)
    await new Promise(setImmediate)
  }
  await requests
})
