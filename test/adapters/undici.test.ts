import t from 'tap'
import { channel } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { Readable, Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import * as undici from 'undici'
import { HostileService } from '../support/hostile-service.js'
import { observedOutgoing } from '../support/outgoing.js'

const service = await HostileService.start(t)
const { origin } = service

/** Runs with a dispatcher that is ended afterwards. @param how 'close' waits for its requests */
async function using<D extends undici.Dispatcher> (dispatcher: D, run: (dispatcher: D) => Promise<unknown>, how: 'close' | 'destroy' = 'destroy'): Promise<void> {
  try {
    await run(dispatcher)
  } finally {
    await dispatcher[how]()
  }
}

const dump = async ({ body }: undici.Dispatcher.ResponseData) => { await body.dump() }
const at = (path: string, dispatcher?: undici.Dispatcher) => undici.request(origin + path, dispatcher === undefined ? {} : { dispatcher }).then(dump)
const composed = (interceptor: undici.Dispatcher.DispatcherComposeInterceptor, path: string, times = 1) =>
  using(new undici.Agent(), async (agent) => { for (let i = 0; i < times; i++) await at(path, agent.compose(interceptor)) }, 'close')

/** What an application does, and what has been counted then. */
const ways: Record<string, readonly [run: () => Promise<unknown>, counted: Record<string, number>]> = {
  'the global fetch': [async () => (await fetch(`${origin}/text`)).text(), { 'GET 200': 1 }],
  'the global fetch, POST': [async () => (await fetch(`${origin}/echo`, { method: 'POST', body: 'x'.repeat(100_000) })).text(), { 'POST 200': 1 }],
  'a redirect of fetch: each hop': [async () => (await fetch(`${origin}/redirected`)).text(), { 'GET 302': 1, 'GET 200': 1 }],
  "undici's fetch": [async () => (await undici.fetch(`${origin}/text`)).text(), { 'GET 200': 1 }],
  'fetch of data: and blob:': [async () => {
    await (await fetch('data:text/plain,hello')).text()
    await (await fetch(URL.createObjectURL(new Blob(['hello'])))).text()
  }, {}],
  'a HEAD': [() => fetch(`${origin}/text`, { method: 'HEAD' }), { 'HEAD 200': 1 }],
  'a 204': [() => at('/nothing'), { 'GET 204': 1 }],
  'a 304': [() => at('/known'), { 'GET 304': 1 }],
  'a 503': [() => at('/failed'), { 'GET 503': 1 }],
  'a 1xx before the answer': [() => at('/early'), { 'GET 201': 1 }],
  'an answer in chunks': [() => at('/chunks'), { 'GET 200': 1 }],
  'an answer after which the server closes the connection': [async () => { for (let i = 0; i < 3; i++) await at('/bye') }, { 'GET 200': 3 }],
  request: [() => at('/text'), { 'GET 200': 1 }],
  'a method that is not of HTTP': [() => undici.request(`${origin}/text`, { method: 'PROPFIND' as never }).then(dump), { '_OTHER 200': 1 }],
  stream: [() => undici.stream(`${origin}/text`, { method: 'GET' }, () => new Writable({ write: (_chunk, _encoding, done) => { done() } })), { 'GET 200': 1 }],
  pipeline: [() => text(Readable.from(['hello']).pipe(undici.pipeline(`${origin}/echo`, { method: 'PUT' }, ({ body }) => body))), { 'PUT 200': 1 }],
  connect: [async () => { (await undici.connect(origin)).socket.destroy() }, { 'CONNECT 200': 1 }],
  upgrade: [async () => { (await undici.upgrade(origin, { protocol: 'echo' })).socket.destroy() }, { 'GET 101': 1 }],
  'a Client, pipelining': [() => using(new undici.Client(origin, { pipelining: 5 }), (client) =>
    Promise.all(Array.from({ length: 10 }, () => client.request({ path: '/text', method: 'GET' }).then(dump)))), { 'GET 200': 10 }],
  'a Pool': [() => using(new undici.Pool(origin, { connections: 2 }), (pool) =>
    Promise.all(Array.from({ length: 10 }, () => pool.request({ path: '/text', method: 'GET' }).then(dump)))), { 'GET 200': 10 }],
  'a RetryAgent: each try': [() => using(new undici.RetryAgent(new undici.Agent(), { maxRetries: 2, minTimeout: 1, maxTimeout: 1 }), (agent) =>
    undici.request(`${origin}/failed`, { dispatcher: agent }).then(dump, () => {})), { 'GET 503': 3 }],
  'a MockAgent: what never leaves the process is none': [() => using(new undici.MockAgent(), async (agent) => {
    agent.disableNetConnect()
    agent.get(origin).intercept({ path: '/text' }).reply(200, 'mock')
    await at('/text', agent)
  }, 'close'), {}],
  'the interceptor redirect: each hop': [() => composed(undici.interceptors.redirect({ maxRedirections: 3 }), '/redirected'), { 'GET 302': 1, 'GET 200': 1 }],
  'the interceptor cache: a kept answer is none': [() => composed(undici.interceptors.cache(), '/cached', 3), { 'GET 200': 1 }],
  'the interceptor dump': [() => composed(undici.interceptors.dump({ maxSize: 10_000_000 }), '/large'), { 'GET 200': 1 }],
  'an answer that was not read, but has come': [() => undici.request(`${origin}/text`), { 'GET 200': 1 }]
}

t.test('each request is counted once, with its status', async (t) => {
  for (const [name, [run, counted]] of Object.entries(ways)) {
    await t.test(name, async (t) => {
      const outgoing = observedOutgoing(t)
      await run()
      t.same(await outgoing.settled(), counted)
      t.same(await outgoing.hosts(), Object.keys(counted).length === 0 ? [] : [service.host])
    })
  }
})

t.test('a request through a proxy is one to the proxy and one through it', async (t) => {
  const target = service.port
  const proxy = createServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
      socket.pipe(connect(target, '127.0.0.1').on('error', () => {})).pipe(socket)
    })
  }).listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  t.teardown(() => proxy.close())
  const { port } = proxy.address() as { port: number }
  const outgoing = observedOutgoing(t)
  await using(new undici.ProxyAgent({ uri: `http://user:secret@127.0.0.1:${port}`, proxyTunnel: true }), (agent) => at('/text', agent))
  t.same(await outgoing.settled(), { 'CONNECT 200': 1, 'GET 200': 1 })
  t.same(await outgoing.hosts(), [`127.0.0.1:${port}`, service.host].sort())
  t.notMatch((await outgoing.page()).text, /secret|user/)
})

/** A request that gets no whole answer, and the type of its error. */
const failures: Record<string, readonly [run: () => Promise<unknown>, counted: Record<string, number>]> = {
  'nobody listens': [() => undici.request('http://127.0.0.1:1/'), { 'GET ECONNREFUSED': 1 }],
  'a name that is not there': [() => fetch('http://nobody.invalid/'), { 'GET ENOTFOUND': 1 }],
  'no connection in time': [() => using(new undici.Agent({
    connect: (_options, done) => { done(new undici.errors.ConnectTimeoutError(), null) }
  }), (agent) => at('/text', agent)), { 'GET UND_ERR_CONNECT_TIMEOUT': 1 }],
  'no head in time': [() => undici.request(`${origin}/silent`, { headersTimeout: 1 }), { 'GET UND_ERR_HEADERS_TIMEOUT': 1 }],
  'no body in time': [() => undici.request(`${origin}/half`, { bodyTimeout: 1 }).then(({ body }) => body.text()), { 'GET UND_ERR_BODY_TIMEOUT': 1 }],
  'cut before the head': [() => at('/cut'), { 'GET UND_ERR_SOCKET': 1 }],
  'cut in the body': [async () => (await fetch(`${origin}/cut-in-the-body`)).text(), { 'GET UND_ERR_SOCKET': 1 }],
  garbage: [() => at('/garbage'), { 'GET HTTPParserError': 1 }],
  'aborted while waiting for the head': [async () => {
    const controller = new AbortController()
    const { asked } = service
    const answer = fetch(`${origin}/silent`, { signal: controller.signal })
    await asked
    controller.abort()
    await answer
  }, { 'GET AbortError': 1 }],
  'aborted in the body': [async () => {
    const controller = new AbortController()
    const { body } = await undici.request(`${origin}/half`, { signal: controller.signal })
    controller.abort()
    await body.text()
  }, { 'GET UND_ERR_ABORTED': 1 }],
  'aborted by a timeout': [() => undici.request(`${origin}/silent`, { signal: AbortSignal.timeout(1) }), { 'GET TimeoutError': 1 }],
  'aborted with a reason that is no error': [async () => {
    const controller = new AbortController()
    const { asked } = service
    const answer = undici.request(`${origin}/silent`, { signal: controller.signal })
    await Promise.all([asked.then(() => { controller.abort('card number 4111') }), answer])
  }, { 'GET Error': 1 }],
  'a body that is cancelled': [async () => { await (await fetch(`${origin}/half`)).body?.cancel() }, { 'GET AbortError': 1 }],
  'a body that is destroyed': [async () => {
    const { body } = await undici.request(`${origin}/half`)
    body.on('error', () => {}).destroy()
  }, { 'GET UND_ERR_ABORTED': 1 }],
  'a dispatcher that is destroyed': [() => using(new undici.Client(origin), async (client) => {
    const { asked } = service
    const answer = client.request({ path: '/silent', method: 'GET' })
    await asked
    await Promise.all([answer, client.destroy()])
  }), { 'GET UND_ERR_DESTROYED': 1 }],
  'an upload that fails': [() => undici.request(`${origin}/echo`, {
    method: 'POST',
    body: new Readable({ read () { this.destroy(Object.assign(new Error('disk'), { code: 'EIO' })) } })
  }), { 'POST EIO': 1 }]
}

t.test('each request without a whole answer is counted once, with the type of its error', async (t) => {
  for (const [name, [run, counted]] of Object.entries(failures)) {
    await t.test(name, async (t) => {
      const outgoing = observedOutgoing(t)
      await run().catch(() => {})
      t.same(await outgoing.settled(), counted)
      t.notMatch((await outgoing.page()).text, /4111|silent|half/)
    })
  }
})

t.test('a request that was aborted before it began is none', async (t) => {
  const outgoing = observedOutgoing(t)
  await t.rejects(fetch(`${origin}/text`, { signal: AbortSignal.abort() }))
  t.same(await outgoing.kinds(), {})
})

t.test('an answer that nobody reads, and that is larger than what undici reads ahead, is in flight until somebody ends it', async (t) => {
  const outgoing = observedOutgoing(t)
  const { body } = await undici.request(`${origin}/large`)
  t.same(await outgoing.kinds(), { 'in flight': 1 })
  t.ok((await outgoing.page()).sum('http_client_request_oldest_seconds', { host: service.host }) > 0)
  body.on('error', () => {}).destroy()
  t.same(await outgoing.settled(), { 'GET UND_ERR_ABORTED': 1 })
  t.equal((await outgoing.page()).sum('http_client_request_oldest_seconds', { host: service.host }), 0)
})

t.test('WebSockets, whose handshake most versions of undici do not tell about, are counted', async (t) => {
  const outgoing = observedOutgoing(t)
  const socket = new undici.WebSocket(`ws://${service.host}/`)
  // The handshake of this service is not complete, so the socket fails.
  await new Promise((resolve) => { socket.addEventListener('error', resolve) })
  t.same(await outgoing.settled(), { 'GET 101': 1 })
})

t.test('the end of an upgrade is known where undici does not tell it', async (t) => {
  const outgoing = observedOutgoing(t)
  const answered: unknown[] = []
  // What Node 20, 22 and 24 have inside.
  const request = { origin, method: 'GET', upgrade: 'websocket', onUpgrade (...args: unknown[]) { answered.push(this, ...args) } }
  channel('undici:request:create').publish({ request })
  t.same(await outgoing.kinds(), { 'in flight': 1 })
  request.onUpgrade(101, [], 'socket')
  t.same(answered.slice(1), [101, [], 'socket'])
  t.equal(answered[0], request)
  t.same(await outgoing.kinds(), { 'GET 101': 1 })
})
