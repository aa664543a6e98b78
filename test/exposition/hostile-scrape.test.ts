import fc from 'fast-check'
import { Gauge as ForeignGauge, Registry } from 'prom-client'
import t from 'tap'
import type { FastifyRequest } from 'fastify'
import { Counter, Histogram } from '../../src/index.js'
import { attempt, hostile, registriesOf } from '../support/hostile.js'
import { service } from '../support/http.js'
import { startPrometheus } from '../support/prometheus.js'

/*
 * A real Prometheus scrapes hostile registries in each format. Debian's 2.42 has no setting that makes it ask for text: those requests lose their Accept header.
 */
const FEATURES = { text: [], openmetrics: ['exemplar-storage'], protobuf: ['exemplar-storage', 'native-histograms'] }

t.test('a real Prometheus takes a page of hostile registries in every format, with all good metrics on it', { timeout: 90_000 }, async (t) => {
  const registry = new Registry()
  new Counter({ name: 'good_total', help: 'h', labelNames: ['a'], registers: [registry] }).inc({ a: 'b' }, 3)
  new Histogram({ name: 'good_seconds', help: 'h', buckets: [1], registers: [registry] }).observe(0.5)
  new ForeignGauge({ name: 'good', help: 'h', registers: [registry] }).set(5)
  const others = fc.sample(hostile, { numRuns: 80, seed: 9 }).flatMap((given, i) => registriesOf(given, `r${i}_`))
  const { url } = await service(t, {
    options: { registry: [registry, ...others] },
    before: (app) => app.addHook('onRequest', async (request: FastifyRequest<{ Querystring: { format?: string } }>) => {
      if (request.query.format === 'text') attempt(() => { delete request.raw.headers.accept })
    })
  })
  await Promise.all(Object.entries(FEATURES).map(async ([format, features]) => {
    const prometheus = await startPrometheus(t, {
      // Three of them start at once, and the page is large: a busy machine needs more than a second for it.
      global: { scrape_interval: '5s', scrape_timeout: '5s' },
      scrape_configs: [{ job_name: 'hostile', params: { format: [format] }, static_configs: [{ targets: [url.slice('http://'.length)] }] }]
    }, ...features)
    if (prometheus === undefined) return
    await prometheus.scraped()
    t.match(await prometheus.targets(), [{ health: 'up', lastError: '' }], format)
    t.equal(await prometheus.value('min_over_time(up[5m])'), 1, format)
    for (const [query, value] of [['good_total{a="b"}', 3], ['good_seconds_count', 1], ['good_seconds_sum', 0.5], ['good', 5]] as const) {
      t.equal(await prometheus.value(query), value, `${query} in ${format}`)
    }
    t.ok(await prometheus.value('max_over_time(scrape_samples_scraped[5m])') > 300, format)
    t.same(prometheus.log.filter((line) => /level=(warn|error)/.test(line) && !/exemplar/i.test(line)), [], format)
  }))
})
