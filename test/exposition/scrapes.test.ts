import { once } from 'node:events'
import { text as textOf } from 'node:stream/consumers'
import Fastify from 'fastify'
import { Counter as ForeignCounter, Gauge as ForeignGauge, Registry } from 'prom-client'
import t from 'tap'
import { Exposition, type Format, type Outcome, type ScrapeRequest } from '../../src/exposition/index.js'
import { Rendering } from '../../src/exposition/rendering.js'
import { pause } from '../../src/exposition/slices.js'
import { Counter, Histogram, metricsPlugin } from '../../src/index.js'
import { open, service } from '../support/http.js'
import { Page } from '../support/page.js'

const TEXT: ScrapeRequest = { format: 'text', compression: undefined, names: undefined, timeout: undefined }

/** An exposition whose ends are events. */
function exposed (registry: Registry, maxScrapes = 10) {
  const ended: Array<{ format: Format, outcome: Outcome, bytes: number }> = []
  const failed: string[] = []
  const exposition = new Exposition(registry, { maxScrapes, created: true }, {
    failed: (metric) => failed.push(metric),
    counted: () => {},
    refused: () => {},
    ended: (format, outcome, _seconds, bytes) => ended.push({ format, outcome, bytes })
  })
  return { exposition, ended, failed }
}

/** Something that a collect callback waits for until the test lets it go. */
function gate (): { opened: Promise<void>, open: () => void } {
  let open = () => {}
  const opened = new Promise<void>((resolve) => { open = resolve })
  return { opened, open }
}

/** A histogram of so many label sets, 14 lines each. */
function large (registry: Registry, sets: number): Histogram<'route'> {
  const histogram = new Histogram({ name: 'large_seconds', help: 'h', labelNames: ['route'], registers: [registry], maxSeries: sets })
  for (let i = 0; i < sets; i++) histogram.observe({ route: `/resource/${i}` }, i % 10)
  return histogram
}

t.test('the page is of one moment, whatever is written while it is sent', async (t) => {
  const registry = new Registry()
  const first = new Counter({ name: 'first_total', help: 'h', registers: [registry] })
  const histogram = large(registry, 2000)
  const second = new Counter({ name: 'last_total', help: 'h', registers: [registry] })
  const gone = new Counter({ name: 'gone_total', help: 'h', labelNames: ['a'], registers: [registry] })
  for (let i = 0; i < 500; i++) gone.inc({ a: `value ${i}` }, i)
  const { exposition } = exposed(registry)
  const write = () => {
    first.inc()
    second.inc()
    histogram.observe({ route: '/resource/1999' }, 0.1)
  }
  write()
  const scrape = exposition.scrape(TEXT)
  const chunks: Buffer[] = []
  for await (const chunk of scrape) {
    chunks.push(chunk as Buffer)
    write()
    // Places and numbers of label values that were free go to others.
    for (let i = 0; i < 500; i++) gone.remove({ a: `${chunks.length === 1 ? '' : `${chunks.length - 1} `}value ${i}` })
    for (let i = 0; i < 500; i++) gone.inc({ a: `${chunks.length} value ${i}` }, 1e6)
    for (let i = 0; i < 100; i++) histogram.remove({ route: `/resource/${i}` })
    histogram.observe({ route: `/new/${chunks.length}` }, 1)
  }
  t.ok(chunks.length > 5, 'there was time to write')
  const page = new Page(Buffer.concat(chunks).toString())
  t.equal(page.sum('first_total'), page.sum('last_total'))
  t.equal(page.of('large_seconds_count').length, 2000)
  const last = page.of('large_seconds_bucket', { le: '+Inf' })
  for (const [i, { labels, value }] of page.of('large_seconds_count').entries()) {
    if (value !== last[i]?.value || value !== (labels.route === '/resource/1999' ? 2 : 1)) t.fail(`${labels.route} counts ${value}, its last bucket ${last[i]?.value}`)
  }
  t.same(page.of('gone_total').map(({ labels, value }) => `${labels.a} ${value}`), Array.from({ length: 500 }, (_, i) => `value ${i} ${i}`))
})

t.test('a long page is made in many turns of the event loop, several at once in one after another', async (t) => {
  const registry = new Registry()
  large(registry, 20_000)
  const { exposition } = exposed(registry)
  let turns = 0
  let counting = true
  const turn = () => {
    turns++
    if (counting) setImmediate(turn)
  }
  setImmediate(turn)
  const page = await exposition.text()
  const alone = turns
  t.ok(alone > 5, `${alone} turns for ${page.length} characters`)
  await Promise.all([TEXT, { ...TEXT, format: 'openmetrics' as const }, { ...TEXT, format: 'protobuf' as const }].map(async (request) => {
    for await (const chunk of exposition.scrape(request)) t.ok(chunk)
  }))
  counting = false
  t.ok(turns - alone > 2 * alone / 1.5, `${turns - alone} turns for three pages`)
})

t.test('those that pause go on one a turn of the event loop', async (t) => {
  let turn = 0
  let going = true
  const count = () => {
    turn++
    if (going) setImmediate(count)
  }
  const spent = performance.now() + 20
  while (performance.now() < spent) await null
  setImmediate(count)
  const turns = await Promise.all([1, 2, 3].map(async () => {
    await pause()
    return turn
  }))
  going = false
  t.equal(new Set(turns).size, 3, `turns ${turns}`)
})

t.test('while a page is new it can be joined from its beginning; then what all have taken is let go, and nobody misses a chunk', async (t) => {
  let passed = 0
  const { now } = performance
  t.intercept(performance, 'now', { value: () => now.call(performance) + passed })
  let made = 0
  async function * chunks () {
    while (made < 20) yield Buffer.from(`chunk ${made++}`)
  }
  const rendering = new Rendering(chunks(), () => {})
  const take = async (reader: object, from: number, to: number) => {
    for (let i = from; i < to; i++) t.equal(String(await rendering.next(reader)), `chunk ${i}`)
  }
  const [fast, slow, late] = [{}, {}, {}]
  rendering.join(fast)
  rendering.join(slow)
  await take(fast, 0, 5)
  await take(slow, 0, 2)
  t.ok(rendering.fresh)
  rendering.join(late)
  await take(late, 0, 3)
  passed = 1000
  t.notOk(rendering.fresh)
  await take(fast, 5, 10)
  await take(slow, 2, 10)
  await take(late, 3, 20)
  await take(slow, 10, 20)
  await take(fast, 10, 20)
  for (const reader of [fast, slow, late]) t.equal(await rendering.next(reader), undefined)

  const registry = new Registry()
  large(registry, 2000)
  const counter = new Counter({ name: 'last_total', help: 'h', registers: [registry] })
  const { exposition } = exposed(registry)
  const first = exposition.scrape(TEXT)
  await first.whole()
  counter.inc()
  passed = 3000
  t.match(await textOf(exposition.scrape(TEXT)), 'last_total 1\n', 'a scrape gets no numbers of long ago')
  t.match(await textOf(first), 'last_total 0\n', 'and the other the rest of its own')
})

t.test('a page is made no faster than it is taken, and is let go when nobody may join any more', async (t) => {
  let made = 0
  let stopped = 0
  async function * chunks () {
    try {
      while (made < 100) yield Buffer.from(`chunk ${made++}`)
    } finally {
      stopped++
    }
  }
  let left = 0
  const rendering = new Rendering(chunks(), () => { left++ })
  const fast = {}
  const slow = {}
  rendering.join(fast)
  rendering.join(slow)
  for (let i = 0; i < 10; i++) t.equal(String(await rendering.next(fast)), `chunk ${i}`)
  t.equal(made, 10)
  t.equal(String(await rendering.next(slow)), 'chunk 0', 'each reader has its own pace')
  const [one, two] = await Promise.all([rendering.next(slow), rendering.next(slow)])
  t.equal(made, 10)
  t.ok(one !== undefined && two !== undefined)
  rendering.leave(fast)
  rendering.leave(fast)
  t.equal(left, 0)
  rendering.leave(slow)
  t.equal(left, 1, 'the last one out')
  t.equal(await rendering.next(slow), undefined)
  t.equal(stopped, 1, 'the work has stopped')
})

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

t.test('a metric that hangs costs itself, in the time of the scraper, and is not waited for twice', async (t) => {
  const registry = new Registry()
  const { opened, open } = gate()
  let asked = 0
  const hangs = new ForeignCounter({ name: 'hangs_total', help: 'h', registers: [registry], async collect () { asked++; await opened } })
  const ours = new Counter({ name: 'ours_hangs_total', help: 'h', registers: [registry], async collect () { await opened } })
  const throws = new Counter({ name: 'throws_total', help: 'h', registers: [registry], collect () { throw new Error('no') } })
  t.ok([hangs, ours, throws])
  new Counter({ name: 'fine_total', help: 'h', registers: [registry] }).inc()
  const { exposition, failed } = exposed(registry)
  const soon = { ...TEXT, timeout: 100 }
  let passed = 0
  const { now } = performance
  t.intercept(performance, 'now', { value: () => now.call(performance) + passed })
  const fine = '# HELP fine_total h\n# TYPE fine_total counter\nfine_total 1\n'
  t.equal(String(await exposition.scrape(soon).whole()), fine)
  t.same(failed.sort(), ['hangs_total', 'ours_hangs_total', 'throws_total'])
  passed = 2000
  t.equal(String(await exposition.scrape(TEXT).whole()), fine, 'at once: it is known to hang')
  t.equal(asked, 1)
  open()
  // What awaited it has gone on a turn later.
  await new Promise((resolve) => { setImmediate(resolve) })
  t.match(String(await exposition.scrape(TEXT).whole()), /^hangs_total 0\n(.*\n)+ours_hangs_total 0\n/m, 'they are asked again')
  t.equal(asked, 2)
})

t.test('a scraper in a hurry takes nothing from the others', async (t) => {
  const registry = new Registry()
  const { opened, open } = gate()
  let asked = 0
  const slow = new ForeignCounter({ name: 'slow_total', help: 'h', registers: [registry], async collect () { asked++; await opened } })
  t.ok(slow)
  const { exposition } = exposed(registry)
  const others = exposition.scrape(TEXT).whole()
  for (let i = 0; i < 3; i++) t.equal(String(await exposition.scrape({ ...TEXT, timeout: 10 }).whole()), '')
  const later = exposition.scrape({ ...TEXT, timeout: 5000 }).whole()
  open()
  t.match(String(await others), 'slow_total 0\n')
  t.match(String(await later), 'slow_total 0\n', 'it waits for what the hurried one has asked for')
  t.equal(asked, 2, 'and nobody asks anew meanwhile')
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

t.test('metrics_series counts the label sets of every metric that has many, of other libraries too', async (t) => {
  const { registry, page } = await service(t, {})
  const foreign = new ForeignCounter({ name: 'foreign_total', help: 'h', labelNames: ['a'], registers: [registry] })
  for (let a = 0; a < 103; a++) foreign.inc({ a })
  large(registry, 105)
  const found = await page()
  const series = (name: string) => found.sum('metrics_series', { metric: name })
  t.equal(series('foreign_total'), 103)
  t.equal(series('large_seconds'), 105)
  t.equal(found.of('metrics_series').length, 2)
  registry.removeSingleMetric('foreign_total')
  t.equal((await page()).of('metrics_series', { metric: 'foreign_total' }).length, 0)
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
