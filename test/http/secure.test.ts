import { once } from 'node:events'
import http2 from 'node:http2'
import { connect as connectTls, type TLSSocket, type TlsOptions } from 'node:tls'
import type { AddressInfo } from 'node:net'
import type { FastifyServerOptions } from 'fastify'
import t from 'tap'
import { checkBooks } from '../support/books.js'
import { get, service } from '../support/http.js'

/** TLS by a key that both sides know: it needs no certificate. */
const psk = Buffer.alloc(16, 7)
const ciphers = 'PSK-AES128-GCM-SHA256'
const ofServer: TlsOptions = { pskCallback: () => psk, ciphers, maxVersion: 'TLSv1.2' }

async function secured (port: number, protocol: string): Promise<TLSSocket> {
  const socket = connectTls({
    port, host: '127.0.0.1', ciphers, maxVersion: 'TLSv1.2', ALPNProtocols: [protocol], checkServerIdentity: () => undefined, pskCallback: () => ({ psk, identity: 'test' })
  })
  await once(socket, 'secureConnect')
  return socket
}

const paths = ['/', '/nowhere', '/%']

t.test('what comes over TLS is https, whether Fastify shows it to hooks or not', async (t) => {
  const { app, port, page } = await service(t, { server: { https: ofServer } as FastifyServerOptions, routes: (app) => { app.get('/', async () => 'ok') } })
  t.ok((app.server.address() as AddressInfo).port)
  for (const path of paths) {
    const socket = await secured(port, 'http/1.1')
    socket.write(get(path))
    socket.resume()
    await once(socket, 'close')
  }
  const after = await page()
  t.equal(after.sum('http_requests_received_total', { scheme: 'https' }), 3)
  t.same(after.of('http_requests_received_total', { scheme: 'http' }).filter(({ value }) => value > 0), [])
  checkBooks(t, after)
})

t.test('and over HTTP/2', async (t) => {
  const { port, page } = await service(t, { server: { http2: true, https: ofServer } as FastifyServerOptions, routes: (app) => { app.get('/', async () => 'ok') } })
  const socket = await secured(port, 'h2')
  const session = http2.connect(`https://127.0.0.1:${port}`, { createConnection: () => socket })
  t.teardown(() => session.destroy())
  for (const path of paths) {
    const stream = session.request({ ':path': path })
    stream.resume()
    await once(stream, 'close')
  }
  const after = await page()
  t.equal(after.sum('http_requests_received_total', { scheme: 'https' }), 3)
  t.same(after.of('http_requests_received_total', { scheme: 'http' }).filter(({ value }) => value > 0), [])
  checkBooks(t, after)
})

t.test('a proxy that is trusted says what the client came over', async (t) => {
  const { app, page } = await service(t, { server: { trustProxy: true }, routes: (app) => { app.get('/', async () => 'ok') } })
  for (const proto of ['https', 'http']) await app.inject({ url: '/', headers: { 'x-forwarded-proto': proto, 'x-forwarded-for': '1.2.3.4' } })
  const after = await page()
  for (const scheme of ['https', 'http']) t.equal(after.sum('http_requests_received_total', { scheme }), 1)
})
