import t from 'tap'
import { once } from 'node:events'
import { Agent, get, request, type ClientRequest, type IncomingMessage, type RequestOptions } from 'node:http'
import { HostileService } from '../support/hostile-service.js'
import { observedOutgoing } from '../support/outgoing.js'

const service = await HostileService.start(t)
const { port } = service

const answer = (path: string, options: RequestOptions = {}) => new Promise<IncomingMessage>((resolve, reject) => {
  get({ host: '127.0.0.1', port, path, ...options }, resolve).on('error', reject)
})
const read = async (path: string, options?: RequestOptions) => {
  const response = await answer(path, options)
  response.resume()
  await once(response, 'end')
}
const failed = (sent: ClientRequest) => new Promise<void>((resolve) => { sent.on('error', () => { resolve() }) })

const ways: Record<string, readonly [run: () => Promise<unknown>, counted: Record<string, number>]> = {
  'an answer': [() => read('/text'), { 'GET 200': 1 }],
  'a 204': [() => read('/nothing'), { 'GET 204': 1 }],
  'a 304': [() => read('/known'), { 'GET 304': 1 }],
  'a 503': [() => read('/failed'), { 'GET 503': 1 }],
  'a HEAD': [() => read('/text', { method: 'HEAD' }), { 'HEAD 200': 1 }],
  'a 1xx before the answer': [() => read('/early'), { 'GET 201': 1 }],
  'a redirect is not followed': [() => read('/redirected'), { 'GET 302': 1 }],
  'an answer after which the connection closes': [() => read('/bye'), { 'GET 200': 1 }],
  'without an agent': [() => read('/text', { agent: false }), { 'GET 200': 1 }],
  'one connection for many, kept alive': [async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    await Promise.all(Array.from({ length: 5 }, () => read('/text', { agent })))
    agent.destroy()
  }, { 'GET 200': 5 }],
  'a method that is not of HTTP': [() => read('/text', { method: 'PROPFIND' }), { '_OTHER 200': 1 }],
  'an upload': [async () => {
    const sent = request({ host: '127.0.0.1', port, path: '/echo', method: 'POST' })
    sent.end('hello')
    const [response] = await once(sent, 'response') as [IncomingMessage]
    response.resume()
  }, { 'POST 200': 1 }],
  'an answer that nobody listens for': [() => once(get({ host: '127.0.0.1', port, path: '/text' }), 'close'), { 'GET 200': 1 }],
  'an upgrade': [async () => {
    const sent = get({ host: '127.0.0.1', port, path: '/', headers: { connection: 'upgrade', upgrade: 'echo' } })
    const [, socket] = await once(sent, 'upgrade')
    socket.destroy()
  }, { 'GET 101': 1 }],
  'a tunnel': [async () => {
    const sent = request({ host: '127.0.0.1', port, path: 'somewhere:443', method: 'CONNECT' }).end()
    const [, socket] = await once(sent, 'connect')
    socket.destroy()
  }, { 'CONNECT 200': 1 }],
  'nobody listens': [() => failed(get({ host: '127.0.0.1', port: 1 })), { 'GET ECONNREFUSED': 1 }],
  'a name that is not there': [() => failed(get({ host: 'nobody.invalid' })), { 'GET ENOTFOUND': 1 }],
  'cut before the head': [() => failed(get({ host: '127.0.0.1', port, path: '/cut' })), { 'GET ECONNRESET': 1 }],
  garbage: [() => failed(get({ host: '127.0.0.1', port, path: '/garbage' })), { 'GET HPE_INVALID_CONSTANT': 1 }],
  'cut in the body': [async () => {
    const response = await answer('/cut-in-the-body')
    response.resume()
    await once(response, 'end').catch(() => {})
  }, { 'GET ECONNRESET': 1 }],
  'aborted while waiting': [async () => {
    const controller = new AbortController()
    const { asked } = service
    const sent = get({ host: '127.0.0.1', port, path: '/silent', signal: controller.signal })
    await asked
    controller.abort()
    await failed(sent)
  }, { 'GET ABORT_ERR': 1 }],
  'destroyed while waiting': [async () => {
    const { asked } = service
    const sent = get({ host: '127.0.0.1', port, path: '/silent' })
    await asked
    sent.destroy()
    await failed(sent)
  }, { 'GET ECONNRESET': 1 }],
  'destroyed in the body': [async () => { (await answer('/half')).destroy() }, { 'GET ABORT_ERR': 1 }]
}

t.test('each request of node:http is counted once', async (t) => {
  for (const [name, [run, counted]] of Object.entries(ways)) {
    await t.test(name, async (t) => {
      const outgoing = observedOutgoing(t)
      await run()
      t.same(await outgoing.settled(), counted)
    })
  }
})

t.test('the host is where the request goes, whatever its Host header says', async (t) => {
  const outgoing = observedOutgoing(t)
  for (const host of ['evil.example.com', '127.0.0.1:x@evil.example.com', `127.0.0.1:${port}`]) await read('/text', { headers: { host } })
  t.same(await outgoing.settled(), { 'GET 200': 3 })
  t.same(await outgoing.hosts(), ['127.0.0.1', service.host])
})
