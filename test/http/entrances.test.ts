import dns from 'node:dns'
import { once } from 'node:events'
import { ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { connect } from 'node:net'
import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import { Registry } from 'prom-client'
import t from 'tap'
import { metricsPlugin } from '../../src/index.js'
import { checkBooks, endings } from '../support/books.js'
import { exchange, open, openBoth, service } from '../support/http.js'
import { Page } from '../support/page.js'

/** What Fastify answers without any hook, and with which status. */
const hookless: Array<[what: string, path: string, headers: Record<string, string>, status: number]> = [
  ['a malformed URL', '/%', {}, 400],
  ['a parameter that is too long', `/items/${'x'.repeat(200)}`, {}, 414],
  ['a constraint that fails later', '/secret', { 'x-fail': '1' }, 500]
]

const options = (): FastifyServerOptions => ({
  routerOptions: {
    constraints: {
      secret: {
        name: 'secret',
        storage () {
          const handlers = new Map<unknown, unknown>()
          return { get: (key: unknown) => handlers.get(key) ?? null, set: (key: unknown, handler: unknown) => { handlers.set(key, handler) } }
        },
        deriveConstraint (request: { headers: Record<string, unknown> }, _context: unknown, done: (error: Error | null, value?: string) => void) {
          setImmediate(() => request.headers['x-fail'] === undefined ? done(null, 'known') : done(new Error('constraint')))
        },
        validate () {}
      } as never
    }
  }
})

const routes = (app: FastifyInstance) => {
  app.get('/items/:id', async () => 'item')
  app.get('/secret', { constraints: { secret: 'known' } }, async () => 'secret')
}

t.test('what Fastify answers without hooks is counted, whichever way it comes', async (t) => {
  const ways: Record<string, (app: FastifyInstance, path: string, headers: Record<string, string>) => Promise<number>> = {
    'inject with a promise': async (app, path, headers) => (await app.inject({ url: path, headers })).statusCode,
    'inject with a callback': (app, path, headers) => new Promise((resolve, reject) => {
      app.inject({ url: path, headers }, (error, response) => error !== undefined && error !== null ? reject(error) : resolve(response?.statusCode ?? 0))
    }),
    'inject in a chain': async (app, path, headers) => (await app.inject().get(path).headers(headers).end()).statusCode,
    'inject of a stream': async (app, path, headers) => {
      const response = await app.inject({ url: path, headers, payloadAsStream: true } as never) as unknown as { statusCode: number, stream (): NodeJS.ReadableStream }
      const stream = response.stream()
      stream.resume()
      await once(stream, 'end')
      await new Promise(setImmediate)
      return response.statusCode
    },
    'the server': async (app, path, headers) => {
      const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join('')
      const answer = await exchange((app.server.address() as AddressInfo).port, `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${lines}\r\n`)
      return Number(answer.split(' ')[1])
    },
    'an upgrade': async (app, path, headers) => {
      const upgraded = once(app.server, 'upgrade') as Promise<[never, Socket]>
      app.server.once('upgrade', (request, connection) => {
        const response = new ServerResponse(request)
        response.assignSocket(connection as Socket)
        app.routing(request, response)
      })
      const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join('')
      const socket = await open((app.server.address() as AddressInfo).port)
      socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${lines}\r\n`)
      const [answer] = await once(socket, 'data')
      const [, connection] = await upgraded
      connection.destroy()
      await once(connection, 'close')
      return Number(String(answer).split(' ')[1])
    }
  }
  for (const [way, ask] of Object.entries(ways)) {
    await t.test(way, async (t) => {
      const { app, page } = await service(t, { server: options(), routes })
      for (const [what, path, headers, status] of hookless) {
        const before = await page()
        t.equal(await ask(app, path, headers), status, `${what} is answered ${status}`)
        const after = await page()
        t.equal(after.sum('http_request_duration_seconds_count', { route: '__unmatched__', status_code: String(status) }),
          before.sum('http_request_duration_seconds_count', { route: '__unmatched__', status_code: String(status) }) + 1, `${what} is counted`)
        checkBooks(t, after)
      }
      t.equal(await ask(app, '/items/1', {}), 200)
      checkBooks(t, await page())
    })
  }
})

t.test('inject before the application is ready is counted once, from when it is served', async (t) => {
  const registry = new Registry()
  const app = Fastify()
  t.teardown(() => app.close())
  app.register(metricsPlugin, { registry, runtime: false })
  app.get('/', async () => 'ok')
  t.equal((await app.inject('/')).body, 'ok')
  const page = new Page(await app.metrics.render())
  t.same(endings(page), ['200'])
  checkBooks(t, page)
})

t.test("the second server of localhost is one of the application's", async (t) => {
  // Not every machine has two addresses for it: this process has.
  const { lookup } = dns
  const twice = [{ address: '127.0.0.1', family: 4 }, { address: '127.0.0.2', family: 4 }]
  dns.lookup = ((host: string, ...rest: unknown[]) => {
    if (host !== 'localhost') return (lookup as (...args: unknown[]) => void)(host, ...rest)
    const [options, done] = (rest.length === 1 ? [{}, rest[0]] : rest) as [dns.LookupOptions, (error: null, found: unknown, family?: number) => void]
    process.nextTick(() => options.all === true ? done(null, twice) : done(null, '127.0.0.1', 4))
  }) as typeof dns.lookup
  t.teardown(() => { dns.lookup = lookup })
  const registry = new Registry()
  const app = Fastify({ forceCloseConnections: true, ...options() })
  t.teardown(() => app.close())
  await app.register(metricsPlugin, { registry, runtime: false })
  routes(app)
  await app.listen({ port: 0, host: 'localhost' })
  const addresses = app.addresses() as AddressInfo[]
  t.equal(addresses.length, 2)
  for (const { address, port } of addresses) {
    for (const request of ['GET /items/1', 'GET /%', 'NONSENSE']) {
      const socket = connect(port, address)
      socket.write(`${request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
      await once(socket.resume(), 'close')
    }
  }
  const page = new Page(await app.metrics.render())
  t.same(endings(page), ['200', '200', '400', '400'])
  t.equal(page.sum('http_client_errors_total'), 2, 'what the parser refuses is counted on both')
  checkBooks(t, page)
})

t.test('what the parser refuses is counted by its code, and answered as without it', async (t) => {
  const slow = { http: { connectionsCheckingInterval: 20, headersTimeout: 40, requestTimeout: 60 } } as FastifyServerOptions
  const refused: Array<[bytes: string, code: string, status: string, server?: FastifyServerOptions]> = [
    ['NONSENSE\r\n\r\n', 'HPE_INVALID_METHOD', '400'],
    ['GET / HTTP/9.9\r\n\r\n', 'HPE_INVALID_VERSION', '400'],
    [`GET / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`, 'HPE_HEADER_OVERFLOW', '431'],
    ['GET / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n', 'HPE_INVALID_CONTENT_LENGTH', '400'],
    ['GET / HTTP/1.1\r\nHost: x\r\n', 'ERR_HTTP_REQUEST_TIMEOUT', '408', slow]
  ]
  for (const [bytes, code, status, server] of refused) {
    const { port, page } = await service(t, { server: server ?? {}, routes: (app) => { app.get('/', async () => 'ok') } })
    const bare = Fastify({ forceCloseConnections: true, ...server })
    t.teardown(() => bare.close())
    await bare.listen({ port: 0, host: '127.0.0.1' })
    const answer = await exchange(port, bytes)
    t.equal(answer, await exchange((bare.server.address() as AddressInfo).port, bytes), `${code} is answered as by a bare Fastify`)
    t.match(answer, new RegExp(`^HTTP/1.1 ${status}`))
    const after = await page()
    t.same(after.of('http_client_errors_total').map(({ labels, value }) => [labels.code, value]), [[code, 1]])
    t.equal(after.sum('http_requests_received_total'), 0, 'it never was a request')
    checkBooks(t, after)
  }
})

t.test('a client that hangs up before a request, or between two, is no refusal', async (t) => {
  const { app, port, page } = await service(t, { routes: (app) => { app.get('/', async () => 'ok') } })
  for (const bytes of ['', 'GET / HTTP/1.1\r\nHost: x\r\n\r\n']) {
    const { socket, connection } = await openBoth(app, port)
    const closed = once(connection, 'close')
    if (bytes !== '') {
      socket.write(bytes)
      await once(socket, 'data')
    }
    socket.resetAndDestroy()
    await closed.catch(() => {})
  }
  const after = await page()
  t.same(after.of('http_client_errors_total'), [])
  checkBooks(t, after)
})
