import t, { type Test } from 'tap'
import { readdir, readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { interpolated, selectorsIn, type Variable } from '../support/promql.js'
import { startDependent } from '../support/dependent.js'
import { startPrometheus, type Prometheus } from '../support/prometheus.js'
import { catalogue, type Definition } from '../../src/index.js'
import { OF_SERVICE, hurried } from '../support/rules.js'
import { startService } from '../support/service.js'

/*
 * Everything that an operator is given asks a Prometheus that has scraped the dog-walking service through ordinary days and bad ones, and a service that has
 * what that one has not: a cache, and another service that it asks.
 */
const examples = new URL('../../examples/', import.meta.url)
const rules = [...OF_SERVICE, 'django-compat.rules.yml']
  .map((file) => fileURLToPath(new URL(`prometheus/${file}`, examples)))

const catalogued: Readonly<Record<string, Definition>> = catalogue

/** What gives nothing although all is well with it, and why. */
const NO_STREAMS = 'the service streams nothing'
const NO_TROUBLE = 'the instrumentation has had no error'
const OPT_IN = 'opt-in, and the service has not switched it on'
const EMPTY: Readonly<Record<string, string>> = {
  django_http_ajax_requests_total: OPT_IN,
  django_http_responses_total_by_charset_total: OPT_IN,
  django_http_responses_total_by_templatename_total: OPT_IN,
  django_http_responses_streaming_total: NO_STREAMS,
  MetricsInstrumentationErrors: NO_TROUBLE,
  MetricsSeriesDropped: 'no metric of the service has 100 label sets',
  'By route/Before the service': 'no proxy stands before it that says when a request came',
  Restarts: 'no process began anew at its address'
}

interface Panel {
  readonly title: string
  readonly targets?: ReadonlyArray<{ readonly expr: string }>
  readonly panels?: readonly Panel[]
}

interface Dashboard {
  readonly title: string
  readonly panels: readonly Panel[]
  readonly annotations: { readonly list: ReadonlyArray<{ readonly name: string, readonly expr?: string }> }
  readonly templating: { readonly list: ReadonlyArray<Variable & { readonly type: string, readonly query?: string | { readonly query: string } }> }
}

t.test('everything that an operator is given finds what it asks for', async (t) => {
  const service = await startService(t)
  const dependent = await startDependent(t)
  if (dependent === undefined) return
  const started = await startPrometheus(t, {
    global: { scrape_interval: '2s', evaluation_interval: '1s' },
    rule_files: await hurried(t, rules),
    scrape_configs: [
      { job_name: 'dog-walking', static_configs: [{ targets: [service.url.slice('http://'.length)] }] },
      { job_name: 'dependent', static_configs: [{ targets: [dependent.target] }] }
    ]
  })
  if (started === undefined) return
  const prometheus: Prometheus = started
  const scraped = () => Promise.all(['dog-walking', 'dependent'].map((job) => prometheus.scraped(job)))
  const everyday = () => Promise.all([service.everyday(), dependent.everyday()])
  await scraped()
  await everyday()
  // What goes wrong twice has a rate: the first time makes the series.
  for (let day = 0; day < 2; day++) {
    await scraped()
    await service.lockedTable()
    await service.databaseDown()
    await everyday()
  }
  await scraped()
  const evaluatedRules = await prometheus.evaluated()

  await t.test('every rule is evaluated without an error', async (t) => {
    t.ok(evaluatedRules.length > 70, `${evaluatedRules.length} rules`)
    for (const { name, health, lastError } of evaluatedRules) t.same({ health, lastError: lastError ?? '' }, { health: 'ok', lastError: '' }, name)
  })

  await t.test('every series that a rule records is there', async (t) => {
    for (const { name } of evaluatedRules.filter(({ type }) => type === 'recording')) await isThere(t, name, name)
  })

  await t.test('everything that an alert looks at is there', async (t) => {
    for (const { name, query, labels } of evaluatedRules.filter(({ type }) => type === 'alerting')) {
      for (const { metric, matchers } of selectorsIn(query)) {
        // The rules take native histograms as well, which this Prometheus does not ask for.
        const series = catalogued[metric]?.type === 'histogram' ? `${metric}_count` : metric
        const selector = `${series}{${matchers.map(({ text }) => text).join(', ')}}`
        await isThere(t, selector, `${name} ${labels?.['window'] ?? ''}: ${selector}`, name)
      }
    }
  })

  const folder = new URL('grafana/dashboards/', examples)
  const files = (await readdir(folder)).filter((file) => file.endsWith('.json'))
  t.equal(files.length, 6)
  for (const file of files) {
    const { title, panels, annotations, templating } = JSON.parse(await readFile(new URL(file, folder), 'utf8')) as Dashboard
    await t.test(`the dashboard ${title}`, async (t) => {
      for (const panel of panels.flatMap((panel) => [panel, ...panel.panels ?? []])) {
        for (const { expr } of panel.targets ?? []) await isThere(t, interpolated(expr, templating.list), `${panel.title}: ${expr}`, `${title}/${panel.title}`)
      }
      for (const { name, expr } of annotations.list) if (expr !== undefined) await isThere(t, interpolated(expr, templating.list), name, name)
      for (const { name, type, query } of templating.list.filter(({ type }) => type === 'query')) {
        t.equal(type, 'query', name)
        const text = typeof query === 'string' ? query : query?.query ?? ''
        const [, selector, label] = /^label_values\((.+), (\w+)\)$/s.exec(text) ?? []
        if (selector === undefined || label === undefined) t.fail(`${name} asks ${text}`)
        else await isThere(t, interpolated(selector, templating.list), `$${name}: ${text}`)
      }
    })
  }

  /** Asserts that a query gives something, or nothing on purpose. */
  async function isThere (t: Test, query: string, what: string, name = query): Promise<void> {
    const series = await prometheus.query(query).catch((error: Error) => error)
    if (series instanceof Error) t.fail(series.message)
    else if (name in EMPTY) t.same(series, [], `${what} gives nothing: ${EMPTY[name]}`)
    else t.ok(series.length > 0, `${what} gives something`)
  }
})
