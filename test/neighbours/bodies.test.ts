import http, { type IncomingHttpHeaders } from 'node:http'
import { once } from 'node:events'
import { buffer } from 'node:stream/consumers'
import { gunzipSync } from 'node:zlib'
import compress from '@fastify/compress'
import etag from '@fastify/etag'
import multipart from '@fastify/multipart'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { ended } from '../support/books.js'
import { exchange, open, service } from '../support/http.js'
import { ask, checkBooks, ORDERS, scrape } from '../support/neighbours.js'

/** An answer as it came over the wire: fetch() would undo its encoding. */
async function wire (url: string, path: string, headers: Record<string, string>): Promise<{ status: number | undefined, headers: IncomingHttpHeaders, body: Buffer }> {
  const [answer] = await once(http.get(url + path, { headers, agent: false }), 'response') as [http.IncomingMessage]
  return { status: answer.statusCode, headers: answer.headers, body: await buffer(answer) }
}

for (const order of ORDERS) {
  t.test(`@fastify/compress, ${order}: a page that is gzip is not compressed again, whatever else the scraper takes`, async (t) => {
    const { url } = await service(t, { [order]: (app: FastifyInstance) => app.register(compress, { threshold: 1 }) })
    for (const accepted of ['gzip', 'gzip, br', 'br, gzip', 'gzip, deflate, br, zstd', 'gzip;q=0.5, br;q=1']) {
      const { headers, body } = await wire(url, '/metrics', { 'accept-encoding': accepted })
      t.equal(headers['content-encoding'], 'gzip', accepted)
      t.equal(headers['content-length'], String(body.length), 'its length is the one that was sent')
      t.match(gunzipSync(body).toString(), /^# HELP http_requests_received_total /m, 'and it is gzip once')
    }
    const plain = await wire(url, '/metrics', {})
    t.equal(plain.headers['content-encoding'], undefined)
    t.match(plain.body.toString(), /^# HELP /)
  })

  t.test(`@fastify/compress, ${order}: the size of a response is the one that was sent; a stream has none`, async (t) => {
    const { url } = await service(t, {
      [order]: (app: FastifyInstance) => {
        app.register(compress, { threshold: 1, syncThreshold: 10_000 })
        app.register(async (app) => {
          app.get('/short', async () => 'dog '.repeat(1000))
          app.get('/long', async () => 'dog '.repeat(10_000))
        })
      }
    })
    const short = await wire(url, '/short', { 'accept-encoding': 'gzip' })
    t.ok(short.body.length < 1000)
    await wire(url, '/long', { 'accept-encoding': 'gzip' })
    const page = await scrape(url)
    t.equal(page.sum('http_response_size_bytes_sum', { route: '/short' }), short.body.length)
    t.equal(page.sum('http_responses_streamed_total', { route: '/long' }), 1)
    checkBooks(t, page, 2)
  })

  t.test(`@fastify/etag, ${order}: a 304 is a response of no bytes, and the page stays whole`, async (t) => {
    const { url } = await service(t, {
      [order]: (app: FastifyInstance) => {
        app.register(etag)
        app.register(async (app) => { app.get('/', async () => 'a dog') })
      }
    })
    const first = await wire(url, '/', {})
    t.equal((await wire(url, '/', { 'if-none-match': String(first.headers.etag) })).status, 304)
    const scraped = await wire(url, '/metrics', { 'accept-encoding': 'gzip' })
    t.match(gunzipSync(scraped.body).toString(), /^# HELP /)
    const page = await scrape(url)
    t.equal(ended(page, { route: '/', status_code: '304' }), 1)
    t.equal(page.sum('http_response_size_bytes_sum', { route: '/' }), 'a dog'.length)
    t.equal(page.sum('http_response_size_bytes_count', { route: '/' }), 2)
    checkBooks(t, page, 2)
  })
}

/** A service that takes files of 1,000 bytes at most. */
function files (app: FastifyInstance): void {
  app.register(multipart, { limits: { fileSize: 1000 } })
  app.register(async (app) => {
    app.post('/file', async (request) => (await (await request.file())?.toBuffer())?.length)
    app.post('/refused', async (_request, reply) => reply.code(403).send('refused'))
  })
}

/** An upload in one piece; or the beginning of one, whose length is claimed. */
function upload (path: string, bytes: number, claimed?: number): string {
  const file = `--dog\r\nContent-Disposition: form-data; name="file"; filename="dog.txt"\r\n\r\n${'x'.repeat(bytes)}`
  const body = claimed === undefined ? `${file}\r\n--dog--\r\n` : file
  return `POST ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: multipart/form-data; boundary=dog\r\nContent-Length: ${claimed ?? body.length}\r\n\r\n${body}`
}

t.test('@fastify/multipart: each upload has one status, whoever refuses it', async (t) => {
  const { port, url } = await service(t, { routes: files })
  t.match(await exchange(port, upload('/file', 10)), /^HTTP\/1.1 200/)
  t.match(await exchange(port, upload('/file', 5000)), /^HTTP\/1.1 413/)
  t.match(await exchange(port, upload('/refused', 10)), /^HTTP\/1.1 403/, 'nobody reads it')
  t.equal(await ask(url, '/file', { method: 'POST', body: 'no form', headers: { 'content-type': 'multipart/form-data' } }), 500)
  const page = await scrape(url)
  t.equal(ended(page, { route: '/file', status_code: '200' }), 1)
  t.equal(ended(page, { route: '/file', status_code: '413' }), 1)
  t.equal(page.sum('http_exceptions_total', { type: 'FST_REQ_FILE_TOO_LARGE' }), 1)
  t.equal(ended(page, { route: '/refused', status_code: '403' }), 1)
  checkBooks(t, page, 4)
})

t.test('@fastify/multipart: a client that leaves in the middle of a file is a 499', async (t) => {
  const { app, port, url } = await service(t, { routes: files })
  const socket = await open(port)
  const arrived = once(app.server, 'request')
  socket.write(upload('/file', 500, 100_000))
  await arrived
  socket.destroy()
  const page = await scrape(url)
  t.equal(ended(page, { route: '/file', status_code: '499' }), 1)
  t.equal(page.sum('http_request_size_bytes_count', { route: '/file' }), 0, 'and has no size')
  checkBooks(t, page, 1)
})
