import { once } from 'node:events'
import http2 from 'node:http2'
import { PassThrough, Readable } from 'node:stream'
import type { FastifyInstance, FastifyServerOptions } from 'fastify'
import t from 'tap'
import { checkBooks, closings, endings } from '../support/books.js'
import { exchange, open, service } from '../support/http.js'

const longLived = { config: { metrics: { longLived: true } } }

/** Three ways in which an application streams events. */
const ways: Record<string, (app: FastifyInstance, events: PassThrough) => void> = {
  'reply.send of a stream': (app, events) => app.get('/events', longLived, (_request, reply) => reply.type('text/event-stream').send(events)),
  'the raw response': (app, events) => app.get('/events', longLived, (_request, reply) => {
    reply.hijack()
    reply.raw.writeHead(200, { 'content-type': 'text/event-stream' })
    events.pipe(reply.raw)
  }),
  'the raw response, with headers that are implied': (app, events) => app.get('/events', longLived, (_request, reply) => {
    reply.hijack()
    reply.raw.setHeader('content-type', 'text/event-stream')
    events.pipe(reply.raw)
  })
}

t.test('a long-lived response is observed when its headers are sent, and is an open stream until it ends', async (t) => {
  for (const [way, routes] of Object.entries(ways)) {
    for (const leaves of ['the client', 'the server']) {
      const events = new PassThrough()
      const { app, port, page } = await service(t, { routes: (app) => routes(app, events) })
      const before = await page()
      t.same(before.of('http_streams_open'), [], 'no route has been used yet')
      const socket = await open(port)
      const gone = closings(app, 1)
      socket.write('GET /events HTTP/1.1\r\nHost: x\r\n\r\n')
      events.write('data: 1\n\n')
      await once(socket, 'data')
      const during = await page()
      t.same(endings(during), ['200'], `${way}: its duration is the time to its headers`)
      t.equal(during.sum('http_requests_in_flight'), 0)
      t.equal(during.sum('http_streams_open', { method: 'GET', route: '/events' }), 1)
      const age = during.sum('http_stream_oldest_seconds', { route: '/events' })
      t.ok(age > 0 && age < 60, 'it has an age')
      t.ok((await page()).sum('http_stream_oldest_seconds') > age, 'which grows')
      t.equal(during.sum('http_handler_duration_seconds_count', { route: '/events' }), 1)
      checkBooks(t, during)
      if (leaves === 'the client') socket.destroy()
      else events.end()
      await gone
      const after = await page()
      t.same(endings(after), ['200'], `${leaves} ended it: no second observation, no abort`)
      t.equal(after.sum('http_streams_open', { route: '/events' }), 0)
      t.equal(after.sum('http_stream_oldest_seconds', { route: '/events' }), 0)
      t.equal(after.sum('http_responses_streamed_total', { route: '/events' }), 1)
      checkBooks(t, after)
      socket.destroy()
    }
  }
})

t.test('what a long-lived route answers otherwise is an ordinary answer', async (t) => {
  const { port, page } = await service(t, {
    routes: (app) => {
      app.get('/events', longLived, async (request, reply) => {
        if (request.headers['x-how'] === 'refuse') return reply.code(401).send('no')
        if (request.headers['x-how'] === 'throw') throw new Error('no')
        if (request.headers['x-how'] === 'nothing') return reply.code(204).send()
        return 'text of a known length'
      })
    }
  })
  for (const how of ['refuse', 'throw', 'nothing', 'text']) await exchange(port, `GET /events HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-How: ${how}\r\n\r\n`)
  const after = await page()
  t.same(endings(after), ['200', '204', '401', '500'])
  t.equal(after.sum('http_response_size_bytes_count', { route: '/events' }), 4, 'they have their sizes')
  t.equal(after.sum('http_streams_open'), 0)
  checkBooks(t, after)
})

t.test('a client that leaves before the headers of a stream is one that left; a stream that the server breaks off is incomplete', async (t) => {
  const entered = new PassThrough()
  const stream = new PassThrough()
  const { app, port, page } = await service(t, {
    routes: (app) => {
      app.get('/never', longLived, (_request, reply) => {
        reply.hijack()
        entered.emit('entered')
      })
      app.get('/broken', longLived, (_request, reply) => reply.send(stream))
    }
  })
  let gone = closings(app, 1)
  const socket = await open(port)
  const there = once(entered, 'entered')
  socket.write('GET /never HTTP/1.1\r\nHost: x\r\n\r\n')
  await there
  socket.destroy()
  await gone
  gone = closings(app, 1)
  const second = await open(port)
  second.write('GET /broken HTTP/1.1\r\nHost: x\r\n\r\n')
  stream.write('first')
  await once(second, 'data')
  stream.destroy(new Error('source'))
  await gone
  const after = await page()
  t.same(endings(after), ['200 incomplete', '499 aborted'])
  t.equal(after.sum('http_streams_open'), 0)
  checkBooks(t, after)
})

t.test('long-lived responses of HTTP/2, and by inject', async (t) => {
  const { app, port, page } = await service(t, {
    server: { http2: true } as FastifyServerOptions,
    routes: (app) => { app.get('/events', longLived, (_request, reply) => reply.send(new Readable({ read () { if (this.readableLength === 0) this.push('x') } }).once('data', () => {}))) }
  })
  const session = http2.connect(`http://127.0.0.1:${port}`)
  t.teardown(() => session.destroy())
  const gone = closings(app, 1)
  const stream = session.request({ ':path': '/events' }).on('error', () => {})
  await once(stream, 'data')
  const during = await page()
  t.equal(during.sum('http_streams_open'), 1)
  t.same(endings(during), ['200'])
  stream.close(http2.constants.NGHTTP2_CANCEL)
  await gone
  const after = await page()
  t.equal(after.sum('http_streams_open'), 0)
  t.same(endings(after), ['200'])
  checkBooks(t, after)
})

t.test('routes that share a label have the age of the oldest, not of all together', async (t) => {
  const shared = { config: { metrics: { route: 'events', longLived: true } } }
  const streams = [new PassThrough(), new PassThrough()]
  const { port, page } = await service(t, { routes: (app) => { for (const [i, stream] of streams.entries()) app.get(`/${i}`, shared, (_request, reply) => reply.send(stream)) } })
  const sockets = []
  for (const [i, stream] of streams.entries()) {
    const socket = await open(port)
    sockets.push(socket)
    socket.write(`GET /${i} HTTP/1.1\r\nHost: x\r\n\r\n`)
    stream.write('x')
    await once(socket, 'data')
  }
  const { now } = performance
  t.teardown(() => { performance.now = now })
  const later = now.call(performance) + 10_000
  performance.now = () => later
  const during = await page()
  performance.now = now
  t.equal(during.sum('http_streams_open', { route: 'events' }), 2)
  const age = during.sum('http_stream_oldest_seconds', { route: 'events' })
  t.ok(age >= 10 && age < 20, `${age} seconds`)
  for (const socket of sockets) socket.destroy()
})
