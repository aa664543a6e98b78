import { ServerResponse, type IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import type { Socket } from 'node:net'
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteHandlerMethod } from 'fastify'
import type { Recorder } from './recorder.js'

/** Of a request, in the order in which Fastify has them. */
const HOOKS = ['onRequest', 'preParsing', 'preValidation', 'preHandler', 'preSerialization', 'onSend', 'onError', 'onResponse', 'onTimeout', 'onRequestAbort']

/** Paths that are asked for in each way a request can come. */
export const PATHS = [
  '/value', '/callback', '/later', '/own-status', '/no-content', '/headers', '/redirect', '/serializer', '/own-serializer', '/serializer-fails', '/stream', '/stream-fails',
  '/stream-fails-at-once', '/response', '/trailer', '/buffer', '/wrong-payload', '/wrong-status', '/thenable', '/value-not-promised', '/this', '/names', '/context', '/ticks', '/ticks-async',
  '/throws', '/throws-async', '/throws-later', '/throws-status', '/throws-after-code', '/throws-undefined', '/throws-string', '/sends-error', '/throws-after-sending', '/sends-twice',
  '/returns-and-sends', '/not-found-called', '/hook-throws', '/hook-fails', '/hook-answers', '/hook-answers-async', '/hook-hijacks', '/on-send-throws', '/on-response-throws',
  '/pre-serialization-replaces', '/on-send-replaces', '/order', '/validated?n=x', '/validated?n=1', '/hijack', '/hijack-throws', '/floating', '/uncaught', '/nested', '/early-hints',
  '/handled/throws', '/handled/throws-async', '/handled/status', '/handled/code', '/handled/sends', '/handled/hook', '/handled/validated', '/handled-twice/rethrows', '/handled-twice/throws-another',
  '/undefined', '/constrained', '/param/a%20b', '/param/%zz', `/param/${'x'.repeat(200)}`, '/any/thing/at/all', '/none', '/scope/none', '/%zz', '/value/', '/shape'
]
/** Paths that are asked for in more than one way. */
export const SOME_PATHS = ['/value', '/stream', '/throws', '/sends-error', '/hook-fails', '/serializer', '/trailer', '/handled/throws-async', '/none', '/%zz', '/shape']

/** An application with a hook of every kind in each of its scopes, and a route for each way to answer or to fail. */
export function scenes (app: FastifyInstance, recorder: Recorder): void {
  watchHooks(app, recorder, false)
  watchApplication(app, recorder)
  answers(app, recorder)
  failures(app, recorder)
  hooks(app)
  errorHandlers(app, recorder)
  bodies(app, recorder)
}

/** Serves upgrades as @fastify/websocket does: a response on the connection, given to Fastify. */
export function serveUpgrades (app: FastifyInstance): void {
  app.server.on('upgrade', (request: IncomingMessage, socket: Socket) => {
    const response = new ServerResponse(request)
    response.assignSocket(socket)
    response.once('finish', () => socket.end())
    app.routing(request, response)
  })
  app.get('/upgrade', (request, reply) => {
    reply.hijack()
    request.raw.socket.end('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nhello')
  })
  app.get('/upgrade-refused', {
    preValidation: async (_request, reply) => {
      await reply.code(401).send('no')
    }
  }, async () => 'never')
}

function watchHooks (app: FastifyInstance, recorder: Recorder, isAsync: boolean): void {
  const kind = (value: unknown): string => {
    if (value instanceof Error) return recorder.error(value)
    if (value === null || typeof value !== 'object') return typeof value === 'function' ? `function/${value.length}` : String(value)
    return 'elapsedTime' in value ? 'reply' : 'routeOptions' in value ? 'request' : Object.getPrototypeOf(value)?.constructor.name ?? 'no prototype'
  }
  for (const name of HOOKS) {
    const see = (scope: unknown, args: unknown[]) => {
      const reply = args[1] as Partial<FastifyReply>
      const { handler } = (args[0] as FastifyRequest).routeOptions as { handler?: RouteHandlerMethod }
      recorder.note(name, scope === app ? 'its scope' : 'another scope', args.map(kind), [handler?.name, handler?.length], name === 'onRequestAbort' ? '' : [reply.statusCode, reply.sent, reply.getHeaders?.(), reply.raw?.statusCode, reply.raw?.headersSent], recorder.where())
      if (name === 'onResponse' && (args[0] as FastifyRequest).url === '/shape') shapes(app, recorder, 'onResponse', args[0] as FastifyRequest, args[1] as FastifyReply)
    }
    // Fastify asks for one argument here.
    const hook = isAsync && name === 'onRequestAbort'
      ? async function (this: unknown, request: unknown) { see(this, [request]) }
      : isAsync
        ? async function (this: unknown, ...args: unknown[]) { see(this, args) }
        : function (this: unknown, ...args: unknown[]) {
          if (name === 'onRequest') watchRaw(args[0] as FastifyRequest, args[1] as FastifyReply, recorder)
          see(this, args)
          const done = args.at(-1) as () => void
          if (name === 'onRequest') recorder.context.run(`the context of ${(args[0] as FastifyRequest).id}`, done)
          else done()
        }
    app.addHook(name as 'onRequest', hook as never)
  }
}

/** Events of the raw objects, in order. */
function watchRaw ({ raw: request }: FastifyRequest, { raw: response }: FastifyReply, recorder: Recorder): void {
  recorder.startCounting()
  for (const event of ['close', 'end', 'error', 'aborted']) request.on(event, () => recorder.note('request', event, recorder.context.getStore() ?? 'no context'))
  for (const event of ['prefinish', 'finish', 'close', 'error', 'pipe', 'unpipe', 'drain']) {
    response.on(event, () => recorder.note('response', event, response.statusCode, response.headersSent, response.writableEnded, recorder.context.getStore() ?? 'no context'))
  }
}

function watchApplication (app: FastifyInstance, recorder: Recorder): void {
  app.addHook('onReady', function (done) { recorder.note('onReady', this === app); done() })
  app.addHook('onListen', function (done) { recorder.note('onListen', this === app); done() })
  app.addHook('preClose', function (done) { recorder.note('preClose', this === app); done() })
  app.addHook('onClose', (instance, done) => { recorder.note('onClose', instance === app, app.server.listening); done() })
  app.addHook('onRoute', ({ method, url, config, ...rest }) => recorder.note('onRoute', String(method), url, { ...config }, Object.keys(rest)))
  app.addHook('onRegister', (_instance, options) => recorder.note('onRegister', Object.keys(options)))
  app.server.on('clientError', (error: NodeJS.ErrnoException) => recorder.note('clientError', String(error.code), error.message))
  app.server.on('close', () => recorder.note('server closed'))
}

function shapes (app: FastifyInstance, recorder: Recorder, place: string, request: FastifyRequest, reply: FastifyReply): void {
  recorder.shape(`${request.method} ${place}`, {
    request,
    reply,
    'raw request': request.raw,
    'raw response': reply.raw,
    // Of HTTP/2 it is the stream again.
    ...'stream' in request.raw ? { stream: request.raw.stream as object } : { connection: request.raw.socket },
    server: app.server,
    application: app,
    route: request.routeOptions
  })
}

function answers (app: FastifyInstance, recorder: Recorder): void {
  app.route({ method: ['GET', 'POST'], url: '/shape', handler: (request, reply) => { shapes(app, recorder, 'handler', request, reply); reply.send(request.body ?? 'none') } })
  app.get('/value', async () => ({ a: 1 }))
  app.get('/callback', (_request, reply) => { reply.send('now') })
  app.get('/later', (_request, reply) => { setImmediate(() => reply.send('later')) })
  app.get('/own-status', async (_request, reply) => { reply.code(201); return 'x' })
  app.get('/no-content', async (_request, reply) => reply.code(204).send())
  app.get('/headers', async (_request, reply) => reply.header('x-a', 'a').headers({ 'set-cookie': ['a=1', 'b=2'] }).type('text/html').send('<p>'))
  app.get('/redirect', async (_request, reply) => reply.redirect('/value'))
  app.get('/serializer', { schema: { response: { 200: { type: 'object', properties: { a: { type: 'string' } } } } } }, async () => ({ a: 1, b: 2 }))
  app.get('/own-serializer', async (_request, reply) => reply.serializer((payload: unknown) => `own ${JSON.stringify(payload)}`).send({ a: 1 }))
  app.get('/serializer-fails', async (_request, reply) => reply.serializer(() => { throw new Error('serializer') }).send({ a: 1 }))
  app.get('/stream', (_request, reply) => reply.send(Readable.from(['a', 'b'])))
  app.get('/stream-fails', (_request, reply) => {
    let reads = 0
    return reply.send(new Readable({ read () { if (reads++ === 0) this.push('x'); else this.destroy(new Error('late')) } }))
  })
  app.get('/stream-fails-at-once', (_request, reply) => reply.send(new Readable({ read () { this.destroy(new Error('at once')) } })))
  app.get('/response', async () => new Response('hi', { status: 201, headers: { 'x-a': 'b' } }))
  app.get('/trailer', (_request, reply) => { reply.trailer('x', async () => 'y').send('t') })
  app.get('/buffer', async () => Buffer.from('buffer'))
  app.get('/thenable', () => ({ then: (resolve: (value: string) => void) => { recorder.note('then'); setImmediate(resolve, 'rows') } }) as never)
  app.get('/value-not-promised', () => 'value')
  app.get('/early-hints', (_request, reply) => {
    if ('writeEarlyHints' in reply.raw) reply.raw.writeEarlyHints({ link: '</a.css>; rel=preload' })
    reply.send('hints')
  })
  app.get('/this', function (...args) {
    recorder.note('handler', this === app, args.length, args[0].server === app, args[1].request === args[0], recorder.error(new Error('here')))
    args[1].send('ok')
  })
  app.get('/names', async function named (request) {
    const { handler, config, ...rest } = request.routeOptions
    return { name: handler.name, length: handler.length, same: handler === request.routeOptions.handler, config, ...rest, printed: app.hasRoute({ method: 'GET', url: '/names' }) }
  })
  app.get('/context', (_request, reply) => {
    recorder.note('handler', recorder.where())
    recorder.context.run('its own', () => setImmediate(() => { recorder.note('callback', recorder.where()); reply.send('ok') }))
  })
  app.get('/ticks', (_request, reply) => {
    process.nextTick(() => recorder.note('tick', reply.sent, reply.raw.writableEnded))
    queueMicrotask(() => recorder.note('microtask', reply.sent, reply.raw.writableEnded))
    setImmediate(() => recorder.note('immediate', reply.sent, reply.raw.writableEnded))
    reply.send('ok')
    recorder.note('after send', recorder.where())
  })
  app.get('/ticks-async', async () => {
    recorder.note('handler', recorder.where())
    await null
    recorder.note('after await', recorder.where())
    return 'ok'
  })
  app.get('/nested', async () => ({ inner: (await app.inject('/value')).statusCode }))
  app.get('/constrained', { constraints: { host: 'elsewhere' } }, async () => 'elsewhere')
  app.get('/param/:name', async (request) => request.params)
  app.get('/any/*', async (request) => request.params)
  app.get('/undefined', async () => {})
  app.get('/slow', (request, reply) => {
    const end = recorder.begin()
    request.raw.once('close', () => { reply.send('late'); setImmediate(end) })
    recorder.reach()
  })
  app.get('/timeout', (request) => { setImmediate(() => request.raw.socket.emit('timeout')) })
}

function failures (app: FastifyInstance, recorder: Recorder): void {
  const caught = (reply: FastifyReply, run: () => unknown) => {
    try {
      run()
    } catch (error) {
      recorder.note('caught', recorder.error(error), reply.statusCode, reply.sent)
    }
  }
  app.get('/throws', () => { throw new Error('boom') })
  app.get('/throws-async', async () => { throw new Error('boom') })
  app.get('/throws-later', async () => { await turn(); throw new TypeError('later') })
  app.get('/throws-status', async () => { throw Object.assign(new Error('tea'), { statusCode: 418, headers: { 'x-tea': '1' }, code: 'TEA' }) })
  app.get('/throws-after-code', async (_request, reply) => { reply.code(202).header('x-a', 'b'); throw new Error('boom') })
  app.get('/throws-undefined', () => Promise.reject(undefined)) // eslint-disable-line prefer-promise-reject-errors
  app.get('/throws-string', () => Promise.reject('no')) // eslint-disable-line prefer-promise-reject-errors
  app.get('/sends-error', (_request, reply) => { reply.code(503).send(new Error('sent')) })
  app.get('/throws-after-sending', async (_request, reply) => { reply.send('sent'); throw new Error('after') })
  app.get('/sends-twice', (_request, reply) => { reply.send('once'); caught(reply, () => reply.send('twice')) })
  app.get('/returns-and-sends', async (_request, reply) => { reply.send('sent'); return 'returned' })
  app.get('/not-found-called', (_request, reply) => { reply.callNotFound() })
  app.get('/wrong-payload', (_request, reply) => { caught(reply, () => reply.type('text/html').send({ no: 'text' })); reply.send('caught') })
  app.get('/wrong-status', (_request, reply) => { caught(reply, () => reply.code(9999)); reply.send('caught') })
  app.get('/hijack', (_request, reply) => { reply.hijack(); reply.raw.end('x') })
  app.get('/hijack-throws', async (_request, reply) => { reply.hijack(); reply.raw.end('x'); throw new Error('late') })
  app.get('/floating', async () => { Promise.reject(new Error('floating')); return 'ok' })
  app.get('/uncaught', (_request, reply) => { setImmediate(() => { setImmediate(() => reply.send('ok')); throw new Error('uncaught') }) })
  app.get('/validated', { schema: { querystring: { type: 'object', properties: { n: { type: 'integer' } } } } }, async (request) => request.query)
}

function hooks (app: FastifyInstance): void {
  const never: RouteHandlerMethod = async () => 'never'
  app.get('/hook-throws', { preHandler: async () => { throw new Error('pre') } }, never)
  app.get('/hook-fails', { onRequest: (_request, _reply, done) => { done(Object.assign(new Error('first'), { statusCode: 401 })) } }, never)
  app.get('/hook-answers', { preHandler: (_request, reply) => { reply.code(203).send('early') } }, never)
  app.get('/hook-answers-async', { preValidation: async (_request, reply) => reply.code(203).send('early') }, never)
  app.get('/hook-hijacks', { preHandler: async (_request, reply) => { reply.hijack(); reply.raw.end('hijacked') } }, never)
  app.get('/on-send-throws', { onSend: async () => { throw new Error('onSend') } }, async () => 'x')
  app.get('/on-response-throws', { onResponse: async () => { throw new Error('onResponse') } }, async () => 'x')
  app.get('/pre-serialization-replaces', { preSerialization: async () => ({ replaced: true }) }, async () => ({ a: 1 }))
  app.get('/on-send-replaces', { onSend: (_request, _reply, _payload, done) => { done(null, 'replaced') } }, async () => 'x')
}

function errorHandlers (app: FastifyInstance, recorder: Recorder): void {
  app.get('/order', {
    preHandler: [async () => { recorder.note('first preHandler of the route', recorder.where()) }, (_request, _reply, done) => { recorder.note('second preHandler of the route', recorder.where()); done() }]
  }, async () => { recorder.note('handler', recorder.where()); return 'order' })
  app.register(async (scope) => {
    watchHooks(scope, recorder, true)
    scope.setErrorHandler(function (error: Error, request, reply) {
      recorder.note('error handler', this === scope, recorder.error(error), reply.statusCode, reply.raw.statusCode, reply.sent, request.url, recorder.where())
      reply.send({ status: reply.statusCode })
    })
    scope.get('/throws', () => { throw new Error('boom') })
    scope.get('/throws-async', async () => { throw new Error('boom') })
    scope.get('/status', async () => { throw Object.assign(new Error('x'), { statusCode: 409 }) })
    scope.get('/code', async (_request, reply) => { reply.code(299); throw new Error('x') })
    scope.get('/sends', (_request, reply) => reply.send(new Error('x')))
    scope.get('/hook', { preHandler: async () => { throw new Error('pre') } }, async () => 'never')
    scope.get('/validated', { schema: { querystring: { type: 'object', required: ['n'] } } }, async () => 'never')
  }, { prefix: '/handled' })
  app.register(async (scope) => {
    scope.setErrorHandler(async (error, _request, reply) => { recorder.note('outer error handler', reply.statusCode); throw error })
    scope.register(async (inner) => {
      inner.setErrorHandler(async (error, request, reply) => {
        recorder.note('inner error handler', reply.statusCode)
        throw request.url.endsWith('another') ? new Error('another') : error
      })
      inner.get('/rethrows', async () => { throw new Error('boom') })
      inner.get('/throws-another', async () => { throw new Error('boom') })
    })
  }, { prefix: '/handled-twice' })
  app.register(async (scope) => {
    watchHooks(scope, recorder, true)
    scope.setNotFoundHandler({ preHandler: async () => { recorder.note('preHandler of the 404') } }, async (request, reply) => {
      recorder.note('not found handler', reply.statusCode, request.is404, recorder.where())
      return reply.send('not here')
    })
  }, { prefix: '/scope' })
}

function bodies (app: FastifyInstance, recorder: Recorder): void {
  app.post('/echo', async (request) => request.body)
  app.post('/small', { bodyLimit: 10 }, async () => 'never')
  app.addContentTypeParser('text/x-stream', (_request, payload, done) => {
    let bytes = 0
    payload.on('data', (chunk: Buffer) => { bytes += chunk.length }).on('end', () => { recorder.note('parsed', recorder.where()); done(null, { bytes }) })
  })
}
