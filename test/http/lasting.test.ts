import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import Fastify, { type FastifyReply, type FastifyRequest } from 'fastify'
import { Registry } from 'prom-client'
import t from 'tap'
import { metricsPlugin } from '../../src/index.js'
import { checkBooks, closings, endings } from '../support/books.js'
import { exchange, get, open, openBoth, service } from '../support/http.js'
import { Page } from '../support/page.js'

type Spoil = (request: FastifyRequest['raw'] & Record<string, unknown>, response: FastifyReply['raw'] & Record<string, unknown>) => void

const throwing = (target: object, name: string) => { Object.defineProperty(target, name, { get () { throw new Error(`no ${name}`) }, configurable: true }) }

/** What an application may do to the raw request and response while it answers; the client sees nothing of it. */
const spoils: Record<string, Spoil> = {
  'takes the socket off the request, as undici does': (request) => { (request as { socket: unknown }).socket = null },
  'takes the headers off the request': (request) => { Object.defineProperty(request, 'headers', { value: undefined }) },
  'changes the method of the request': (request) => { request.method = 'EVIL' },
  'takes the request off the response': (_request, response) => { (response as { req: unknown }).req = null },
  'has headers that cannot be read': (_request, response) => { response.getHeader = () => { throw new Error('no') } },
  'takes all listeners for close off the response': (_request, response) => { response.removeAllListeners('close') },
  'takes all listeners off the request': (request) => { request.removeAllListeners() },
  ...Object.fromEntries(['statusCode', 'statusMessage', 'writableFinished', 'headersSent', 'closed', 'writableLength'].map((name) =>
    [`has a ${name} that throws`, (_request, response) => { response.once('finish', () => throwing(response, name)) }] as [string, Spoil]))
}

t.test('whatever a handler does to the raw request and response, the request ends, with what its client was told', async (t) => {
  for (const [name, spoil] of Object.entries(spoils)) {
    const { port, page } = await service(t, {
      routes: (app) => {
        app.get('/', async (request, reply) => {
          spoil(request.raw as never, reply.raw as never)
          reply.hijack()
          reply.raw.end('answered')
        })
      }
    })
    t.match(await exchange(port, get('/')), /^HTTP\/1.1 200 OK[^]*answered/)
    // At a scrape at the latest.
    const after = await page()
    t.equal(after.sum('http_request_duration_seconds_count', { route: '/', status_code: '200' }), 1, name)
    t.equal(after.sum('http_requests_in_flight'), 0)
    checkBooks(t, after)
  }
})

t.test('a client that leaves a handler which has spoiled its request is gone too', async (t) => {
  for (const [name, spoil] of Object.entries(spoils)) {
    const { app, port, page } = await service(t, {
      routes: (app) => {
        app.get('/', (request, reply) => {
          reply.hijack()
          spoil(request.raw as never, reply.raw as never)
          app.server.emit('entered')
        })
      }
    })
    const entered = once(app.server, 'entered')
    const { socket, connection } = await openBoth(app, port)
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    await entered
    const closed = once(connection, 'close')
    socket.destroy()
    await closed
    await new Promise(setImmediate)
    const after = await page()
    t.same(endings(after), ['499 aborted'], name)
    t.equal(after.sum('http_requests_in_flight'), 0)
    checkBooks(t, after)
  }
})

t.test('what ended unheard is found when its route is used again, without a scrape', async (t) => {
  const { port, page } = await service(t, {
    options: { metrics: { http_requests_in_flight: false } },
    routes: (app) => {
      app.get('/', async (_request, reply) => {
        reply.raw.removeAllListeners('close')
        return 'ok'
      })
    }
  })
  const { now } = performance
  t.teardown(() => { performance.now = now })
  for (let i = 0; i < 5; i++) {
    await exchange(port, get('/'))
    performance.now = () => now.call(performance) + (i + 1) * 2000
  }
  t.equal((await page()).sum('http_request_duration_seconds_count'), 4, 'all but the last')
})

t.test('a closed application leaves no request open in a registry that others share', async (t) => {
  const registry = new Registry()
  for (const listens of [true, false]) {
    const app = Fastify({ forceCloseConnections: true })
    await app.register(metricsPlugin, { registry, runtime: false, endpoint: false })
    app.get('/', () => { app.server.emit('entered') })
    if (listens) await app.listen({ port: 0, host: '127.0.0.1' })
    else await app.ready()
    const entered = once(app.server, 'entered')
    const pending = app.inject('/').catch(() => {})
    await entered
    await app.close()
    const page = new Page(await registry.metrics())
    t.equal(page.sum('http_requests_received_total'), page.sum('http_request_duration_seconds_count'), listens ? 'with a server' : 'without')
    t.equal(page.sum('http_requests_in_flight'), 0)
    t.equal(page.sum('http_responses_incomplete_total'), listens ? 1 : 2, 'the server never answered')
    t.ok(pending)
  }
})

t.test('requests that go on while the application closes stay in flight until they are answered', async (t) => {
  const registry = new Registry()
  const app = Fastify()
  await app.register(metricsPlugin, { registry, runtime: false, endpoint: false })
  let answer = (_text: string) => {}
  app.get('/', () => new Promise((resolve) => {
    answer = resolve
    app.server.emit('entered')
  }))
  await app.listen({ port: 0, host: '127.0.0.1' })
  const entered = once(app.server, 'entered')
  // A connection that stays would keep the server from closing until its keep-alive ends.
  const response = exchange((app.server.address() as AddressInfo).port, get('/'))
  await entered
  const ended = closings(app, 1)
  const closing = app.close()
  await new Promise(setImmediate)
  const during = new Page(await registry.metrics())
  t.equal(during.sum('http_requests_in_flight'), 1)
  checkBooks(t, during)
  answer('late')
  t.match(await response, /\r\n\r\nlate$/)
  await Promise.race([ended, closing])
  await closing
  const after = new Page(await registry.metrics())
  t.same(endings(after), ['200'])
  checkBooks(t, after)
})

t.test('pipelined requests whose connection is lost are ended, without a scrape', async (t) => {
  const { app, port, page } = await service(t, {
    options: { metrics: { http_requests_in_flight: false } },
    routes: (app) => {
      app.get('/:n', (request, reply) => {
        reply.hijack()
        if (request.url === '/3') app.server.emit('entered')
      })
    }
  })
  const entered = once(app.server, 'entered')
  const { socket, connection } = await openBoth(app, port)
  socket.write([1, 2, 3].map((n) => `GET /${n} HTTP/1.1\r\nHost: x\r\n\r\n`).join(''))
  await entered
  const closed = once(connection, 'close')
  socket.destroy()
  await closed
  await new Promise(setImmediate)
  t.same(endings(await page()), ['499 aborted', '499 aborted', '499 aborted'])
})

t.test('a hook from before the plugin may take the socket off the request', async (t) => {
  const { app, port, page } = await service(t, {
    before: (app) => {
      app.addHook('onRequest', (request, _reply, done) => {
        (request.raw as { socket: unknown }).socket = null
        done()
      })
    },
    routes: (app) => {
      app.get('/', (_request, reply) => {
        reply.hijack()
        app.server.emit('entered')
      })
    }
  })
  const entered = once(app.server, 'entered')
  const gone = closings(app, 1)
  const socket = await open(port)
  socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  await entered
  socket.destroy()
  await gone
  t.same(endings(await page()), ['499 aborted'])
})

t.test('a server of the user\'s that Fastify does not close answers what is in flight when the application is closed', async (t) => {
  const registry = new Registry()
  const app = Fastify({ serverFactory: (handler) => createServer(handler) })
  await app.register(metricsPlugin, { registry, runtime: false, endpoint: false })
  let answer = (_text: string) => {}
  app.get('/', () => new Promise((resolve) => {
    answer = resolve
    app.server.emit('entered')
  }))
  await app.ready()
  app.server.listen(0, '127.0.0.1')
  await once(app.server, 'listening')
  const entered = once(app.server, 'entered')
  const response = exchange((app.server.address() as AddressInfo).port, get('/'))
  await entered
  await app.close()
  t.equal(new Page(await registry.metrics()).sum('http_requests_in_flight'), 1)
  answer('late')
  t.match(await response, /late$/)
  const closed = once(app.server, 'close')
  app.server.close()
  await closed
  const after = new Page(await registry.metrics())
  t.same(endings(after), ['200'])
  t.same(after.of('http_requests_in_flight'), [], 'it shows nothing any more')
})

t.test('what a scrape finds ended is on that page received and finished, or neither', async (t) => {
  const { app, port, page } = await service(t, {
    before: (app) => {
      app.addHook('onRequest', (request, reply, done) => {
        if (request.headers['x-hold'] === undefined) return done()
        reply.raw.removeAllListeners('close')
        app.server.emit('held')
      })
    },
    routes: (app) => { app.get('/', async () => 'ok') }
  })
  const held = once(app.server, 'held')
  const { socket, connection } = await openBoth(app, port)
  socket.write('GET / HTTP/1.1\r\nHost: x\r\nX-Hold: 1\r\n\r\n')
  await held
  // Fastify has it, and the server's own listeners, ours among them, have run.
  await new Promise(setImmediate)
  const closed = once(connection, 'close')
  socket.destroy()
  await closed
  for (let i = 0; i < 2; i++) checkBooks(t, await page())
})
