import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import httpProxy from '@fastify/http-proxy'
import websocket from '@fastify/websocket'
import Fastify, { type FastifyInstance } from 'fastify'
import t from 'tap'
import WebSocket from 'ws'
import { ended } from '../support/books.js'
import { open, service } from '../support/http.js'
import { ask, checkBooks, ORDERS, scrape } from '../support/neighbours.js'

/** A WebSocket that says back what it hears, and routes that refuse. */
function sockets (app: FastifyInstance): void {
  app.register(websocket)
  app.register(async (app) => {
    app.get('/echo', { websocket: true }, (socket) => { socket.on('message', (said) => { socket.send(String(said)) }) })
    app.get('/refused', { websocket: true, preValidation: async (_request, reply) => reply.code(401).send('no') }, () => {})
    app.get('/broken', { websocket: true, onRequest: async () => { throw new RangeError('broken') } }, () => {})
    app.route({ method: 'GET', url: '/both', handler: async () => 'http', wsHandler: (socket) => { socket.close() } })
  })
}

/** The status that a client is told which wants a WebSocket, 101 where it gets one; its connection is gone then. */
async function upgrade (url: string, path: string): Promise<number> {
  const socket = new WebSocket(url.replace('http', 'ws') + path)
  return await new Promise((resolve, reject) => {
    socket.on('open', () => { socket.close() })
    socket.on('close', () => { resolve(101) })
    socket.on('error', reject)
    socket.on('unexpected-response', (_request, answer) => { answer.resume().on('close', () => { resolve(answer.statusCode ?? 0) }) })
  })
}

for (const order of ORDERS) {
  t.test(`@fastify/websocket, ${order}: an upgrade has the status that its client was told`, async (t) => {
    const { url } = await service(t, { [order]: sockets })
    const asked: Array<[path: string, route: string, status: number]> = [
      ['/echo', '/echo', 101], ['/both', '/both', 101], ['/refused', '/refused', 401], ['/broken', '/broken', 500], ['/nothing', '__unmatched__', 404]
    ]
    for (const [path, , status] of asked) t.equal(await upgrade(url, path), status, path)
    t.equal(await ask(url, '/both'), 200)
    t.equal(await ask(url, '/echo'), 404, 'which no upgrade asked for')
    const page = await scrape(url)
    for (const [path, route, status] of asked) t.equal(ended(page, { route, status_code: String(status) }), 1, path)
    t.equal(ended(page, { route: '/both', status_code: '200' }), 1)
    t.equal(ended(page, { route: '/echo', status_code: '404' }), 1)
    t.equal(page.sum('http_requests_aborted_total'), 0, 'nobody left')
    checkBooks(t, page, asked.length + 2)
  })

  t.test(`@fastify/websocket, ${order}: an upgrade to what is no address is counted`, async (t) => {
    const { app, port, url } = await service(t, { [order]: sockets })
    const socket = await open(port)
    const upgraded = once(app.server, 'upgrade')
    socket.write('GET /% HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ZG9ncyBhcmUgZ29vZCE=\r\n\r\n')
    const [answer] = await once(socket, 'data')
    t.match(String(answer), /^HTTP\/1.1 400/)
    // @fastify/websocket leaves the connection open.
    const [, connection] = await upgraded as [unknown, Duplex]
    connection.destroy()
    const page = await scrape(url)
    t.equal(ended(page, { route: '__unmatched__', status_code: '400' }), 1)
    checkBooks(t, page, 1)
  })

  t.test(`@fastify/websocket, ${order}: the duration of a WebSocket is the time to its headers, and a gauge says how many are open`, async (t) => {
    const { app, url } = await service(t, { [order]: sockets })
    const began = performance.now()
    const socket = new WebSocket(`${url.replace('http', 'ws')}/echo`)
    await once(socket, 'open')
    const opened = (performance.now() - began) / 1000
    let heard = 0
    while ((performance.now() - began) / 1000 < 3 * opened) {
      socket.send('Rex')
      await once(socket, 'message')
      heard++
    }
    t.ok(heard > 0)
    const during = await app.metrics.render()
    t.match(during, /^http_streams_open\{method="GET",route="\/echo"\} 1$/m)
    socket.close()
    await once(socket, 'close')
    const page = await scrape(url)
    t.equal(ended(page, { route: '/echo', status_code: '101' }), 1)
    t.ok(page.sum('http_request_duration_seconds_sum', { route: '/echo' }) <= opened, 'not its whole life')
    t.equal(page.sum('http_streams_open'), 0)
    checkBooks(t, page, 1)
  })
}

t.test('@fastify/http-proxy with websocket: true: a WebSocket through the proxy is one of its route', async (t) => {
  const behind = Fastify({ forceCloseConnections: true })
  t.teardown(() => behind.close())
  sockets(behind)
  const upstream = await behind.listen({ port: 0, host: '127.0.0.1' })
  const { url } = await service(t, { routes: (app) => { app.register(httpProxy, { upstream, prefix: '/up', websocket: true }) } })
  t.equal(await upgrade(url, '/up/echo'), 101)
  const page = await scrape(url)
  t.equal(ended(page, { route: '/up/*', status_code: '101' }), 1)
  t.equal(page.sum('http_requests_aborted_total'), 0)
  checkBooks(t, page, 1)
})
