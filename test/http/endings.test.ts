import { once } from 'node:events'
import http2 from 'node:http2'
import type { Socket } from 'node:net'
import { PassThrough } from 'node:stream'
import type { FastifyInstance, FastifyRequest, FastifyServerOptions } from 'fastify'
import t from 'tap'
import { checkBooks, closings, endings } from '../support/books.js'
import { open, service } from '../support/http.js'

/** What happens on both sides of one exchange. */
interface Scene {
  readonly request: string
  readonly server?: FastifyServerOptions
  /** What the handler does once the request is there; nothing: it never answers. */
  handler?: (request: FastifyRequest, app: FastifyInstance) => unknown
  /** What the client does then. */
  client?: (socket: Socket, app: FastifyInstance) => unknown
  /** What the client does with the first bytes of the response. */
  answered?: (socket: Socket) => unknown
  /** Statuses, and how the exchanges ended. */
  readonly ends: string[]
  /** Whether one of them has no response that closes. */
  readonly unheard?: true
}

const get = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'
const upload = (headers: string, body: string) => `POST / HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n${headers}\r\n\r\n${body}`
const raw = (request: FastifyRequest) => request.raw as FastifyRequest['raw'] & { socket: Socket }
const replies = new WeakMap<FastifyRequest, import('fastify').FastifyReply>()
const replyTo = (request: FastifyRequest) => {
  const reply = replies.get(request)
  if (reply === undefined) throw new Error('no reply')
  return reply
}

const scenes: Record<string, Scene> = {
  'the client closes the connection': { request: get, client: (socket) => socket.destroy(), ends: ['499 aborted'] },
  'the client says that it will send no more': { request: get, client: (socket) => socket.end(), ends: ['499 aborted'] },
  'the client resets the connection': { request: get, client: (socket) => socket.resetAndDestroy(), ends: ['499 aborted'] },
  'the client leaves in the middle of the response': {
    request: get,
    handler: (request) => { replyTo(request).raw.write('first') },
    answered: (socket) => socket.resetAndDestroy(),
    ends: ['499 aborted']
  },
  'the client leaves in the middle of its upload': { request: upload('Content-Length: 100', 'ab'), client: (socket) => socket.destroy(), ends: ['499 aborted'] },
  'the server destroys the connection': { request: get, handler: (request) => { raw(request).socket.destroy() }, ends: ['444 incomplete'] },
  'the server resets the connection': { request: get, handler: (request) => { raw(request).socket.resetAndDestroy() }, ends: ['444 incomplete'] },
  'the server destroys the request': { request: get, handler: (request) => { raw(request).destroy() }, ends: ['444 incomplete'] },
  'the server destroys the response': { request: get, handler: (request) => { replyTo(request).raw.destroy() }, ends: ['444 incomplete'] },
  'the server destroys the response with an error of another connection': {
    request: get,
    handler: (request) => { replyTo(request).raw.destroy(Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET', syscall: 'read' })) },
    ends: ['444 incomplete']
  },
  'the server closes all connections': { request: get, client: (_socket, app) => app.server.closeAllConnections(), ends: ['444 incomplete'] },
  'the server closes all connections after the headers': {
    request: get,
    handler: (request, app) => {
      replyTo(request).raw.write('first')
      setImmediate(() => app.server.closeAllConnections())
    },
    ends: ['200 incomplete']
  },
  'the connection times out': { request: get, server: { connectionTimeout: 200 }, ends: ['444 incomplete'] },
  'a stream fails after its headers': {
    request: get,
    handler: (request) => {
      const stream = new PassThrough()
      stream.write('first')
      setImmediate(() => setImmediate(() => stream.destroy(new Error('source'))))
      replyTo(request).send(stream)
    },
    ends: ['200 incomplete']
  },
  'the status is set anew after the headers were sent': {
    request: get,
    handler: (request) => {
      const response = replyTo(request).raw
      response.write('first')
      response.statusCode = 555
      response.end()
    },
    client: () => {},
    ends: ['200']
  },
  'the reason is one of its own': {
    request: get,
    handler: (request) => {
      const response = replyTo(request).raw
      response.writeHead(202, 'Taken')
      response.end()
    },
    ends: ['202']
  },
  'the connection is closed by the server after the last byte': {
    request: get,
    handler: (request) => {
      const { raw: response } = replyTo(request)
      response.once('finish', () => raw(request).socket.destroy())
      response.end('last')
    },
    ends: ['200']
  },
  'a chunk of the upload is broken': { request: upload('Transfer-Encoding: chunked', 'ZZ\r\n'), ends: ['400'] },
  'a chunk of the upload is broken after the response has begun': {
    request: upload('Transfer-Encoding: chunked', ''),
    handler: (request) => { replyTo(request).raw.write('first') },
    answered: (socket) => socket.write('ZZ\r\n'),
    ends: ['200 incomplete']
  },
  'the upload does not come in time': {
    request: upload('Content-Length: 100', 'ab'),
    server: { requestTimeout: 200, http: { connectionsCheckingInterval: 20, headersTimeout: 150 } } as FastifyServerOptions,
    ends: ['408']
  },
  'a refusal of the application is what the client was told': {
    request: upload('Transfer-Encoding: chunked', 'ZZ\r\n'),
    server: { clientErrorHandler (_error, socket) { socket.end('HTTP/1.1 418 Teapot\r\nConnection: close\r\n\r\n') } },
    ends: ['418']
  },
  'the handler ends the connection by hand': {
    request: get,
    handler: (request) => { setImmediate(() => raw(request).socket.end('HTTP/1.1 203 By Hand\r\n\r\n')) },
    ends: ['203']
  },
  'the handler answers on the connection by hand, in bytes': {
    request: get,
    handler: (request) => { setImmediate(() => raw(request).socket.end(Buffer.from('HTTP/1.1 203 By Hand\r\n\r\n'))) },
    ends: ['203']
  },
  'only the first status that is written by hand counts, under a write of the application too': {
    request: get,
    handler: (request) => {
      const { socket } = raw(request)
      setImmediate(() => {
        const { write } = socket
        socket.write = function (this: Socket, ...args: unknown[]) { return write.apply(this, args as never) } as never
        socket.write('HTTP/1.1 203 By Hand\r\n\r\n')
        socket.write('HTTP/1.1 500 No\r\n\r\n')
        socket.end()
      })
    },
    ends: ['203']
  },
  'the handler ends the connection before it returns, and answers nothing': {
    request: get,
    handler: (request) => { raw(request).socket.end() },
    client: (socket) => socket.end(),
    ends: ['444 incomplete']
  },
  'pipelined responses that wait for one which closes the connection were told nothing': {
    request: get + get,
    handler: (request) => {
      const { raw: response } = replyTo(request)
      if (request.id !== 'req-1') return response.end('second')
      response.setHeader('connection', 'close')
      setImmediate(() => response.end('first'))
    },
    ends: ['200 incomplete', '444 incomplete'],
    unheard: true
  }
}

t.test('HTTP/1: each way an exchange can end has one truth', async (t) => {
  for (const [name, { request, server = {}, handler, client, answered, ends, unheard }] of Object.entries(scenes)) {
    await t.test(name, async (t) => {
      const there = new PassThrough()
      const { app, port, page } = await service(t, {
        server,
        routes: (app) => {
          app.removeAllContentTypeParsers()
          app.addContentTypeParser('*', (_request, _payload, done) => done(null))
          app.route({
            method: ['GET', 'POST'],
            url: '/',
            handler (request, reply) {
              replies.set(request, reply)
              // A stream that Fastify sends is not taken from it.
              if (name !== 'a stream fails after its headers') reply.hijack()
              request.raw.resume()
              handler?.(request, app)
              there.emit('there')
            }
          })
        }
      })
      const entered = once(there, 'there')
      const gone = unheard === undefined ? closings(app, ends.length) : once(app.server, 'connection').then(([connection]) => once(connection, 'close')).then(() => new Promise(setImmediate))
      const socket = await open(port)
      if (answered !== undefined) socket.once('data', () => answered(socket))
      socket.on('data', () => {})
      socket.write(request)
      await entered
      client?.(socket, app)
      await gone
      const after = await page()
      t.same(endings(after), ends)
      checkBooks(t, after)
      socket.destroy()
    })
  }
})

type Exchange2 = (stream: http2.ServerHttp2Stream, response: http2.Http2ServerResponse) => unknown

const { NGHTTP2_NO_ERROR: NO_ERROR, NGHTTP2_CANCEL: CANCEL, NGHTTP2_INTERNAL_ERROR: INTERNAL_ERROR, NGHTTP2_REFUSED_STREAM: REFUSED } = http2.constants
const begin: Exchange2 = (_stream, response) => { response.write('first') }
const streams: Array<[name: string, server: Exchange2 | undefined, client: ((stream: http2.ClientHttp2Stream, session: http2.ClientHttp2Session) => unknown) | undefined, ends: string]> = [
  ...[NO_ERROR, CANCEL, INTERNAL_ERROR, REFUSED].flatMap((code) => [
    [`the client resets it with ${code}`, undefined, (stream: http2.ClientHttp2Stream) => stream.close(code), '499 aborted'],
    [`the client resets it with ${code} after the headers`, begin, (stream: http2.ClientHttp2Stream) => stream.close(code), '499 aborted'],
    [`the server resets it with ${code}`, (stream: http2.ServerHttp2Stream) => stream.close(code), undefined, '444 incomplete'],
    [`the server resets it with ${code} after the headers`, (stream: http2.ServerHttp2Stream, response: http2.Http2ServerResponse) => {
      response.write('first')
      setImmediate(() => stream.close(code))
    }, undefined, '200 incomplete']
  ] as typeof streams),
  ['the server destroys it', (stream) => stream.destroy(), undefined, '444 incomplete'],
  ['the server destroys it with an error', (stream) => stream.destroy(new Error('no')), undefined, '444 incomplete'],
  ['the server destroys the session', (stream) => stream.session?.destroy(), undefined, '444 incomplete'],
  ['the client destroys the session', undefined, (_stream, session) => session.destroy(), '499 aborted'],
  ['the client goes away with an error', undefined, (_stream, session) => session.goaway(INTERNAL_ERROR), '499 aborted'],
  ['a status that is sent past the response', (stream) => {
    stream.respond({ ':status': 203 })
    stream.end()
  }, undefined, '203'],
  ['it is answered', (_stream, response) => response.end('all'), undefined, '200']
]

t.test('HTTP/2: each way a stream can end has one truth', async (t) => {
  for (const [name, serve, leave, ends] of streams) {
    await t.test(name, async (t) => {
      const there = new PassThrough()
      const { app, port, page } = await service(t, {
        server: { http2: true } as never,
        routes: (app) => {
          app.get('/', (request, reply) => {
            reply.hijack()
            const { stream } = request.raw as unknown as http2.Http2ServerRequest
            stream.on('error', () => {})
            serve?.(stream, reply.raw as unknown as http2.Http2ServerResponse)
            there.emit('there')
          })
        }
      })
      const entered = once(there, 'there')
      const gone = closings(app, 1)
      const session = http2.connect(`http://127.0.0.1:${port}`).on('error', () => {})
      t.teardown(() => session.destroy())
      const stream = session.request({ ':path': '/' }).on('error', () => {})
      const answer = serve === begin ? once(stream, 'data') : undefined
      stream.resume()
      await entered
      await answer
      leave?.(stream, session)
      await gone
      const after = await page()
      t.same(endings(after), [ends])
      if (ends.includes(' ')) t.equal(after.sum('http_responses_streamed_total'), 0, 'what was broken off is no response')
      checkBooks(t, after)
    })
  }
})
