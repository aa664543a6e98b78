import t from 'tap'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { promtool } from '../support/promtool.js'
import { rules, rulesFolder } from '../support/rules.js'

const pathOf = (file: string) => join(rulesFolder, file)
const read = <T>(file: string) => parse(readFileSync(pathOf(file), 'utf8')) as T

interface Tests {
  readonly tests: ReadonlyArray<{
    readonly promql_expr_test?: ReadonlyArray<{ readonly expr: string, readonly exp_samples: ReadonlyArray<{ readonly labels: string }> }>
    readonly alert_rule_test?: ReadonlyArray<{ readonly alertname: string, readonly exp_alerts: ReadonlyArray<{ readonly exp_labels: Readonly<Record<string, string>> }> }>
  }>
}

const yamls = readdirSync(rulesFolder).filter((file) => /\.(rules|alerts)\.yml$/.test(file))
const testFiles = readdirSync(pathOf('tests/')).map((file) => `tests/${file}`)
const tests = testFiles.flatMap((file) => read<Tests>(file).tests)

t.test('the configuration and the rules it names are right, and every file of rules is among them', async (t) => {
  const answer = promtool(t, ['check', 'config', pathOf('prometheus.yml')])
  if (answer !== undefined) t.equal(answer.status, 0, answer.output)
  t.same([...read<{ rule_files: string[] }>('prometheus.yml').rule_files].sort(), yamls.sort())
})

t.test('their tests pass', async (t) => {
  const answer = promtool(t, ['test', 'rules', ...testFiles.map(pathOf)])
  if (answer !== undefined) t.match(answer, { status: 0, output: /SUCCESS/ })
})

t.test('every recorded series is tested', async (t) => {
  const asked = tests.flatMap(({ promql_expr_test: exprs = [] }) => exprs.map(({ expr }) => expr))
  for (const { record } of rules) {
    if (record === undefined) continue
    // One of the tests asks for the windows of a ratio together.
    t.ok(asked.some((expr) => expr.includes(record) || selectsByName(expr, record)), record)
  }
})

/** Whether an expression has a matcher of names that matches this one. */
function selectsByName (expr: string, name: string): boolean {
  return [...expr.matchAll(/__name__=~"([^"]+)"/g)].some(([, pattern]) => new RegExp(`^(?:${pattern})$`).test(name))
}

t.test('every alert is seen firing and not firing', async (t) => {
  const ALERTS = /\(ALERTS\{alertstate="firing"/
  // Some tests name all that fires at a time.
  const sets = tests.flatMap(({ promql_expr_test: exprs = [] }) => exprs.filter(({ expr }) => ALERTS.test(expr)))
    .map(({ exp_samples: samples }) => samples.map(({ labels }) => Object.fromEntries([...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, name = '', value = '']) => [name, value]))))
  const seen = [
    ...tests.flatMap(({ alert_rule_test: alerts = [] }) => alerts),
    ...[...new Set(rules.map(({ alert }) => alert))].flatMap((alertname = '') => sets.map((set) => ({
      alertname, exp_alerts: set.filter((labels) => labels['alertname'] === alertname).map((labels) => ({ exp_labels: labels }))
    })))
  ]
  for (const { alert, labels = {} } of rules) {
    if (alert === undefined) continue
    const ofIt = seen.filter(({ alertname }) => alertname === alert)
    // Those of one name are told apart by their windows.
    const fires = ({ exp_alerts: alerts }: (typeof seen)[number]) => alerts.some(({ exp_labels: found }) => found['window'] === labels.window)
    t.ok(ofIt.some(fires), `${alert} ${labels.window ?? ''} fires`)
    if (alert !== 'Watchdog') t.ok(ofIt.some((test) => !fires(test)), `${alert} ${labels.window ?? ''} does not fire`)
  }
})

t.test('every alert says how bad it is and of which service', async (t) => {
  for (const { alert, labels, annotations } of rules) {
    if (alert === undefined) continue
    if (alert === 'Watchdog') {
      t.same(labels, { severity: 'none' })
      continue
    }
    t.match(labels?.severity, /^(critical|warning)$/, alert)
    t.match(annotations?.summary, /^\{\{ \$labels\.job \}\}\{\{ with \$labels\.namespace \}\}/, alert)
    t.match(annotations?.runbook_url, /^https:\/\/.+\/docs\/runbook\.md#[a-z-]+$/, alert)
    t.match(annotations?.dashboard_url, /^\/d\/fastify-prometheus-[a-z]+\?var-namespace=/, alert)
  }
})

t.test('the series of django-prometheus 2.5 are all recorded, with the labels they have there, or named as missing with the reason', async (t) => {
  const page = readFileSync(new URL('fixtures/django-prometheus-2.5.0.prom', import.meta.url), 'utf8')
  const header = readFileSync(pathOf('django-compat.rules.yml'), 'utf8').split('\ngroups:')[0] ?? ''
  const missing = [...header.matchAll(/^# {3}(django_\w+(?:, django_\w+)*)(?: {2,}|$)/gm)].flatMap(([, names = '']) => names.split(', '))
  t.same(missing, ['django_db_execute_many_total'])
  const recorded = new Set(rules.map(({ record }) => record))
  const labelsOf = (text: string) => [...text.matchAll(/(\w+)="/g)].map(([, label]) => label).sort().join()

  // A family without a series has its names from its type alone.
  const types = [...page.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = '', type = '']) => ({ name, type }))
  t.equal(types.length, 34)
  for (const { name, type } of types) {
    if (missing.includes(name)) {
      t.notOk(recorded.has(name), `${name} is not both`)
      continue
    }
    for (const series of type === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name]) {
      t.ok(recorded.has(series), series)
      const there = new Set([...page.matchAll(new RegExp(`^${series}(\\{.*\\})? `, 'gm'))].map(([, labels = '']) => labelsOf(labels)))
      const ours = tests.flatMap(({ promql_expr_test: exprs = [] }) => exprs.filter(({ expr }) => expr === series).flatMap(({ exp_samples: samples }) => samples))
      // The labels of the target are those of Prometheus.
      const found = new Set(ours.map(({ labels }) => labelsOf(labels.replace(/job="[^"]*", instance="[^"]*"/, ''))))
      if (there.size > 0) t.same([...found].sort(), [...there].sort(), `the labels of ${series}`)
      else t.equal(found.size, 1, `${series} has no series there to compare with`)
    }
  }
})
