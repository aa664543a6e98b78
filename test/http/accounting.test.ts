import { once } from 'node:events'
import { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { PassThrough, Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { checkBooks, closings, ended } from '../support/books.js'
import { exchange, get, open, service } from '../support/http.js'

t.test('each way a request can be answered is counted once, under its route', async (t) => {
  const { port, page } = await service(t, {
    before: (app) => {
      app.register(async (child) => { child.get('/before', async () => 'registered before the plugin') })
      app.addHook('onRequest', async (request, reply) => {
        if (request.headers['x-early'] === 'answer') return reply.code(401).send('no')
        if (request.headers['x-early'] === 'throw') throw new Error('early')
      })
    },
    routes: (app) => {
      app.get('/ok', async () => ({ hello: 'world' }))
      app.get('/items/:id', async () => 'item')
      app.post('/body', { bodyLimit: 100 }, async (request) => request.body)
      app.post('/schema', { schema: { body: { type: 'object', required: ['name'], properties: { name: { type: 'string' } } } } }, async () => 'valid')
      app.get('/throws', async () => { throw new TypeError('handler') })
      app.get('/throws-sync', () => { throw new RangeError('handler') })
      app.get('/hook-throws', { preHandler: async () => { throw new Error('hook') } }, async () => 'never')
      app.get('/hijacked', (_request, reply) => {
        reply.hijack()
        reply.raw.end('raw')
      })
      app.get('/stream', (_request, reply) => { reply.send(Readable.from(['a', 'b'])) })
      app.get('/call-not-found', (_request, reply) => { reply.callNotFound() })
      app.options('/ok', async () => '')
      app.register(async (child) => {
        child.setNotFoundHandler(async (_request, reply) => reply.code(404).send('child'))
        child.get('/here', async () => 'here')
      }, { prefix: '/child' })
    }
  })
  const json = (path: string, body: string) => `POST ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`
  const early = (how: string) => `GET /ok HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Early: ${how}\r\n\r\n`
  const requests: Array<[request: string, labels: Record<string, string>]> = [
    [get('/ok'), { method: 'GET', route: '/ok', status_code: '200' }],
    [get('/ok', 'HEAD'), { method: 'HEAD', route: '/ok', status_code: '200' }],
    [get('/ok', 'OPTIONS'), { method: 'OPTIONS', route: '/ok', status_code: '200' }],
    [get('/items/1'), { method: 'GET', route: '/items/:id', status_code: '200' }],
    [get('/before'), { method: 'GET', route: '/before', status_code: '200' }],
    [get('/nowhere'), { method: 'GET', route: '__unmatched__', status_code: '404' }],
    [get('/ok', 'DELETE'), { method: 'DELETE', route: '__unmatched__', status_code: '404' }],
    [get('/ok', 'PROPFIND'), { method: '_OTHER', route: '__unmatched__', status_code: '404' }],
    [get('/child/nowhere'), { method: 'GET', route: '__unmatched__', status_code: '404' }],
    [get('/child/here'), { method: 'GET', route: '/child/here', status_code: '200' }],
    [get('/%'), { method: 'GET', route: '__unmatched__', status_code: '400' }],
    [early('answer'), { method: 'GET', route: '/ok', status_code: '401' }],
    [early('throw'), { method: 'GET', route: '/ok', status_code: '500' }],
    [get('/throws'), { method: 'GET', route: '/throws', status_code: '500' }],
    [get('/throws-sync'), { method: 'GET', route: '/throws-sync', status_code: '500' }],
    [get('/hook-throws'), { method: 'GET', route: '/hook-throws', status_code: '500' }],
    [get('/hijacked'), { method: 'GET', route: '/hijacked', status_code: '200' }],
    [get('/stream'), { method: 'GET', route: '/stream', status_code: '200' }],
    [get('/call-not-found'), { method: 'GET', route: '/call-not-found', status_code: '404' }],
    [json('/body', '{"a":1}'), { method: 'POST', route: '/body', status_code: '200' }],
    [json('/body', '{"a":'), { method: 'POST', route: '/body', status_code: '400' }],
    [json('/body', JSON.stringify('x'.repeat(200))), { method: 'POST', route: '/body', status_code: '413' }],
    [json('/body', '').replace('application/json', 'no/such'), { method: 'POST', route: '/body', status_code: '415' }],
    [json('/schema', '{}'), { method: 'POST', route: '/schema', status_code: '400' }]
  ]
  for (const [request, labels] of requests) {
    const before = ended(await page(), labels)
    t.match(await exchange(port, request), new RegExp(`^HTTP/1.1 ${labels.status_code}`), `the client got ${labels.status_code}`)
    const after = await page()
    t.equal(ended(after, labels), before + 1, `${request.split(' HTTP')[0]} is ${JSON.stringify(labels)}`)
    checkBooks(t, after)
  }
  const last = await page()
  t.equal(last.sum('http_requests_received_total'), requests.length)
  t.same(last.of('http_exceptions_total').map(({ labels }) => labels).sort((a, b) => String(a.route).localeCompare(String(b.route)) || String(a.type).localeCompare(String(b.type))), [
    { type: 'FST_ERR_CTP_BODY_TOO_LARGE', method: 'POST', route: '/body' },
    { type: 'FST_ERR_CTP_INVALID_JSON_BODY', method: 'POST', route: '/body' },
    { type: 'FST_ERR_CTP_INVALID_MEDIA_TYPE', method: 'POST', route: '/body' },
    { type: 'Error', method: 'GET', route: '/hook-throws' },
    { type: 'Error', method: 'GET', route: '/ok' },
    { type: 'FST_ERR_VALIDATION', method: 'POST', route: '/schema' },
    { type: 'TypeError', method: 'GET', route: '/throws' },
    { type: 'RangeError', method: 'GET', route: '/throws-sync' }
  ])
  t.equal(last.sum('http_responses_streamed_total'), 1, 'one response was streamed')
  t.equal(last.sum('http_handler_duration_seconds_count', { route: '/hook-throws' }), 0, 'a failed hook is no run of the handler')
  for (const route of ['/throws', '/throws-sync', '/hijacked', '/stream']) t.equal(last.sum('http_handler_duration_seconds_count', { route }), 1, `the handler of ${route} ran`)
})

t.test('what a hook of a scope registered earlier answers is under its route, and one registered later too', async (t) => {
  const answers = async (app: FastifyInstance) => {
    app.addHook('onRequest', async (_request, reply) => reply.code(401).send('no'))
    app.get('/', async () => 'never')
  }
  const { page, url } = await service(t, {
    before: (app) => { app.register(answers, { prefix: '/earlier' }) },
    routes: (app) => { app.register(answers, { prefix: '/later' }) }
  })
  for (const path of ['/earlier', '/later']) await (await fetch(url + path)).text()
  const after = await page()
  for (const route of ['/earlier', '/later']) t.equal(ended(after, { route, status_code: '401' }) + ended(after, { route: `${route}/`, status_code: '401' }), 1, route)
  t.equal(after.sum('http_requests_received_total'), 2)
  checkBooks(t, after)
})

t.test('timeouts: of the handler an answer, of the connection none at all', async (t) => {
  const { app, port, page } = await service(t, {
    server: { connectionTimeout: 300 },
    routes: (app) => {
      app.get('/handler-timeout', { handlerTimeout: 20 }, async () => new Promise(() => {}))
      app.get('/connection-timeout', async () => new Promise(() => {}))
    }
  })
  t.match(await exchange(port, get('/handler-timeout')), /^HTTP\/1.1 503/)
  const gone = closings(app, 1)
  t.equal(await exchange(port, get('/connection-timeout')), '', 'the server closed the connection')
  await gone
  const after = await page()
  t.equal(ended(after, { route: '/handler-timeout', status_code: '503' }), 1)
  t.equal(after.sum('http_exceptions_total', { type: 'FST_ERR_HANDLER_TIMEOUT' }), 1)
  t.equal(ended(after, { route: '/connection-timeout', status_code: '444' }), 1, 'the server closed it, and told nothing')
  t.equal(after.sum('http_responses_incomplete_total', { route: '/connection-timeout' }), 1)
  checkBooks(t, after)
})

t.test('a server that is closing answers 503 without hooks, and counts it', async (t) => {
  const held = new PassThrough()
  const { app, port, page } = await service(t, {
    server: { forceCloseConnections: false },
    routes: (app) => {
      app.get('/slow', async () => {
        held.emit('entered')
        await once(held, 'release')
        return 'done'
      })
    }
  })
  const socket = await open(port)
  const entered = once(held, 'entered')
  socket.write('GET /slow HTTP/1.1\r\nHost: x\r\n\r\n')
  await entered
  const closing = new Promise((resolve) => app.server.close(resolve))
  const closed = app.close()
  const refused = closings(app, 1)
  socket.write('GET /slow HTTP/1.1\r\nHost: x\r\n\r\n')
  await new Promise<void>((resolve) => app.server.once('request', () => resolve()))
  held.emit('release')
  await refused
  const after = await page()
  t.equal(ended(after, { route: '/slow', status_code: '200' }), 1)
  t.equal(ended(after, { route: '__unmatched__', status_code: '503' }), 1)
  checkBooks(t, after)
  socket.destroy()
  await Promise.all([closing, closed])
})

t.test('an upgraded connection ends as 101, not as an abort', async (t) => {
  const { app, port, page } = await service(t, {
    routes: (app) => { app.get('/socket', (_request, reply) => { reply.hijack() }) }
  })
  const closed = new Promise((resolve) => {
    app.server.on('upgrade', (request, connection) => {
      const response = new ServerResponse(request)
      response.assignSocket(connection as Socket)
      app.routing(request, response)
      connection.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n')
      connection.on('end', () => connection.end()).on('close', () => setImmediate(resolve)).resume()
    })
  })
  const socket = await open(port)
  socket.write('GET /socket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n')
  await once(socket, 'data')
  const during = await page()
  t.equal(ended(during, { route: '/socket', status_code: '101' }), 1, 'its duration is the time to its headers')
  t.equal(during.sum('http_requests_in_flight', { route: '/socket' }), 0)
  t.equal(during.sum('http_streams_open', { route: '/socket' }), 1)
  checkBooks(t, during)
  socket.end()
  await closed
  const after = await page()
  t.equal(ended(after, { route: '/socket', status_code: '101' }), 1)
  t.equal(after.sum('http_requests_aborted_total'), 0)
  checkBooks(t, after)
})

t.test('inject is counted like a request', async (t) => {
  const { app, page } = await service(t, {
    before: (app) => {
      app.addHook('onRequest', async (request, reply) => { if (request.headers['x-early'] !== undefined) return reply.code(401).send('no') })
    },
    routes: (app) => {
      app.get('/ok', async () => 'ok')
      app.post('/body', async (request) => request.body)
    }
  })
  await app.inject('/ok')
  await app.inject({ url: '/ok', headers: { 'x-early': '1' } })
  await app.inject({ method: 'POST', url: '/body', payload: { a: 1 } })
  await app.inject('/nowhere')
  await app.inject('/%')
  const after = await page()
  t.equal(ended(after, { route: '/ok', status_code: '200' }), 1)
  t.equal(ended(after, { route: '/ok', status_code: '401' }), 1)
  t.equal(ended(after, { route: '__unmatched__', status_code: '404' }), 1)
  t.equal(after.sum('http_request_size_bytes_sum', { route: '/body' }), 7)
  t.equal(after.sum('http_response_size_bytes_sum', { route: '/body' }), 7)
  checkBooks(t, after)
})
