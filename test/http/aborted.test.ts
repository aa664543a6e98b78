import { once } from 'node:events'
import http2 from 'node:http2'
import { PassThrough } from 'node:stream'
import t from 'tap'
import { checkBooks, closings, ended } from '../support/books.js'
import { get, open, openBoth, service } from '../support/http.js'

t.test('a client that leaves is observed as 499, wherever the request was', async (t) => {
  const stream = new PassThrough()
  const entered = new PassThrough()
  const { app, port, page } = await service(t, {
    before: (app) => {
      app.addHook('onRequest', (request, _reply, done) => {
        if (request.headers['x-early'] === 'hold') entered.emit('entered')
        else done()
      })
    },
    routes: (app) => {
      app.get('/handler', async () => {
        entered.emit('entered')
        await once(entered, 'release')
        return 'late'
      })
      app.get('/stream', (_request, reply) => {
        stream.write('first')
        return reply.send(stream)
      })
      app.get('/large', async () => 'x'.repeat(32 * 1024 * 1024))
      app.post('/upload', async (request) => request.body)
    }
  })

  await t.test('in the handler', async (t) => {
    const socket = await open(port)
    const gone = closings(app, 1)
    socket.write(get('/handler'))
    await once(entered, 'entered')
    t.equal((await page()).sum('http_requests_in_flight', { route: '/handler' }), 1, 'it is in flight')
    socket.destroy()
    await gone
    const after = await page()
    t.equal(ended(after, { route: '/handler', status_code: '499' }), 1)
    t.equal(after.sum('http_requests_in_flight', { route: '/handler' }), 0)
    entered.emit('release')
    checkBooks(t, after)
  })

  await t.test('in the middle of a stream', async (t) => {
    const socket = await open(port)
    const gone = closings(app, 1)
    socket.write(get('/stream'))
    await once(socket, 'data')
    t.equal((await page()).sum('http_requests_in_flight', { route: '/stream' }), 1, 'it is in flight')
    socket.destroy()
    await gone
    const after = await page()
    t.equal(ended(after, { route: '/stream' }), 1)
    t.equal(ended(after, { route: '/stream', status_code: '499' }), 1)
    t.equal(after.sum('http_response_size_bytes_count', { route: '/stream' }) + after.sum('http_responses_streamed_total', { route: '/stream' }), 0, 'it is no response')
    checkBooks(t, after)
  })

  await t.test('in the middle of a body that was sent whole', async (t) => {
    const socket = await open(port)
    const gone = closings(app, 1)
    socket.write(get('/large'))
    await once(socket, 'data')
    socket.destroy()
    await gone
    const after = await page()
    t.equal(ended(after, { route: '/large' }), 1)
    t.equal(ended(after, { route: '/large', status_code: '499' }), 1)
    checkBooks(t, after)
  })

  await t.test('in the middle of an upload', async (t) => {
    const socket = await open(port)
    const arrived = once(app.server, 'request')
    const gone = closings(app, 1)
    socket.write('POST /upload HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"half":')
    await arrived
    socket.destroy()
    await gone
    const after = await page()
    t.equal(ended(after, { route: '/upload' }), 1)
    t.equal(ended(after, { route: '/upload', status_code: '499' }), 1)
    t.equal(after.sum('http_request_size_bytes_count', { route: '/upload' }), 0, 'a body that did not arrive has no size')
    checkBooks(t, after)
  })

  await t.test('while a hook of a plugin registered earlier holds it', async (t) => {
    const socket = await open(port)
    const gone = closings(app, 1)
    socket.write('GET /handler HTTP/1.1\r\nHost: x\r\nX-Early: hold\r\n\r\n')
    await once(entered, 'entered')
    socket.destroy()
    await gone
    const after = await page()
    t.equal(ended(after, { route: '__unmatched__', status_code: '499' }), 1, 'no hook of ours could say its route')
    checkBooks(t, after)
  })
})

t.test('pipelined requests are each counted, the finished and the abandoned', async (t) => {
  const held = new PassThrough()
  const { app, port, page } = await service(t, {
    routes: (app) => {
      app.get('/quick', async () => 'quick')
      app.get('/slow', async () => {
        held.emit('entered')
        await once(held, 'never')
      })
    }
  })
  const { socket, connection } = await openBoth(app, port)
  const gone = new Promise((resolve) => connection.on('close', resolve))
  const entered = once(held, 'entered')
  const keep = (path: string) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`
  const two = new Promise<void>((resolve) => {
    let answers = ''
    socket.on('data', (chunk) => { if ((answers += chunk).split('quick').length > 2) resolve() })
  })
  socket.write(keep('/quick') + keep('/quick') + keep('/slow') + keep('/quick'))
  await Promise.all([entered, two])
  socket.destroy()
  await gone
  await new Promise(setImmediate)
  const after = await page()
  t.equal(after.sum('http_requests_received_total'), 4)
  t.equal(ended(after, { route: '/quick', status_code: '200' }), 2)
  t.equal(ended(after, { status_code: '499' }), 2, 'the slow one, and the one that waited behind it')
  checkBooks(t, after)
})

t.test('HTTP/2: finished, reset in the handler and reset in the middle of a stream', async (t) => {
  const held = new PassThrough()
  const stream = new PassThrough()
  const { app, port, page } = await service(t, {
    server: { http2: true } as never,
    routes: (app) => {
      app.get('/ok', async () => ({ hello: 'world' }))
      app.post('/echo', async (request) => request.body)
      app.get('/slow', async () => {
        held.emit('entered')
        await once(held, 'never')
      })
      app.get('/large', async () => 'x'.repeat(8 * 1024 * 1024))
      app.get('/stream', (_request, reply) => {
        stream.write('first')
        return reply.send(stream)
      })
    }
  })
  const session = http2.connect(`http://127.0.0.1:${port}`)
  t.teardown(() => session.destroy())
  const request = (headers: http2.OutgoingHttpHeaders, body?: string) => {
    const stream = session.request(headers, { endStream: body === undefined })
    stream.on('error', () => {})
    if (body !== undefined) stream.end(body)
    return stream
  }
  const done = async (stream: http2.ClientHttp2Stream) => {
    stream.resume()
    await once(stream, 'close')
  }

  await done(request({ ':path': '/ok' }))
  await done(request({ ':path': '/echo', ':method': 'POST', 'content-type': 'text/plain' }, 'twelve bytes'))
  await done(request({ ':path': '/nowhere' }))

  const slow = request({ ':path': '/slow' })
  await once(held, 'entered')
  let gone = closings(app, 1)
  const early = request({ ':path': '/slow' })
  await once(held, 'entered')
  early.close(http2.constants.NGHTTP2_CANCEL)
  await gone

  gone = closings(app, 1)
  const large = request({ ':path': '/large' })
  await once(large, 'data')
  large.close(http2.constants.NGHTTP2_CANCEL)
  await gone

  gone = closings(app, 1)
  const streamed = request({ ':path': '/stream' })
  await once(streamed, 'data')
  streamed.close(http2.constants.NGHTTP2_CANCEL)
  await gone

  const after = await page()
  t.equal(ended(after, { route: '/ok', status_code: '200' }), 1)
  t.equal(after.sum('http_request_size_bytes_sum', { route: '/echo' }), 12, 'a body without a content-length is counted')
  t.equal(ended(after, { route: '__unmatched__', status_code: '404' }), 1)
  t.equal(ended(after, { route: '/slow', status_code: '499' }), 1)
  t.equal(after.sum('http_requests_in_flight', { route: '/slow' }), 1, 'the other slow one goes on')
  t.equal(ended(after, { route: '/stream', status_code: '499' }), 1)
  t.equal(ended(after, { route: '/large', status_code: '499' }), 1, 'a body that was sent whole and did not arrive')
  checkBooks(t, after)
  slow.close()
})
