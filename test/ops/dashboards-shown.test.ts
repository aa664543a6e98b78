import { readFileSync } from 'node:fs'
import t from 'tap'
import { sections } from '../../examples/grafana/alerts.js'
import { dashboards } from '../../examples/grafana/dashboards.js'
import { RUNBOOK } from '../../examples/grafana/links.js'
import { queriesOf, shownBy, targetsOf, variablesOf, type AnyPanel } from '../support/dashboards.js'
import { interpolated, selectorsIn } from '../support/promql.js'
import { rules } from '../support/rules.js'

/*
 * What a person sees of the dashboards, as far as their JSON says it: words, colours, units, axes, links. How it looks is for
 * `npm run dashboards:pictures`.
 */
const panels = dashboards.flatMap(({ file, dashboard }) => shownBy(dashboard).map((panel) => ({ place: `${file}: ${panel.title}`, panel })))
/** Of a histogram there is nothing before something ends; each of these is there while it hangs. */
const WHILE_IT_HANGS: Readonly<Record<string, RegExp>> = {
  http_request_duration_seconds: /http_request_oldest_seconds/,
  db_query_duration_seconds: /db_query_oldest_seconds/,
  db_pool_acquire_duration_seconds: /db_pool_oldest_pending_seconds/,
  db_connection_use_duration_seconds: /db_connection_oldest_use_seconds/,
  http_client_request_duration_seconds: /http_client_request_oldest_seconds/
}
/** Titles that say which part of a thing is drawn, whose age in flight is in a panel beside it. */
const BESIDE = ['p99 by route', 'p99 by service']

function defaultsOf ({ fieldConfig }: AnyPanel) {
  return fieldConfig?.defaults ?? {}
}

t.test('what is missing has a word of its own, and the colour of text', (t) => {
  for (const { place, panel } of panels) {
    const { noValue = '', mappings } = defaultsOf(panel)
    t.match(noValue, /^[A-Za-z][\w ]{5,}$/, `${place}: a word`)
    t.not(noValue, 'no data', `${place}: which says what is missing`)
    if (panel.type === 'stat' || panel.type === 'bargauge') {
      t.same(mappings, [{ type: 'special', options: { match: 'null+nan', result: { text: noValue, color: 'text', index: 0 } } }], `${place}: a colour`)
    }
    if (panel.type === 'table') {
      const mapped = panel.fieldConfig?.overrides.filter(({ properties }) => JSON.stringify(properties).includes('null+nan')) ?? []
      t.equal(mapped.length, targetsOf(panel).length, `${place}: each column of numbers`)
    }
  }
  t.end()
})

t.test('counts have all their digits, and distances no prefix', (t) => {
  for (const { place, panel } of panels) {
    const units = [defaultsOf(panel).unit, ...(panel.fieldConfig?.overrides.flatMap(({ properties }) => properties.filter(({ id }) => id === 'unit').map(({ value }) => String(value))) ?? [])]
    t.same(units.filter((unit) => unit === 'short' || unit === 'none' || unit?.startsWith('length')), [], place)
  }
  t.end()
})

t.test('what is extrapolated is shown in whole numbers', (t) => {
  for (const { place, panel } of panels.filter(({ panel }) => defaultsOf(panel).unit === 'locale' && panel.type !== 'heatmap')) {
    const grows = targetsOf(panel).some(({ expr }) => /increase\(/.test(expr))
    if (grows) t.type(defaultsOf(panel).decimals, 'number', place)
  }
  t.end()
})

t.test('no axis of zeros is drawn to 100', (t) => {
  for (const { place, panel } of panels.filter(({ panel }) => panel.type === 'timeseries')) {
    const { max, custom = {}, unit } = defaultsOf(panel) as { max?: number, custom?: { axisSoftMax?: number, spanNulls?: boolean }, unit?: string }
    t.ok(max === 1 || (custom.axisSoftMax ?? 0) > 0, `${place}: an end`)
    if (unit === 'percentunit') t.ok((max ?? custom.axisSoftMax ?? 100) <= 1, `${place}: not beyond 100 %`)
    t.equal(custom.spanNulls, false, `${place}: a gap is a gap`)
  }
  t.end()
})

t.test('a panel of durations shows what has not ended too', (t) => {
  for (const { place, panel } of panels.filter(({ panel }) => panel.type === 'timeseries' && !BESIDE.includes(panel.title ?? ''))) {
    const exprs = targetsOf(panel).map(({ expr }) => expr)
    for (const [histogram, gauge] of Object.entries(WHILE_IT_HANGS)) {
      if (exprs.some((expr) => expr.includes('histogram_quantile') && expr.includes(`${histogram}_bucket`))) t.ok(exprs.some((expr) => gauge.test(expr)), place)
    }
  }
  t.end()
})

t.test('what hangs is at the top', (t) => {
  const top = (name: string) => {
    const { panels = [] } = dashboards.find(({ file }) => file === name)?.dashboard ?? {}
    return panels.filter(({ gridPos }) => (gridPos?.y ?? 0) < 24).map((panel) => JSON.stringify(panel)).join()
  }
  for (const gauge of ['http_requests_in_flight', 'http_request_oldest_seconds', 'db_query_oldest_seconds', 'db_pool_oldest_pending_seconds']) t.match(top('overview.json'), gauge)
  for (const gauge of ['http_requests_in_flight', 'http_request_oldest_seconds']) t.match(top('routes.json'), gauge)
  for (const gauge of ['db_queries_in_flight', 'db_query_oldest_seconds', 'db_pool_pending_requests', 'db_pool_oldest_pending_seconds', 'db_connection_oldest_use_seconds']) t.match(top('database.json'), gauge)
  for (const gauge of ['http_client_requests_in_flight', 'http_client_request_oldest_seconds']) t.match(top('dependencies.json'), gauge)
  t.end()
})

t.test('durations are of answers, and errors are 5xx and 444', (t) => {
  for (const { file, dashboard } of dashboards) {
    for (const { place, expr } of queriesOf(dashboard)) {
      for (const { metric, matchers } of selectorsIn(interpolated(expr, variablesOf(dashboard)))) {
        if (!/^http_request_duration_seconds/.test(metric)) continue
        const said = matchers.filter(({ label }) => label === 'status_code').map(({ text }) => text).join(', ')
        t.match(said, /^status_code(!~"1\.\.|=~"5\.\.\|444"$|=~"4\.\.", status_code!~"444\|499"$|="499"$)/, `${file}: ${place}`)
      }
    }
  }
  t.end()
})

t.test('links lead to the runbook, and each alert has a section and a panel', (t) => {
  const runbook = readFileSync(new URL('../../docs/runbook.md', import.meta.url), 'utf8')
  const headings = [...runbook.matchAll(/^## (.+)$/gm)].map(([, heading = '']) => heading.toLowerCase().replaceAll(' ', '-'))
  const linked = panels.flatMap(({ panel }) => (panel.links ?? []).map(({ url }) => url))
  t.same(linked.filter((url) => !url?.startsWith(`${RUNBOOK}#`) || !headings.includes(url.slice(RUNBOOK.length + 1))), [], 'sections that are there')
  for (const { alert, annotations = {} } of rules.filter(({ alert }) => alert !== undefined)) {
    if (alert === 'Watchdog') continue
    const [, section = ''] = /runbook\.md#([\w-]+)/.exec(JSON.stringify(annotations)) ?? []
    t.equal(sections[String(alert)], section, `${alert} is linked to its section`)
    // Of what Prometheus does not have at all there is no panel.
    if (section !== 'target-missing' && section !== 'rules-see-nothing') t.ok(linked.includes(`${RUNBOOK}#${section}`), `${alert} has a panel`)
  }
  t.end()
})

t.test('restarts, new processes and deployments are annotations of three colours', (t) => {
  for (const { file, dashboard } of dashboards) {
    const list = dashboard.annotations.list ?? []
    t.same(list.map(({ name }) => name), ['Restarts', 'New processes', 'Deployments'], file)
    t.equal(new Set(list.map(({ iconColor }) => iconColor)).size, 3, file)
  }
  t.end()
})
