import { createServer } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { dashboards } from '../../examples/grafana/dashboards.js'
import { histograms, labelsOf, queriesOf, selectorOf, shownBy, targetsOf, variablesOf } from '../support/dashboards.js'
import { interpolated, selectorsIn } from '../support/promql.js'
import { startDependent } from '../support/dependent.js'
import { startPrometheus, type Prometheus, type Series } from '../support/prometheus.js'
import { startService } from '../support/service.js'

/*
 * Two Prometheus servers with native histograms scrape the dog-walking service, and one that has a cache and asks another service. The first has the native ones alone. The second has the
 * classic ones of the same page as well, as one has that is told to keep both.
 */

/** Panels that are empty although all is well, and why. */
const EMPTY: Readonly<Record<string, string>> = {
  'Before the service': 'no proxy stands before the service that says when a request came',
  'Alerts that fire': 'no rules are loaded here'
}
/** Seconds. */
const INTERVAL = 2
/** Those of prom-client and of the exposition itself are classic always. */
const NATIVE = histograms.filter((name) => /^(http|db|cache)_/.test(name))

t.test('with native histograms', async (t) => {
  const service = await startService(t)
  const dependent = await startDependent(t)
  if (dependent === undefined) return
  const services = { 'dog-walking': service.url, dependent: dependent.url }
  const targetOf = (url: string) => url.slice('http://'.length)
  const global = { scrape_interval: `${INTERVAL}s`, scrape_timeout: `${INTERVAL}s` }
  const jobs = Object.entries(services).map(([job, url]) => ({ job_name: job, static_configs: [{ targets: [targetOf(url)] }] }))
  const classic = await Promise.all(Object.entries(services).map(async ([job, url]) => ({
    job_name: `classic-${job}`,
    static_configs: [{ targets: [await textOf(t, `${url}/metrics`)] }],
    metric_relabel_configs: [
      { source_labels: ['__name__'], regex: `(${NATIVE.join('|')})_(bucket|sum|count)`, action: 'keep' },
      { target_label: 'job', replacement: job },
      { target_label: 'instance', replacement: targetOf(url) }
    ]
  })))
  const alone = await startPrometheus(t, { global, scrape_configs: jobs }, 'native-histograms')
  const both = await startPrometheus(t, { global, scrape_configs: [...jobs, ...classic] }, 'native-histograms')
  if (alone === undefined || both === undefined) return
  const servers = [alone, both]
  const scraped = () => Promise.all(servers.map((prometheus) => prometheus.scraped()))
  await scraped()
  const everyday = () => Promise.all([service.everyday(), dependent.everyday()])
  await everyday()
  await scraped()
  await service.lockedTable()
  await everyday()
  // A rate takes two samples: at the time that is asked about, each target has been scraped twice since the last series began.
  const ended = Date.now() / 1000
  await Promise.all(servers.map((prometheus) => prometheus.until(async () => Number(await settled(prometheus)) > ended + 2 * INTERVAL, 'two scrapes of each target')))

  await t.test('the histograms of the service are there as they should be', async (t) => {
    for (const name of ['http_request_duration_seconds', 'db_query_duration_seconds', 'db_pool_acquire_duration_seconds', 'http_client_request_duration_seconds', 'cache_operation_duration_seconds']) {
      t.ok(NATIVE.includes(name))
      t.same(await alone.query(`{__name__=~"${name}_(bucket|sum|count)"}`), [], `${name}: no classic one`)
      t.equal(await alone.value(`count(histogram_count(${name}))`), await both.value(`count(histogram_count(${name}))`), name)
      t.equal(await both.value(`count(${name}_count)`), await both.value(`count(histogram_count(${name}))`), `${name}: both`)
    }
  })

  await t.test('every panel and every variable has data with the native ones alone', async (t) => {
    for (const { dashboard } of dashboards) {
      for (const panel of shownBy(dashboard)) {
        const { title = '' } = panel
        for (const { expr } of targetsOf(panel)) {
          const found = await alone.query(interpolated(expr, variablesOf(dashboard)))
          if (title in EMPTY) t.same(found, [], `${title} is empty: ${EMPTY[title]}`)
          else t.ok(found.length > 0, `${dashboard.title}: ${title}: ${expr}`)
          if (panel.type !== 'heatmap') t.ok(found.every(({ histogram }) => histogram === undefined), `${title} has numbers`)
        }
      }
      for (const { name, definition = '' } of variablesOf(dashboard).filter(({ type }) => type === 'query')) {
        t.ok((await alone.query(interpolated(selectorOf(definition).selector, variablesOf(dashboard)))).length > 0, `${dashboard.title}: $${name}`)
      }
    }
  })

  await t.test('where there are both, nothing is counted twice', async (t) => {
    let compared = 0
    for (const { dashboard } of dashboards) {
      for (const { place, expr } of queriesOf(dashboard)) {
        const query = interpolated(expr, variablesOf(dashboard))
        const native = selectorsIn(query).map(({ metric }) => metric).filter((metric) => NATIVE.includes(metric))
        if (native.length === 0) continue
        const classicAlone = query.replace(new RegExp(`\\b(${NATIVE.join('|')})\\{`, 'g'), 'none_$1{')
        const time = await settled(both)
        t.same(await at(both, query, time), await at(both, classicAlone, time), `${dashboard.title}: ${place}`)
        compared++
      }
    }
    t.ok(compared > 30, `${compared} queries`)
  })

  await t.test('native and classic histograms count the same', async (t) => {
    for (const name of NATIVE) {
      const by = (labelsOf.get(name) ?? []).join()
      const time = await settled(both)
      // This process itself asks other hosts all the time, and the two pages are not of one moment.
      const series = (suffix: string) => `${name}${suffix}{host!="_OTHER"}`
      t.same(await at(both, `sum by (${by}) (${series('_count')})`, time), await at(both, `sum by (${by}) (histogram_count(${series('')}))`, time), name)
    }
  })
})

/** A time from which on nothing comes any more: of each target, the scrape of it is stored. */
async function settled (prometheus: Prometheus): Promise<string> {
  return String(await prometheus.value('min(timestamp(up))'))
}

/** The values that a query has at a time, by their labels. */
async function at (prometheus: Prometheus, query: string, time: string): Promise<Record<string, string>> {
  const { result } = await prometheus.get<{ result: Array<{ metric: Series['labels'], value?: [number, string] }> }>('query', { query, time })
  return Object.fromEntries(result.map(({ metric, value }) => [JSON.stringify(metric), value?.[1] ?? 'a histogram']))
}

/** Serves a page in the text format, which has classic histograms alone. @returns its address */
async function textOf (t: Test, url: string): Promise<string> {
  const server = createServer((_, response) => {
    fetch(url, { headers: { accept: 'text/plain' } }).then(async (page) => {
      response.setHeader('content-type', page.headers.get('content-type') ?? 'text/plain')
      response.end(await page.text())
    }, () => response.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}
