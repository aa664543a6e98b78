import { Registry } from 'prom-client'
import t, { type Test } from 'tap'
import { buffer } from 'node:stream/consumers'
import { setImmediate } from 'node:timers/promises'
import { MOST_SERIES } from '../../src/exposition/collection.js'
import { Exposition, type Format } from '../../src/exposition/index.js'
import { Counter, Gauge } from '../../src/index.js'
import { decoded } from '../support/decoded.js'
import { exposed, large, TEXT } from '../support/exposed.js'
import { service } from '../support/http.js'
import { Page } from '../support/page.js'

/*
 * What must balance on a page is copied in one piece, whatever else is in the registry and however slow the machine.
 */

/** So many label sets that it is copied in a piece of its own. */
function giant (registry: Registry, name: string): Gauge<'a'> {
  const gauge = new Gauge({ name, help: 'h', labelNames: ['a'], registers: [registry], maxSeries: MOST_SERIES + 1 })
  for (let i = 0; i <= MOST_SERIES; i++) gauge.set({ a: `${i}` }, 1)
  return gauge
}

/** A family whose copy takes 20 ms. */
function slow (registry: Registry, name: string): Gauge {
  const gauge = new Gauge({ name, help: 'h', registers: [registry] })
  const snapshot = gauge.snapshot.bind(gauge)
  gauge.snapshot = (shared) => {
    const end = process.hrtime.bigint() + 20_000_000n
    while (process.hrtime.bigint() < end);
    return snapshot(shared)
  }
  return gauge
}

/** A clock by which each thing takes a second. */
function hurry (t: Test): void {
  const { now } = performance
  let passed = 0
  t.intercept(performance, 'now', { value: () => now.call(performance) + (passed += 1000) })
}

/** Calls something in each turn of the event loop, until it is told to stop. */
function always (step: () => void): () => Promise<void> {
  const state = { going: true }
  const ended = (async () => {
    while (state.going) {
      step()
      await setImmediate()
    }
  })()
  return async () => {
    state.going = false
    await ended
  }
}

/** The sums of the series of each name; a histogram's counts under `_count`. */
function sums (format: Format, page: Buffer): (name: string) => number {
  if (format !== 'protobuf') {
    const read = new Page(String(page).replace(/ # \{.*$/gm, '').replace(/^(a_giant|between|another_giant)\{.*\n/gm, ''))
    return (name) => read.sum(name)
  }
  const families = decoded(page)
  return (name) => {
    const family = families.find((family) => family.name === name.replace(/_count$/, ''))
    return (family?.metric ?? []).reduce((sum, { counter, gauge, histogram }) => sum + Number(counter?.value ?? gauge?.value ?? histogram?.sampleCount), 0)
  }
}

const ACCEPT = {
  text: 'text/plain',
  openmetrics: 'application/openmetrics-text; version=1.0.0',
  protobuf: 'application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited'
}

for (const [machine, prepare] of [['slow', hurry], ['usual', () => {}]] as const) {
  t.test(`on a ${machine} machine, with giants and slow families before and between ours, received is finished and in flight on every page`, { timeout: 60_000 }, async (t) => {
    const registry = new Registry()
    giant(registry, 'a_giant')
    slow(registry, 'a_slow')
    const { url, app } = await service(t, { options: { registry }, routes: (app) => { app.get('/:id', async () => { await setImmediate(); return 'ok' }) } })
    // Between ours, by where they stand in the registry.
    const metrics = (registry as unknown as { _metrics: Record<string, unknown> })._metrics
    const ours = Object.keys(metrics).filter((name) => name.startsWith('http_'))
    for (const [i, name] of ours.entries()) {
      const metric = metrics[name]
      delete metrics[name]
      if (i < 5) slow(registry, `slow_${i}`)
      metrics[name] = metric
      if (i === 1) giant(registry, 'between')
    }
    prepare(t)
    const asked: Array<Promise<unknown>> = []
    const stop = always(() => { if (asked.length < 5000) asked.push(app.inject('/1')) })
    for (const [format, accept] of Object.entries(ACCEPT)) {
      for (let i = 0; i < 2; i++) {
        const answer = await fetch(`${url}/metrics`, { headers: { accept, 'accept-encoding': 'identity' } })
        const sum = sums(format as Format, Buffer.from(await answer.arrayBuffer()))
        const received = sum('http_requests_received_total')
        t.ok(received > 0)
        t.equal(received, sum('http_request_duration_seconds_count') + sum('http_requests_in_flight'), format)
      }
    }
    await stop()
    await Promise.all(asked)
  })
}

t.test('counters of the user that are incremented together are equal on every page', { timeout: 60_000 }, async (t) => {
  for (const prepare of [hurry, () => {}]) {
    const registry = new Registry()
    const first = new Counter({ name: 'first_total', help: 'h', registers: [registry] })
    giant(registry, 'a_giant')
    slow(registry, 'a_slow')
    const many = new Counter({ name: 'many_total', help: 'h', labelNames: ['a'], registers: [registry] })
    giant(registry, 'another_giant')
    const last = new Counter({ name: 'last_total', help: 'h', registers: [registry] })
    for (let i = 0; i < 5000; i++) many.inc({ a: `${i}` }, 0)
    prepare(t)
    const exposition = new Exposition(registry, { maxScrapes: 10, created: true }, { failed: (_, error) => t.error(error as Error), counted: () => {}, ended: () => {}, refused: () => {} })
    const stop = always(() => { for (const counter of [first, many.labels('7'), last]) counter.inc() })
    for (const format of ['text', 'openmetrics', 'protobuf'] as const) {
      const whole = await exposition.scrape({ ...TEXT, format }).whole()
      const sum = sums(format, Buffer.isBuffer(whole) ? whole : await buffer(whole as NodeJS.ReadableStream))
      t.ok(sum('first_total') > 0)
      t.equal(sum('many_total'), sum('first_total'), format)
      t.equal(sum('last_total'), sum('first_total'), format)
    }
    await stop()
  }
})

t.test('each giant is copied in a turn of its own, and the page has the order of the registry', { timeout: 60_000 }, async (t) => {
  const registry = new Registry()
  const turns: Array<[string, number]> = []
  let turn = 0
  const stop = always(() => { turn++ })
  const watched = (family: Gauge | Gauge<'a'>) => {
    const snapshot = family.snapshot.bind(family)
    family.snapshot = (shared) => {
      turns.push([family.name, turn])
      return snapshot(shared)
    }
  }
  for (const name of ['giant_a', 'small_a', 'giant_b', 'small_b']) {
    watched(name.startsWith('giant') ? giant(registry, name) : new Gauge({ name, help: 'h', registers: [registry] }))
  }
  const { exposition } = exposed(registry)
  const text = await exposition.text()
  await stop()
  const at = Object.fromEntries(turns)
  t.equal(at.small_a, at.small_b, 'the small ones in one turn')
  t.equal(new Set([at.small_a, at.giant_a, at.giant_b]).size, 3, 'each giant in another')
  t.same([...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name), ['giant_a', 'small_a', 'giant_b', 'small_b'])
})

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
