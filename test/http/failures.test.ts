import { once } from 'node:events'
import { tracingChannel } from 'node:diagnostics_channel'
import type { Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest, FastifyServerOptions } from 'fastify'
import t from 'tap'
import type { MetricsPluginOptions } from '../../src/index.js'
import { HTTP_METRICS } from '../../src/http/families.js'
import { checkBooks, closings, endings } from '../support/books.js'
import { exchange, open, service } from '../support/http.js'

const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Request-Start: t=${(Date.now() / 1000).toFixed(3)}\r\nX-Requested-With: XMLHttpRequest\r\n\r\n`
const fails = () => { throw new Error('no') }

/** What an error of our own may come from, and the request that meets it. */
const failures: Record<string, {
  options?: MetricsPluginOptions
  server?: FastifyServerOptions
  before?: (app: FastifyInstance) => void
  /** A metric, and what of it throws. */
  broken?: [metric: string, method: string]
  request: string
  answer: RegExp
}> = {
  'a route that cannot be looked up': { options: { excludeRoutes: [Object.assign(/x/, { [Symbol.search]: fails })] }, request: get('/'), answer: /^HTTP\/1.1 200.*ok$/s },
  'a route that cannot be looked up, answered by a hook from before': {
    options: { excludeRoutes: [Object.assign(/x/, { [Symbol.search]: fails })] },
    before: (app) => { app.addHook('onRequest', async (_request, reply) => await reply.send('before')) },
    request: get('/'),
    answer: /^HTTP\/1.1 200.*before$/s
  },
  'a route whose series cannot be made': { broken: ['http_requests_received_total', 'labels'], request: get('/'), answer: /^HTTP\/1.1 200.*ok$/s },
  'a duration that cannot be observed': { broken: ['http_request_duration_seconds', 'labels'], request: get('/'), answer: /^HTTP\/1.1 200.*ok$/s },
  'an open stream that cannot be observed': { broken: ['http_request_duration_seconds', 'labels'], request: get('/events'), answer: /^HTTP\/1.1 200.*first/s },
  'an exception that cannot be counted': { broken: ['http_exceptions_total', 'inc'], request: get('/throws'), answer: /^HTTP\/1.1 500.*thrown/s },
  'a refusal that cannot be counted': { broken: ['http_client_errors_total', 'inc'], request: 'NONSENSE\r\n\r\n', answer: /^HTTP\/1.1 400/ },
  'a template that cannot be counted': {
    options: { metrics: { http_responses_template_total: true } },
    broken: ['http_responses_template_total', 'inc'],
    request: get('/view'),
    answer: /^HTTP\/1.1 200.*viewed$/s
  },
  'a request that cannot be read': {
    server: {
      frameworkErrors (_error: Error, request: FastifyRequest, reply: FastifyReply) {
        Object.defineProperty(request.raw, 'headers', { get: fails })
        reply.code(400).send('bad')
      }
    } as FastifyServerOptions,
    request: get('/%'),
    answer: /^HTTP\/1.1 400.*bad$/s
  }
}

const routes = (app: FastifyInstance) => {
  app.decorateReply('view', function (this: FastifyReply, page: unknown) { return this.send(page === undefined ? 'none' : 'viewed') })
  app.get('/', async () => 'ok')
  app.get('/throws', async () => { throw new Error('thrown') })
  app.get('/view', (_request, reply) => (reply as unknown as { view (page: unknown): unknown }).view('walks'))
  app.get('/views/object', (_request, reply) => (reply as unknown as { view (page: unknown): unknown }).view({}))
  app.get('/events', { config: { metrics: { longLived: true } } }, (_request, reply) => {
    reply.hijack()
    reply.raw.writeHead(200)
    reply.raw.write('first')
    setImmediate(() => reply.raw.end())
  })
}

t.test('an error of ours is counted, and the application answers as it would', async (t) => {
  for (const [name, { options = {}, server = {}, before = () => {}, broken, request, answer }] of Object.entries(failures)) {
    const { port, registry, page } = await service(t, { options, server, before, routes })
    if (broken !== undefined) Object.defineProperty(registry.getSingleMetric(broken[0]), broken[1], { value: fails, configurable: true })
    t.match(await exchange(port, request), answer, name)
    t.ok((await page()).sum('metrics_instrumentation_errors_total', { source: 'http' }) >= 1, `${name} is counted`)
  }
})

t.test('each metric can be switched off, and nothing else changes', async (t) => {
  for (const off of HTTP_METRICS) {
    const { port, page } = await service(t, { options: { metrics: { ...Object.fromEntries(HTTP_METRICS.map((name) => [name, name !== off])) } }, routes })
    for (const path of ['/', '/throws', '/view', '/views/object', '/events', '/nowhere', '/%']) await exchange(port, get(path))
    const after = await page()
    t.notMatch(after.text, new RegExp(`^# TYPE ${off} `, 'm'))
    t.equal(after.sum('metrics_instrumentation_errors_total'), 0, `without ${off}`)
    if (off !== 'http_requests_received_total') t.equal(after.sum('http_requests_received_total'), 7)
    if (off !== 'http_request_duration_seconds') t.equal(after.sum('http_request_duration_seconds_count'), 7)
    if (off !== 'http_responses_template_total') t.same(after.values('http_responses_template_total', 'template'), ['_OTHER', 'walks'])
    if (off !== 'http_streams_open') t.same(after.values('http_streams_open', 'route'), ['/events'], 'routes without streams have no such series')
  }
})

t.test('a Fastify that keeps its routes elsewhere is told of once, and all else is observed', async (t) => {
  const warnings: string[] = []
  const { app, page } = await service(t, {
    server: { logger: { level: 'warn', stream: { write: (line: string) => { warnings.push(line) } } } },
    before: (app) => {
      app.addHook('onRequest', (request, _reply, done) => {
        const [symbol, ...others] = Object.getOwnPropertySymbols(request).filter(({ description }) => description === 'fastify.context')
        t.same(others, [])
        const own = Object.getOwnPropertyDescriptor(request, symbol as symbol) as PropertyDescriptor
        Reflect.deleteProperty(request, symbol as symbol)
        Object.setPrototypeOf(request, Object.create(Object.getPrototypeOf(request) as object, { [symbol as symbol]: own }) as object)
        done()
      })
    },
    routes
  })
  for (const path of ['/', '/', '/throws']) await app.inject(path)
  const after = await page()
  t.same(endings(after), ['200', '200', '500'])
  t.equal(after.sum('http_handler_duration_seconds_count'), 0)
  t.equal(after.sum('metrics_instrumentation_errors_total', { source: 'http' }), 1)
  t.equal(warnings.filter((line) => line.includes('keeps its routes in a way that is not known')).length, 1)
})

t.test('a handler that starts after its client left is not measured', async (t) => {
  let go = () => {}
  const { app, port, page } = await service(t, {
    routes: (app) => {
      app.get('/', {
        preHandler: (_request, _reply, done) => {
          go = done
          app.server.emit('held')
        }
      }, async () => {
        app.server.emit('handled')
        return 'late'
      })
    }
  })
  const held = once(app.server, 'held')
  const gone = closings(app, 1)
  const socket = await open(port)
  socket.write(get('/'))
  await held
  socket.destroy()
  await gone
  const handled = once(app.server, 'handled')
  go()
  await handled
  await new Promise(setImmediate)
  const after = await page()
  t.same(endings(after), ['499 aborted'])
  t.equal(after.sum('http_handler_duration_seconds_count'), 0)
  checkBooks(t, after)
})

t.test('what another copy of this package publishes on the channel is none of ours', async (t) => {
  const uncaught: unknown[] = []
  const caught = (error: unknown) => { uncaught.push(error) }
  process.on('uncaughtException', caught)
  t.teardown(() => process.off('uncaughtException', caught))
  t.equal(tracingChannel('fastify-prometheus.handler').traceSync(() => 'theirs', {} as never), 'theirs')
  await new Promise(setImmediate)
  t.same(uncaught, [])
})

/** A query of some library: no promise, and run by its `then`. */
class Query {
  runs = 0
  constructor (readonly failure?: Error) {}
  then (resolve: (value: string) => void, reject: (reason: Error) => void): void {
    this.runs++
    setImmediate(() => this.failure === undefined ? resolve('ok') : reject(this.failure))
  }
}

t.test('a handler that returns a thenable is measured when that settles, however it does', async (t) => {
  const queries = [new Query(), new Query(new Error('no'))]
  const { app, page } = await service(t, { routes: (app) => { for (const [i, query] of queries.entries()) app.get(`/${i}`, () => query) } })
  t.equal((await app.inject('/0')).body, 'ok')
  t.equal((await app.inject('/1')).statusCode, 500)
  const after = await page()
  for (const [i, query] of queries.entries()) {
    t.equal(after.sum('http_handler_duration_seconds_count', { route: `/${i}` }), 1)
    t.equal(query.runs, 1, 'it runs once')
    t.notOk(Object.hasOwn(query, 'then'), 'and is as it was')
  }
})

t.test('a handler that returns null, or what has no then, is measured', async (t) => {
  const uncaught: unknown[] = []
  const caught = (error: unknown) => { uncaught.push(error) }
  process.on('uncaughtException', caught)
  t.teardown(() => process.off('uncaughtException', caught))
  const values = [null, 'text', { then: 'no' }]
  const { app, page } = await service(t, { routes: (app) => { for (const [i, value] of values.entries()) app.get(`/${i}`, () => value) } })
  for (const i of values.keys()) t.equal((await app.inject(`/${i}`)).statusCode, 200)
  const after = await page()
  for (const i of values.keys()) t.equal(after.sum('http_handler_duration_seconds_count', { route: `/${i}` }), 1)
  t.same(uncaught, [])
})

t.test('hooks of the application run beside those of the plugin, where another was first', async (t) => {
  const ran: string[] = []
  const { app } = await service(t, {
    before: (app) => { app.addHook('onRequest', async () => { ran.push('before') }) },
    routes: (app) => {
      app.addHook('onRequest', async () => { ran.push('onRequest') })
      app.addHook('onError', async () => { ran.push('onError') })
      const answered = new Promise<void>((resolve) => app.addHook('onResponse', async () => {
        ran.push('onResponse')
        resolve()
      }))
      app.get('/', async () => { throw new Error('no') })
      app.decorate('answered', () => answered)
    }
  })
  await app.inject('/')
  await (app as unknown as { answered (): Promise<void> }).answered()
  t.same(ran, ['before', 'onRequest', 'onError', 'onResponse'])
})

t.test('a caller of inject() who destroys the stream of the answer has left', async (t) => {
  const { app, page } = await service(t, {
    routes: (app) => {
      app.get('/', (_request, reply) => {
        reply.hijack()
        reply.raw.writeHead(200)
        reply.raw.write('first')
      })
    }
  })
  const answer = await app.inject({ url: '/', payloadAsStream: true } as never) as unknown as { stream (): Readable }
  const stream = answer.stream()
  await once(stream, 'readable')
  const closed = once(stream, 'close')
  stream.destroy()
  await closed
  const after = await page()
  t.same(endings(after), ['499 aborted'])
  checkBooks(t, after)
})
