import { once } from 'node:events'
import { createSecureServer } from 'node:http2'
import { Agent, get } from 'node:https'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import * as undici from 'undici'
import { certificates, type Certificates } from '../outgoing/certificates.js'
import { HostileService } from '../support/hostile-service.js'
import { observedOutgoing } from '../support/outgoing.js'

const made = await certificates(t)
if (made === undefined) process.exit(0)
const { good, expired, elsewhere }: Certificates = made

type Ask = (port: number, trusted: { readonly ca?: string, readonly minVersion?: 'TLSv1.3' }) => Promise<string>

/** Each asks for /text of localhost by https. */
const clients: Record<string, Ask> = {
  'the global fetch': (port, trusted) => using(new undici.Agent({ connect: trusted }), async (dispatcher) => {
    return (await fetch(`https://localhost:${port}/text`, { dispatcher } as unknown as RequestInit)).text()
  }),
  'fetch of undici': (port, trusted) => using(new undici.Agent({ connect: trusted }), async (dispatcher) => {
    return (await undici.fetch(`https://localhost:${port}/text`, { dispatcher })).text()
  }),
  request: (port, trusted) => using(new undici.Agent({ connect: trusted }), async (dispatcher) => {
    return (await undici.request(`https://localhost:${port}/text`, { dispatcher })).body.text()
  }),
  'node:https': (port, trusted) => new Promise<string>((resolve, reject) => {
    get({ host: 'localhost', port, path: '/text', agent: new Agent(trusted) }, (response) => {
      response.toArray().then((chunks) => { resolve(chunks.join('')) }, reject)
    }).on('error', reject)
  })
}

async function using<R> (agent: undici.Agent, run: (agent: undici.Agent) => Promise<R>): Promise<R> {
  try {
    return await run(agent)
  } finally {
    await agent.destroy()
  }
}

const services = {
  good: await HostileService.start(t, good),
  expired: await HostileService.start(t, expired),
  elsewhere: await HostileService.start(t, elsewhere),
  old: await HostileService.start(t, { ...good, maxVersion: 'TLSv1.2' }),
  plain: await HostileService.start(t)
}

for (const [name, ask] of Object.entries(clients)) {
  t.test(`https by ${name}`, async (t) => {
    const outgoing = observedOutgoing(t)
    t.equal(await ask(services.good.port, { ca: good.cert }), 'hello')
    await t.rejects(ask(services.good.port, {}))
    await t.rejects(ask(services.expired.port, { ca: expired.cert }))
    await t.rejects(ask(services.elsewhere.port, { ca: elsewhere.cert }))
    t.same(await outgoing.settled(), { 'GET 200': 1, 'GET DEPTH_ZERO_SELF_SIGNED_CERT': 1, 'GET CERT_HAS_EXPIRED': 1, 'GET ERR_TLS_CERT_ALTNAME_INVALID': 1 })
    t.same(await outgoing.hosts(), ['good', 'expired', 'elsewhere'].map((name) => `localhost:${services[name as keyof typeof services].port}`).sort())
  })

  t.test(`handshakes that fail, by ${name}`, async (t) => {
    const outgoing = observedOutgoing(t)
    await t.rejects(ask(services.old.port, { ca: good.cert, minVersion: 'TLSv1.3' }))
    await t.rejects(ask(services.plain.port, { ca: good.cert }))
    // Versions of OpenSSL and of Node call these differently.
    const kinds = Object.entries(await outgoing.settled())
    t.equal(kinds.reduce((sum, [, count]) => sum + count, 0), 2)
    for (const [kind] of kinds) t.match(kind, /^GET (?:EPROTO|ERR_SSL\w*|ERR_TLS\w*)$/)
  })
}

t.test('HTTP/2 over TLS', async (t) => {
  const server = createSecureServer(good)
  server.on('sessionError', () => {})
  server.on('stream', (stream, headers) => {
    stream.on('error', () => {})
    if (headers[':path'] === '/reset') stream.close(2)
    else {
      stream.respond({ ':status': headers[':path'] === '/failed' ? 503 : 200 })
      stream.end(headers[':path'] === '/large' ? Buffer.alloc(1_000_000) : 'hello')
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const origin = `https://localhost:${(server.address() as AddressInfo).port}`
  const outgoing = observedOutgoing(t)
  await using(new undici.Agent({ allowH2: true, connect: { ca: good.cert } }), async (dispatcher) => {
    const read = (path: string) => undici.request(origin + path, { dispatcher }).then(({ body }) => body.text())
    t.equal(await read('/text'), 'hello')
    t.equal(await read('/failed'), 'hello')
    t.equal((await read('/large')).length, 1_000_000)
    t.equal(await (await undici.fetch(`${origin}/text`, { dispatcher })).text(), 'hello')
    t.equal(await (await fetch(`${origin}/text`, { dispatcher } as unknown as RequestInit)).text(), 'hello')
    t.same(await Promise.all(Array.from({ length: 20 }, () => read('/text'))), Array(20).fill('hello'))
    await t.rejects(read('/reset'))
    const { 'GET 200': answered, 'GET 503': failed, ...errors } = await outgoing.settled()
    t.same({ answered, failed }, { answered: 24, failed: 1 })
    t.match(Object.entries(errors), [[/^GET (?:UND_ERR|ERR_HTTP2)/, 1]])
    t.same(await outgoing.hosts(), [new URL(origin).host])
  })
})

t.test('with the interceptor dns a request goes to an address, and has the host that is listed', async (t) => {
  const host = `localhost:${services.good.port}`
  const outgoing = observedOutgoing(t, { hosts: [host] })
  await using(new undici.Agent({ connect: { ca: good.cert, servername: 'localhost' } }), async (agent) => {
    const dispatcher = agent.compose(undici.interceptors.dns({ dualStack: false, affinity: 4 }))
    for (let i = 0; i < 2; i++) t.equal(await (await undici.request(`https://${host}/text`, { dispatcher })).body.text(), 'hello')
    await t.rejects(undici.request('https://nobody.invalid/', { dispatcher }))
  })
  t.same(await outgoing.settled(), { 'GET 200': 2 }, 'a name that is not there is no request: it is looked up before')
  t.equal((await outgoing.page()).sum('http_client_request_duration_seconds_count', { host }), 2)
})
