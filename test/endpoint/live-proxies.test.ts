import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import http2, { type ClientHttp2Session } from 'node:http2'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { FastifyServerOptions } from 'fastify'
import t, { type Test } from 'tap'
import { eventsOf, samplesOf } from '../support/event-stream.js'
import { service } from '../support/http.js'
import { startProxy } from '../support/nginx.js'
import { unavailable } from '../support/program.js'
import { temporaryFolder } from '../support/temporary-folder.js'

/* The live page behind proxies as they are by default: nginx speaks HTTP/1.0 to the service and holds answers back, unless the answer says X-Accel-Buffering: no. */

interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: AsyncIterable<Uint8Array>
}
type Ask = (path: string) => Promise<Answer>

const DEADLINE = 30_000
const PREFIX = '/team/walks'

/** The live page is there with all that it refers to, and its events come one by one. */
async function isWhole (t: Test, ask: Ask, page: string, prefix: string): Promise<void> {
  const answer = await ask(page)
  t.equal(answer.status, 200)
  const html = await text(answer)
  const [, address = ''] = / data-live="([^"]+)"/.exec(html) ?? []
  const base = new URL(page, 'https://walks.example')
  const references = [...html.matchAll(/ (?:src|href)="(?![?#]|data:)([^"]+)"/g)].map(([, reference = '']) => new URL(reference, base))
  t.same(references.map(({ pathname }) => pathname).sort(), ['.json', '.json', '/page.css', '/page.js'].map((end) => `${prefix}/metrics/live${end}`), 'all of it is below the prefix')
  for (const { pathname, search } of references) {
    const { status, body, headers } = await ask(pathname + search)
    t.equal(status, 200, pathname)
    t.ok((await text({ body })).length > 100, `${pathname} has ${headers['content-type']}`)
  }
  const json = new URL(`${address}.json?range=1d`, base)
  t.match(JSON.parse(await text(await ask(json.pathname + json.search))), { version: 1, range: '1d' })

  const begun = Date.now()
  const events = await ask(new URL(`${address}/events`, base).pathname)
  t.equal(events.status, 200)
  t.match(events.headers['content-type'], /^text\/event-stream/)
  const [first, second] = await samplesOf(events.body, 2)
  t.ok(first !== undefined && first.at - begun < 5000, 'the first within five seconds')
  t.ok(first !== undefined && second !== undefined && second.data.time > first.at, 'the first was here before the second was taken')
}

async function text ({ body }: Pick<Answer, 'body'>): Promise<string> {
  const chunks: Uint8Array[] = []
  for await (const chunk of body) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

/** Asks over HTTP/1.1. */
function over1 (url: string): Ask {
  return async (path) => {
    const answer = await fetch(url + path, { redirect: 'manual', signal: AbortSignal.timeout(DEADLINE) })
    return { status: answer.status, headers: Object.fromEntries(answer.headers), body: answer.body as unknown as AsyncIterable<Uint8Array> }
  }
}

/** Asks over one connection of HTTP/2; closed at teardown. */
function over2 (t: Test, port: number, ca: string): Ask {
  const session: ClientHttp2Session = http2.connect(`https://127.0.0.1:${port}`, { ca })
  t.teardown(() => { session.destroy() })
  return async (path) => {
    const stream = session.request({ ':path': path }, { signal: AbortSignal.timeout(DEADLINE) })
    const [headers] = await once(stream, 'response') as [Record<string, unknown>]
    return { status: headers[':status'] as number, headers, body: stream }
  }
}

/** A certificate for 127.0.0.1 that nobody else trusts; undefined where there is no openssl, which is said. */
async function certificate (t: Test) {
  const folder = await temporaryFolder(t, 'certificate')
  const [keyFile, certFile] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  const args = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1']
  try {
    await promisify(execFile)('openssl', [...args, '-keyout', keyFile, '-out', certFile])
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    unavailable(t, 'openssl is not on the PATH: apt-get install openssl')
    return undefined
  }
  return { keyFile, certFile, key: await readFile(keyFile, 'utf8'), cert: await readFile(certFile, 'utf8') }
}

/** A location of nginx that takes the prefix away, and is else as nginx has it by default. */
const location = (port: number, more = '') => `location ${PREFIX}/ { proxy_pass http://127.0.0.1:${port}/; ${more} }`

t.test('behind an nginx with a prefix of the path, which buffers', async (t) => {
  const { port: behind } = await service(t, { options: { live: true } })
  const nginx = await startProxy(t, (port) => `server { listen 127.0.0.1:${port}; ${location(behind)} }`)
  if (nginx === undefined) return
  const ask = over1(`http://127.0.0.1:${nginx.port}`)
  await isWhole(t, ask, `${PREFIX}/metrics/live`, PREFIX)
  t.equal((await ask('/metrics/live')).status, 404, 'nothing is asked for outside the prefix')
})

t.test('behind an nginx that speaks HTTP/2 and compresses', async (t) => {
  const secured = await certificate(t)
  if (secured === undefined) return
  const { port: behind } = await service(t, { options: { live: true } })
  const nginx = await startProxy(t, (port) => `server {
    listen 127.0.0.1:${port} ssl http2;
    ssl_certificate ${secured.certFile};
    ssl_certificate_key ${secured.keyFile};
    gzip on;
    gzip_types text/event-stream;
    ${location(behind)}
  }`)
  if (nginx === undefined) return
  await isWhole(t, over2(t, nginx.port, secured.cert), `${PREFIX}/metrics/live`, PREFIX)
})

t.test("over Fastify's own HTTP/2, with scrapes on the same connection", async (t) => {
  const secured = await certificate(t)
  if (secured === undefined) return
  const { port } = await service(t, { options: { live: true }, server: { http2: true, https: secured } as FastifyServerOptions })
  const ask = over2(t, port, secured.cert)
  await isWhole(t, ask, '/metrics/live', '')
  t.match(await text(await ask('/metrics')), /^# HELP http_requests_received_total /m)
})

t.test('a slash at the end leads back to the page, within the prefix', async (t) => {
  const { port: behind } = await service(t, { options: { live: true }, server: { routerOptions: { ignoreTrailingSlash: true } } })
  const nginx = await startProxy(t, (port) => `server { listen 127.0.0.1:${port}; ${location(behind)} }`)
  if (nginx === undefined) return
  const ask = over1(`http://127.0.0.1:${nginx.port}`)
  const { status, headers } = await ask(`${PREFIX}/metrics/live/?range=1h`)
  t.equal(status, 302)
  t.equal(new URL(headers['location'] as string, `http://walks.example${PREFIX}/metrics/live/`).href, `http://walks.example${PREFIX}/metrics/live?range=1h`)
})

t.test('behind a proxy that holds events back all the same, the JSON goes on', async (t) => {
  const { url, port: behind } = await service(t, { options: { live: true } })
  const nginx = await startProxy(t, (port) => `server { listen 127.0.0.1:${port}; ${location(behind, 'proxy_ignore_headers X-Accel-Buffering; proxy_buffers 8 64k; proxy_buffer_size 64k;')} }`)
  if (nginx === undefined) return
  const ask = over1(`http://127.0.0.1:${nginx.port}`)
  let state = 'held back'
  ask(`${PREFIX}/metrics/live/events`).then(async ({ body }) => {
    for await (const { event } of eventsOf(body)) state = `${event} came`
  }).catch((error: Error) => { state = error.message })
  const times: number[] = []
  const direct = await over1(url)('/metrics/live/events')
  for await (const { data: { time } } of eventsOf(direct.body)) {
    const told = JSON.parse(await text(await ask(`${PREFIX}/metrics/live.json`))) as { time: number }
    t.ok(told.time >= time, 'it is as new as the event')
    times.push(told.time)
    if (times.length === 3) break
  }
  t.ok(Number(times.at(-1)) > Number(times[0]), 'and new numbers come')
  t.equal(state, 'held back', 'such a proxy holds events back: the tests above see what they claim')
})
