import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect as connectHttp2 } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { gunzipSync } from 'node:zlib'
import helmet from '@fastify/helmet'
import Fastify from 'fastify'
import { Registry } from 'prom-client'
import t from 'tap'
import { instrumentCache } from '../../adapters/cache.js'
import { instrumentOutgoing } from '../../adapters/undici.js'
import { Counter, metricsPlugin, metricsServer, type LiveNumbers, type MetricsPluginOptions } from '../../src/index.js'
import { MOST_VIEWERS } from '../../src/live/viewers.js'
import { events } from '../support/event-stream.js'
import { get, open, service } from '../support/http.js'

const PAGES = ['/metrics/live', '/metrics/live/page.js', '/metrics/live/page.css', '/metrics/live.json', '/metrics/live/events']

/** The live page of a service, and what there is to see. */
async function live (t: Parameters<typeof service>[0], options: MetricsPluginOptions = {}) {
  return await service(t, { options: { live: true, ...options }, routes: (app) => { app.get('/walks/:id', async () => 'ok') } })
}

async function numbersOf (url: string, init?: RequestInit): Promise<LiveNumbers> {
  const response = await fetch(url, init)
  if (response.status !== 200) throw new Error(`${url} answered ${response.status}: ${await response.text()}`)
  return await response.json() as LiveNumbers
}

t.test('there is none unless it is asked for', async (t) => {
  const { url } = await service(t)
  for (const page of PAGES) t.equal((await fetch(url + page)).status, 404, page)
})

t.test('the page, what it loads, and its numbers', async (t) => {
  const { url } = await live(t)
  const page = await fetch(`${url}/metrics/live`)
  t.match(page.headers.get('content-type'), 'text/html')
  t.match(page.headers.get('content-security-policy'), "default-src 'none'")
  t.notMatch(page.headers.get('content-security-policy'), 'unsafe')
  const html = await page.text()
  t.notMatch(html, /__LIVE__|https?:\/\/(?!www\.w3\.org)/, 'nothing is left to fill in, and nothing is from elsewhere')
  t.notMatch(html, /<script(?![^>]* src=)|<style|\sstyle=|\son\w+=/, 'nothing inline')
  const referred = [...html.matchAll(/(?:src|href)="((?!data:|#)[^"]*)"/g)].map(([, href = '']) => href)
  t.ok(referred.length >= 2)
  for (const href of referred) {
    t.notMatch(href, /^\//, `${href} is relative`)
    t.equal((await fetch(new URL(href, `${url}/metrics/live`))).status, 200, href)
  }
  for (const [file, type] of [['page.js', 'text/javascript'], ['page.css', 'text/css']] as const) {
    const zipped = await fetch(`${url}/metrics/live/${file}`, { headers: { 'accept-encoding': 'gzip' } })
    const plain = await fetch(`${url}/metrics/live/${file}`, { headers: { 'accept-encoding': 'identity' } })
    t.match(zipped.headers.get('content-type'), type)
    t.equal(zipped.headers.get('content-encoding'), 'gzip')
    t.equal(plain.headers.get('content-encoding'), null)
    t.equal(await zipped.text(), await plain.text())
  }
})

t.test('the JSON, whole and compressed', async (t) => {
  const { app, url } = await live(t)
  const found = await numbersOf(`${url}/metrics/live.json`)
  t.match(found, { version: 1, range: '5m', route: null, about: { pid: process.pid, processes: null } })
  const { rawPayload, headers } = await app.inject({ url: '/metrics/live.json?range=1d', headers: { 'accept-encoding': 'br, gzip' } })
  t.equal(headers['content-encoding'], 'gzip')
  t.equal((JSON.parse(gunzipSync(rawPayload).toString()) as LiveNumbers).range, '1d')
  t.equal((await app.inject({ url: '/metrics/live.json', headers: { 'accept-encoding': 'gzip;q=0' } })).headers['content-encoding'], undefined)
})

t.test('what is asked for wrong is said', async (t) => {
  const { url } = await live(t)
  for (const page of ['live.json', 'live/events']) {
    for (const [query, said] of [['range=2h', 'range must be one of 5m, 1h, 1d, got "2h"'], ['route=/walks', 'method and route must be given together'], [`range=${'x'.repeat(1000)}`, 'range must be']] as const) {
      const answer = await fetch(`${url}/metrics/${page}?${query}`)
      t.equal(answer.status, 400)
      const text = await answer.text()
      t.match(text, said)
      t.ok(text.length < 200)
    }
  }
})

t.test('events: all at once, and then each sample', async (t) => {
  const { url } = await live(t)
  const { next, response, close } = await events(t, `${url}/metrics/live/events?range=5m`)
  t.match(response.headers.get('content-type'), 'text/event-stream')
  t.equal(response.headers.get('x-accel-buffering'), 'no')
  const whole = await next()
  t.equal(whole.event, 'live')
  await fetch(`${url}/walks/1`)
  let seen: LiveNumbers | undefined
  while (seen === undefined) {
    const { event, data } = await next()
    if (event === 'live' && data.routes.length > 0) seen = data
  }
  t.match(seen.routes[0], { method: 'GET', route: '/walks/:id' }, 'a route that is new is a whole page')
  t.equal((await next()).event, 'sample', 'what follows is what is new')
  close()
})

t.test('the endpoint and the page are not among the requests they show', async (t) => {
  const { url, page } = await live(t)
  for (const each of ['/metrics', ...PAGES.slice(0, 4)]) await fetch(url + each)
  t.same((await page()).samples.filter(({ name }) => name === 'http_requests_received_total'), [])
})

t.test('what protects the endpoint protects the page', async (t) => {
  const refuses = { onRequest: async () => { throw Object.assign(new Error('no'), { statusCode: 401 }) } }
  const { url } = await live(t, { endpoint: refuses })
  for (const page of ['/metrics', ...PAGES]) t.equal((await fetch(url + page)).status, 401, page)
  const asked: string[] = []
  const { url: other } = await live(t, { endpoint: refuses, live: { path: '/look', onRequest: async ({ raw: { url = '' } }) => { asked.push(url) } } })
  t.equal((await fetch(`${other}/metrics`)).status, 401)
  t.equal((await fetch(`${other}/look`)).status, 200, 'a hook of its own stands in its place')
  t.same(asked, ['/look'])
})

t.test('where it is', async (t) => {
  for (const [options, path] of [
    [{ endpoint: '/internal/numbers' }, '/internal/numbers/live'], [{ endpoint: '/' }, '/live'], [{ endpoint: false }, '/metrics/live'],
    [{ live: { path: '/look' } }, '/look'], [{ endpoint: { path: '/m', config: { mine: 1 } } }, '/m/live']
  ] as const) {
    const { url } = await live(t, options as MetricsPluginOptions)
    t.equal((await fetch(url + path)).status, 200, path)
    t.equal((await fetch(`${url}${path}.json`)).status, 200, `${path}.json`)
  }
})

t.test('a slash at the end, where Fastify ignores it', async (t) => {
  const { url } = await service(t, { options: { live: true }, server: { routerOptions: { ignoreTrailingSlash: true } } })
  const answer = await fetch(`${url}/metrics/live/?range=1h`, { redirect: 'manual' })
  t.equal(answer.status, 302)
  t.equal(new URL(answer.headers.get('location') ?? '', `${url}/metrics/live/`).href, `${url}/metrics/live?range=1h`)
})

t.test('on a port of its own, and of metricsServer', async (t) => {
  const { app, url } = await live(t, { endpoint: { port: 0 } })
  const own = app.metrics.server?.url ?? ''
  for (const page of PAGES.slice(0, 4)) {
    t.equal((await fetch(new URL(page, own))).status, 200, page)
    t.equal((await fetch(url + page)).status, 404, `${page} is not on the port of the application`)
  }
  const registry = new Registry()
  new Counter({ name: 'jobs_total', help: 'Jobs.', registers: [registry] }).inc()
  const server = await metricsServer({ port: 0, registry, live: true })
  t.teardown(() => server.close())
  const { next } = await events(t, `${server.url}/live/events`)
  t.match((await next()).data, { charts: [{}, {}] })
  await server.close()
  await t.rejects(fetch(server.url), 'it closes although somebody looks')
})

t.test('an application closes at once although somebody looks', async (t) => {
  const app = Fastify()
  app.register(metricsPlugin, { registry: new Registry(), runtime: false, live: true })
  await app.listen({ port: 0, host: '127.0.0.1' })
  t.teardown(() => app.close())
  const { next } = await events(t, `http://127.0.0.1:${(app.server.address() as AddressInfo).port}/metrics/live/events`)
  await next()
  await app.close()
  await t.rejects(async () => { for (;;) await next() }, { message: 'the stream ended' })
})

t.test('over HTTP/2', async (t) => {
  const app = Fastify({ http2: true })
  app.register(metricsPlugin, { registry: new Registry(), runtime: false, live: true })
  await app.listen({ port: 0, host: '127.0.0.1' })
  t.teardown(() => app.close())
  const session = connectHttp2(`http://127.0.0.1:${(app.server.address() as AddressInfo).port}`)
  t.teardown(() => session.destroy())
  const stream = session.request({ ':path': '/metrics/live/events' })
  const [headers] = await once(stream, 'response') as [Record<string, unknown>]
  t.equal(headers[':status'], 200)
  let text = ''
  for await (const chunk of stream) {
    text += String(chunk)
    if (text.includes('event: sample') || (text.match(/event: live/g) ?? []).length > 1) break
  }
  t.match(text, /^event: live\ndata: \{/)
})

t.test("beside a plugin that sets a policy of its own, the page's is its own", async (t) => {
  const { url } = await service(t, { options: { live: true }, before: (app) => { app.register(helmet) } })
  const page = await fetch(`${url}/metrics/live`)
  t.match(page.headers.get('content-security-policy'), "default-src 'none'")
})

t.test('somebody who never reads holds nothing up', async (t) => {
  const { app, port, url } = await live(t)
  const idle = await open(port)
  idle.pause()
  idle.write(get('/metrics/live/events').replace('Connection: close\r\n', ''))
  const { next } = await events(t, `${url}/metrics/live/events`)
  await next()
  await next()
  t.pass('another one is told meanwhile')
  idle.destroy()
  await app.close()
})

t.test('more viewers than there is room for', async (t) => {
  const { url } = await live(t)
  const open = await Promise.all(Array.from({ length: MOST_VIEWERS }, () => events(t, `${url}/metrics/live/events`)))
  for (const { response } of open) t.equal(response.status, 200)
  const refused = await Promise.all(Array.from({ length: 900 }, async () => {
    const response = await fetch(`${url}/metrics/live/events`)
    await response.text()
    return response
  }))
  t.ok(refused.every(({ status, headers }) => status === 503 && headers.get('retry-after') === '30'), 'the others are told to come again')
  const answers = await Promise.all(Array.from({ length: 900 }, () => fetch(`${url}/metrics/live.json`).then(async (response) => (await response.text()).length)))
  t.ok(answers.every((length) => length > 1000), 'and can ask for the JSON')
  await Promise.all(open.map(({ next }) => next()))
  open[0]?.close()
  let status = 0
  while (status !== 200) {
    const { response, close } = await events(t, `${url}/metrics/live/events`)
    status = response.status
    close()
  }
  t.equal(status, 200, 'whoever leaves makes room')
})

t.test('options that are wrong', async (t) => {
  const wrong: Array<[unknown, string]> = [
    ['/live', "metricsPlugin option 'live' must be true, false, or an object with a path and Fastify's route options, got a string of 5 characters"],
    [1, "option 'live' must be true, false"],
    [[], "option 'live' must be true, false"],
    [{ path: 'live' }, "option 'live.path' must be a path that starts with '/'"],
    [{ path: '/live?x' }, "option 'live.path' must be a path without a query"],
    [{ path: '/:tenant/live' }, "option 'live.path' must be a path without parameters"],
    [{ path: '/live/' }, "option 'live.path' must be"],
    [{ onRequest: undefined }, "option 'live.onRequest' must be a hook, or left out"],
    [{ url: '/x' }, "option 'live.url' must be left out; write 'live.path' here"],
    [{ refresh: 1 }, "option 'live.refresh' must be path, or an option of a Fastify route"],
    [{ schema: 1 }, "option 'live.schema' must be an object"]
  ]
  for (const [option, said] of wrong) {
    const app = Fastify()
    t.teardown(() => app.close())
    app.register(metricsPlugin, { registry: new Registry(), live: option as boolean })
    await t.rejects(async () => { await app.ready() }, { code: 'FP_ERR_INVALID_OPTION', message: said }, said)
  }
  await t.rejects(metricsServer({ port: 0, live: 1 as never }), { code: 'FP_ERR_INVALID_OPTION', message: /metricsServer option 'live'/ })
  await t.rejects(live(t, { live: { onRequest: 1 as never } }), 'what Fastify checks, Fastify refuses')
})

t.test('a service that calls another one and has a cache says so, and which build it is', async (t) => {
  const walks = new Map<string, string>()
  const { url } = await live(t, {
    runtime: true,
    build: { version: '7.0.0', commit: 'abcdef1' },
    observe: [(scope) => instrumentOutgoing(scope), (scope) => instrumentCache(walks, { ...scope, backend: 'walks' })]
  })
  const { next } = await events(t, `${url}/metrics/live/events`)
  let found = (await next()).data
  t.same(sectionsOf(found).filter((section) => section === 'outgoing' || section === 'cache'), [], 'not before there is something')
  walks.get('Pixel')
  await (await fetch(`${url}/walks/1`)).text()
  // A line that comes is a whole page.
  while (found.charts === undefined || !['cache', 'outgoing'].every((section) => sectionsOf(found).includes(section))) found = (await next()).data
  const whole = await numbersOf(`${url}/metrics/live.json`)
  t.match(whole.about.service, { version: '7.0.0', commit: 'abcdef1' })
  t.match(whole.marks, [{ text: 'started, 7.0.0' }])
  t.same([...new Set(sectionsOf(whole))], ['traffic', 'outgoing', 'cache', 'process'])
  t.same(whole.charts.find(({ id }) => id === 'outgoing.requests')?.lines.map(({ name }) => name), [new URL(url).host])
  const text = readFileSync(new URL('../../docs/live.md', import.meta.url), 'utf8')
  for (const section of sectionsOf(whole)) t.match(text, `\`${section}\``, section)
})

t.test('docs/live.md has every field of the JSON', async (t) => {
  const { url } = await live(t)
  await fetch(`${url}/walks/1`)
  const text = readFileSync(new URL('../../docs/live.md', import.meta.url), 'utf8')
  const { next } = await events(t, `${url}/metrics/live/events`)
  let found = (await next()).data
  while (found.routes?.length === 0) found = (await next()).data
  for (const name of new Set(namesIn(found))) t.match(text, `\`${name}\``, name)
})

function sectionsOf ({ charts }: LiveNumbers): string[] {
  return charts.map(({ section }) => section)
}

function namesIn (value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return []
  if (Array.isArray(value)) return value.flatMap(namesIn)
  return Object.entries(value).flatMap(([name, inner]) => [name, ...namesIn(inner)])
}
