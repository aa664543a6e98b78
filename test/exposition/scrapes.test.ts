import { once } from 'node:events'
import { text as textOf } from 'node:stream/consumers'
import Fastify from 'fastify'
import { Gauge as ForeignGauge, Registry } from 'prom-client'
import t from 'tap'
import { metricsPlugin } from '../../src/index.js'
import { exposed, large, TEXT } from '../support/exposed.js'
import { gate } from '../support/gate.js'
import { open, service } from '../support/http.js'
import { Page } from '../support/page.js'

t.test('scrapes at once share one rendering; one after another do not', async (t) => {
  const registry = new Registry()
  const { opened, open } = gate()
  let collected = 0
  const gauge = new ForeignGauge({
    name: 'slow',
    help: 'h',
    registers: [registry],
    async collect () {
      this.set(++collected)
      await opened
    }
  })
  t.ok(gauge)
  large(registry, 1000)
  const { exposition, ended } = exposed(registry)
  const scrapes = [TEXT, TEXT, TEXT].map((request) => exposition.scrape(request))
  const pages = scrapes.map(async (scrape) => await textOf(scrape))
  const filtered = exposition.scrape({ ...TEXT, names: new Set(['slow']) })
  open()
  const [a, b, c] = await Promise.all(pages)
  t.equal(a, b)
  t.equal(b, c)
  t.equal(String(await filtered.whole()), '# HELP slow h\n# TYPE slow gauge\nslow 2\n', 'what is asked for makes another page')
  t.equal(collected, 2)
  const bytes = Buffer.byteLength(a as string)
  const long = exposition.scrape({ ...TEXT, format: 'openmetrics' })
  const stream = await long.whole()
  t.equal(stream, long, 'more than a chunk is a stream')
  const streamed = Buffer.byteLength(await textOf(long))
  t.same(ended.slice(0, 3), [1, 2, 3].map(() => ({ format: 'text', outcome: 'served', bytes })))
  t.same(ended[4], { format: 'openmetrics', outcome: 'served', bytes: streamed })
  t.match(await textOf(exposition.scrape(TEXT)), 'slow 4\n')
})

t.test('a scraper that leaves stops the work that is for it alone', async (t) => {
  const registry = new Registry()
  let collected = 0
  const foreign = new ForeignGauge({ name: 'never', help: 'h', registers: [registry], async collect () { collected++; await new Promise(() => {}) } })
  t.ok(foreign)
  const { exposition, ended } = exposed(registry)
  const first = exposition.scrape(TEXT)
  const second = exposition.scrape(TEXT)
  const page = second.whole()
  first.destroy()
  await once(first, 'close')
  t.same(ended, [{ format: 'text', outcome: 'aborted', bytes: 0 }])
  second.destroy()
  t.equal(await page, undefined)
  t.equal(ended.length, 2)
  t.equal(collected, 1)
})

t.test('what ends a scrape before it began is thrown, and nobody else hears of it', async (t) => {
  const registry = new Registry()
  const { exposition, ended } = exposed(registry)
  const scrape = exposition.scrape(TEXT)
  const page = scrape.whole()
  scrape.destroy(new Error('enough'))
  await t.rejects(page, { message: 'enough' })
  t.same(ended, [{ format: 'text', outcome: 'failed', bytes: 0 }])
})

t.test('over HTTP: no more scrapes than allowed, and who leaves makes room', async (t) => {
  const { opened, open: letGo } = gate()
  const left: Array<Promise<unknown>> = []
  const { app, registry, url, page } = await service(t, {
    options: { endpoint: { maxScrapes: 1 } },
    before: (app) => app.addHook('onRequest', async (_request, reply) => { left.push(once(reply.raw, 'close')) })
  })
  let collecting = () => {}
  const collects = new Promise<void>((resolve) => { collecting = resolve })
  const foreign = new ForeignGauge({ name: 'slow', help: 'h', registers: [registry], async collect () { collecting(); await opened } })
  t.ok(foreign)
  const impatient = new AbortController()
  const first = fetch(`${url}/metrics`, { signal: impatient.signal })
  await collects
  const refused = await fetch(`${url}/metrics`, { headers: { accept: 'application/openmetrics-text' } })
  t.equal(refused.status, 503)
  t.equal(refused.headers.get('retry-after'), '1')
  t.match(await refused.text(), 'maxScrapes')
  t.equal((await fetch(`${url}/metrics`, { method: 'HEAD' })).status, 200, 'it costs nothing')
  impatient.abort()
  await t.rejects(first)
  await left[0]
  letGo()
  const served = await fetch(`${url}/metrics`, { headers: { 'accept-encoding': 'identity' } })
  t.equal(served.status, 200)
  t.ok(served.headers.get('content-length'), 'a page of one chunk has a length')
  const bytes = (await served.arrayBuffer()).byteLength
  const after = await page()
  t.same(after.of('metrics_expositions_total').map(({ labels, value }) => [labels.format, labels.outcome, value]).sort(), [
    ['openmetrics', 'refused', 1], ['text', 'aborted', 1], ['text', 'served', 1]
  ])
  t.equal(after.sum('metrics_exposition_size_bytes_sum'), bytes)
  t.equal(after.sum('metrics_exposition_size_bytes_count'), 2)
  t.equal(after.sum('metrics_exposition_duration_seconds_count'), 2)
  t.ok(after.sum('metrics_exposition_duration_seconds_sum') > 0)
  t.equal(after.sum('http_requests_received_total'), 0, 'scrapes are no traffic')
  t.ok(app)
})

t.test('over HTTP: a reader that stalls gets the rest when it goes on, and is cut off when its time is over', async (t) => {
  const { registry, port, page } = await service(t, {})
  large(registry, 20_000)
  const socket = await open(port)
  socket.write('GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
  await once(socket, 'readable')
  const during = await page()
  t.equal(during.sum('metrics_expositions_total'), 0, 'it is not over: its client takes nothing')
  let body = ''
  socket.setEncoding('latin1').on('data', (chunk: string) => { body += chunk })
  await once(socket, 'close')
  t.ok(body.endsWith('\r\n0\r\n\r\n'))
  t.equal((body.match(/large_seconds_count\{/g) ?? []).length, 20_000)

  const stalled = await open(port)
  stalled.write('GET /metrics HTTP/1.1\r\nHost: a\r\nX-Prometheus-Scrape-Timeout-Seconds: 0.2\r\n\r\n')
  await once(stalled, 'readable')
  // It does not read until the server has hung up on it.
  let outcome = 0
  while (outcome === 0) outcome = (await page()).sum('metrics_expositions_total', { outcome: 'timeout' })
  t.equal(outcome, 1)
  let cut = ''
  stalled.setEncoding('latin1').on('data', (chunk: string) => { cut += chunk })
  await once(stalled, 'close')
  t.notOk(cut.endsWith('\r\n0\r\n\r\n'), 'nobody takes it for a whole page')
})

t.test('what fails in a metric is counted under its name and logged once', async (t) => {
  const logged: string[] = []
  const app = Fastify({ logger: { level: 'warn', stream: { write: (line: string) => logged.push(JSON.parse(line).msg) } } })
  t.teardown(() => app.close())
  const registry = new Registry()
  app.register(metricsPlugin, { registry, runtime: false })
  const broken = new ForeignGauge({ name: 'broken', help: 'h', registers: [registry], collect () { throw new Error('no') } })
  t.ok(broken)
  for (let i = 0; i < 3; i++) t.equal((await app.inject('/metrics')).statusCode, 200)
  const page = new Page((await app.inject('/metrics')).body)
  t.equal(page.sum('metrics_instrumentation_errors_total', { source: 'metric broken' }), 4)
  t.match(logged, [/metric broken failed/])
  t.equal(logged.length, 1)
})
