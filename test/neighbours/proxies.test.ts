import { connect } from 'node:net'
import { once } from 'node:events'
import httpProxy from '@fastify/http-proxy'
import replyFrom from '@fastify/reply-from'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import { ended } from '../support/books.js'
import { service } from '../support/http.js'
import { ask, checkBooks, scrape } from '../support/neighbours.js'

/* undici takes the body of a proxied request over, and sets `request.raw.socket = null` (undici/lib/core/util.js). */

const json = (body: string): RequestInit => ({ method: 'POST', headers: { 'content-type': 'application/json' }, body })

/** A service behind a proxy that gives back what it is sent; closed at teardown. */
async function upstream (t: Test): Promise<string> {
  const app = Fastify({ forceCloseConnections: true })
  t.teardown(() => app.close())
  app.post('/echo', async (request) => request.body)
  app.post('/refused', async (_request, reply) => reply.code(422).send('refused'))
  return await app.listen({ port: 0, host: '127.0.0.1' })
}

for (const [by, how] of [['undici', {}], ['node:http', { http: {} }]] as const) {
  t.test(`what is sent through a proxy, by ${by}, is over when it is answered, under its route and with its size`, async (t) => {
    const behind = await upstream(t)
    const { url } = await service(t, {
      routes: (app) => {
        app.register(httpProxy, { upstream: behind, prefix: '/up', ...how })
        app.register(replyFrom, { base: behind, ...how })
        app.post('/echo', (_request, reply) => reply.from('/echo'))
      }
    })
    for (let times = 0; times < 3; times++) t.equal(await ask(url, '/up/echo', json('{"dog":"Rex"}')), 200)
    t.equal(await ask(url, '/up/refused', json('{}')), 422)
    t.equal(await ask(url, '/echo', json('{"dog":"Rex"}')), 200)
    const page = await scrape(url)
    t.equal(ended(page, { route: '/up/*', status_code: '200' }), 3)
    t.equal(ended(page, { route: '/up/*', status_code: '422' }), 1)
    t.equal(ended(page, { route: '/echo', status_code: '200' }), 1)
    t.equal(page.sum('http_request_size_bytes_sum', { route: '/up/*' }), 3 * 13 + 2)
    checkBooks(t, page, 5)
  })
}

t.test('a client that leaves while its upload goes through a proxy is a 499', async (t) => {
  const behind = await upstream(t)
  const { app, port, url } = await service(t, { routes: (app) => { app.register(httpProxy, { upstream: behind, prefix: '/up' }) } })
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  const arrived = once(app.server, 'request')
  socket.write('POST /up/echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"half":')
  await arrived
  socket.destroy()
  const page = await scrape(url)
  t.equal(ended(page, { route: '/up/*', status_code: '499' }), 1)
  checkBooks(t, page, 1)
})
