import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { Gauge } from 'prom-client'
import t, { type Test } from 'tap'
import { parse } from 'yaml'
import { catalogue, Counter, Histogram } from '../../src/index.js'
import { startDependent } from '../support/dependent.js'
import { guide, guides } from '../support/guide.js'
import { service } from '../support/http.js'
import { freePort } from '../support/postgres.js'
import { startPrometheus } from '../support/prometheus.js'
import { operandsOf } from '../support/promql.js'
import { GENERATED, flat, hurried, rules, rulesFolder } from '../support/rules.js'
import { startService } from '../support/service.js'
import { twentyRoutes } from '../support/twenty-routes.js'
import { startWalks } from '../support/walks.js'

/*
 * The queries of the guides in docs/ are put to a Prometheus that scrapes what the pages are about, with the configuration and the rules that the pages give.
 */

/** Queries that give nothing here, and why. */
const EMPTY: Readonly<Record<string, string>> = {
  prometheus_sd_discovered_targets: 'this Prometheus does not scrape itself',
  'sum by (namespace, job) (rate(http_requests_received_total[5m] offset 1h))': 'this Prometheus is not an hour old'
}

/** An application with what goes wrong in instrumentation, a metric that is full, and two histograms of one value each. */
async function troubled (t: Test): Promise<string> {
  const { url, registry, app } = await service(t, { options: { labels: { tenant: () => { throw new Error('no tenant') } } }, routes: (app) => app.get('/', async () => 'x') })
  new Gauge({ name: 'orders', help: 'x', registers: [registry], collect () { throw new Error('no orders') } }).set(1)
  const takes = new Histogram({ name: 'takes_seconds', help: 'x', labelNames: ['all'], buckets: catalogue.http_request_duration_seconds.buckets, registers: [registry], native: {} })
  for (const seconds of [0.3, 12]) for (let i = 0; i < 100; i++) takes.observe({ all: `${seconds} s` }, seconds)
  const full = new Counter({ name: 'full_total', help: 'x', labelNames: ['a'], maxSeries: 3, registers: [registry] })
  for (let i = 0; i < 5; i++) full.inc({ a: `${i}` })
  await app.inject('/')
  return url
}

/** Says what is no HTTP, and waits for the answer. */
async function refused (url: string): Promise<void> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname).resume()
  socket.end('woof\r\n\r\n')
  await once(socket, 'close')
}

t.test('what the pages ask of Prometheus', async (t) => {
  const address = (url: string) => url.slice('http://'.length)
  const seriesPage = guide('labels-and-buckets')
  const walking = await startService(t)
  const { folder, url: walksUrl } = await startWalks(t, walking.postgres.config)
  const sized = await twentyRoutes(t)
  await sized.ask()
  const sick = await troubled(t)
  const dependent = await startDependent(t)
  if (dependent === undefined) return
  await folder.shell(guide('getting-started').code('sh', 'generate.js'))
  await folder.shell(guide('django-prometheus').code('sh', 'django-compat'))
  await writeFile(folder.join('prometheus.yml'), guide('getting-started').code('yaml', 'scrape_configs'))
  const page = parse(readFileSync(folder.join('prometheus.yml'), 'utf8')) as { global: object, scrape_configs: Array<{ job_name: string, static_configs: Array<{ targets: string[] }> }> }
  t.same(page.scrape_configs[0]?.static_configs, [{ targets: ['127.0.0.1:3000'] }])
  const target = (job: string, url: string) => ({ ...page.scrape_configs[0], job_name: job, static_configs: [{ targets: [address(url)] }] })
  const prometheus = await startPrometheus(t, {
    // As the page has it, but faster.
    global: { ...page.global, scrape_interval: '1s', evaluation_interval: '1s' },
    rule_files: await hurried(t, [...[...GENERATED, 'django-compat.rules.yml'].map((file) => folder.join('rules', file)), join(rulesFolder, 'dog-walking.rules.yml')]),
    scrape_configs: [target('walks', walksUrl), target('dog-walking', walking.url), target('twenty', sized.url), target('troubled', sick), target('dependent', dependent.url), target('gone', `http://127.0.0.1:${await freePort()}`)]
  })
  const native = await startPrometheus(t, { global: { scrape_interval: '1s' }, scrape_configs: [target('dog-walking', walking.url), target('troubled', sick)] }, 'native-histograms')
  if (prometheus === undefined || native === undefined) return
  // One target is gone on purpose.
  const scraped = () => Promise.all(['walks', 'dog-walking', 'twenty', 'troubled', 'dependent'].map((job) => prometheus.scraped(job)))
  await scraped()
  for (let i = 0; i < 2; i++) {
    await walking.everyday()
    await dependent.everyday()
    for (const path of ['/walks/7', '/time', '/nowhere']) await fetch(walksUrl + path)
    await fetch(`${walksUrl}/walks`, { method: 'POST' })
    await refused(walking.url)
    await scraped()
    await walking.lockedTable()
    await walking.postgres.stop()
    for (const path of ['/', '/status']) await walking.visitor.open(path)
    await walking.visitor.send('/walks/start', { walker: '1', dog: '1' })
    await walking.postgres.start()
    await walking.everyday()
    await scraped()
  }
  await Promise.all([prometheus.evaluated(), native.scraped()])
  // Once more, with what was recorded.
  await prometheus.evaluated()

  const alerts = new Set(rules.flatMap(({ alert, expr }) => alert === undefined ? [] : [flat(expr)]))
  for (const [file, guide] of Object.entries(guides)) {
    t.test(`the queries of ${file}`, async (t) => {
      // An alert that does not fire gives nothing; what it compares gives something.
      for (const query of guide.of('promql').flatMap((query) => alerts.has(flat(query)) ? operandsOf(query) : [query])) {
        const series = await prometheus.query(query).catch((error: Error) => error)
        if (series instanceof Error) t.fail(series.message)
        else if (query in EMPTY) t.same(series, [], `${query} gives nothing: ${EMPTY[query]}`)
        else t.ok(series.length > 0, `${query} gives something`)
      }
    })
  }

  t.test('what is empty here is there elsewhere', async (t) => {
    const own = await (await fetch(`${prometheus.url}/metrics`)).text()
    for (const name of Object.keys(EMPTY).filter((query) => /^\w+$/.test(query))) t.match(own, new RegExp(`^${name}\\b`, 'm'))
  })

  t.test("the page's Prometheus has scraped its service, and applied its rules", async (t) => {
    t.equal(await prometheus.value('up{job="walks"}'), 1)
    t.ok(await prometheus.value('sum(increase(walks_booked_total[1h]))') > 0)
    t.ok(await prometheus.value('job_method_route:http_requests_received:rate5m{job="walks", method="GET", route="/walks/:id"}') > 0)
    const { alerts } = await prometheus.get<{ alerts: Array<{ labels: Record<string, string> }> }>('alerts')
    t.notOk(alerts.some(({ labels }) => labels['alertname'] === 'TargetMissing'), 'the job of the alerts is there')
    t.equal(await prometheus.value('count({job="twenty", __name__=~"http_.+"})'), seriesPage.number(/in Prometheus .*= +([\d,]+) series/), 'and as many series as were worked out')
    const types = new Map((await prometheus.metadata('{job="dog-walking"}')).map(({ metric, type }) => [metric, type]))
    t.equal(types.get('walks_started'), 'unknown')
  })

  t.test('quantiles are what the table says', async (t) => {
    for (const [all = '', ...quantiles] of seriesPage.table('all requests take', 'p50 says', 'p99 says')) {
      for (const [i, q] of [0.5, 0.99].entries()) {
        const value = await prometheus.value(`histogram_quantile(${q}, sum by (le) (takes_seconds_bucket{all="${all}"}))`)
        t.equal(`${Number(value.toFixed(6))} s`, quantiles[i], `${q} of ${all}`)
        const exact = await native.value(`histogram_quantile(${q}, takes_seconds{all="${all}"})`)
        t.ok(Math.abs(exact / Number.parseFloat(all) - 1) <= 0.09, `native: ${q} of ${all} is ${exact}`)
      }
    }
  })

  t.test('native histograms: the query of the page, and no classic buckets', async (t) => {
    t.ok((await native.query(guide('native-histograms').code('text', 'rate(http_request_duration_seconds[5m])'))).length > 0)
    t.same(await native.query('http_request_duration_seconds_bucket{job="dog-walking"}'), [])
  })

  t.test('what instrumentation reports has the names of the runbook', async (t) => {
    const sources = (await prometheus.query('metrics_instrumentation_errors_total')).map(({ labels }) => labels['source'])
    for (const source of ['label tenant', 'metric orders']) {
      t.ok(sources.includes(source), source)
      t.match(guide('runbook').text, `| \`${source}\` |`)
    }
  })

  t.test('what went wrong has the types that the runbook tells causes by', async (t) => {
    const seen = {
      http_exceptions_total: ['Error', 'ECONNREFUSED'],
      db_query_errors_total: ['query_canceled'],
      db_connection_errors_total: ['ECONNREFUSED', 'admin_shutdown'],
      http_client_request_errors_total: ['UND_ERR_SOCKET'],
      cache_errors_total: ['WRONGTYPE']
    }
    for (const [metric, types] of Object.entries(seen)) {
      const there = (await prometheus.query(`${metric}{job=~"dog-walking|dependent"}`)).map(({ labels }) => labels['type'])
      for (const type of types) {
        t.ok(there.includes(type), `${metric}: ${type} is among ${there.join(', ')}`)
        t.match(guide('runbook').text, `\`${type}\``)
      }
    }
  })

  t.test('the expressions for what was django_', async (t) => {
    for (const [, here = ''] of guide('django-prometheus').table('django-prometheus', 'here', 'differences')) {
      if (here !== 'none') t.ok(await prometheus.query(here.replaceAll('`', '')), here)
    }
    for (const [, after = ''] of guide('migrating').table('before', 'after')) if (after.startsWith('`histogram_quantile')) t.ok((await prometheus.query(after.replaceAll('`', ''))).length > 0, after)
  })

  t.test('an error that makes its series is not in increase()', async (t) => {
    await fetch(`${walksUrl}/%`)
    await scraped()
    await scraped()
    const born = '{job="walks", method="GET", route="__unmatched__", status_code="400"}'
    t.equal(await prometheus.value(`http_request_duration_seconds_count${born}`), 1)
    t.equal(await prometheus.value(`increase(http_request_duration_seconds_count${born}[1h])`), 0)
  })
})
