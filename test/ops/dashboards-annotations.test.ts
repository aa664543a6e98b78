import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { dashboards } from '../../examples/grafana/dashboards.js'
import { sections } from '../../examples/grafana/alerts.js'
import { shownBy, targetsOf, variablesOf } from '../support/dashboards.js'
import { interpolated } from '../support/promql.js'
import { promtool } from '../support/promtool.js'
import { temporaryFolder } from '../support/temporary-folder.js'

/* What the annotations and the list of alerts give for made-up series, by promtool. A sample a minute; the times are seconds from the beginning. */
const [{ dashboard } = { dashboard: undefined }] = dashboards
if (dashboard === undefined) throw new Error('there is no dashboard')
const variables = variablesOf(dashboard)
const annotations = Object.fromEntries((dashboard.annotations.list ?? []).map(({ name, expr = '' }) => [name, interpolated(expr, variables)]))

/** Began at 0. At half an hour one process crashed, one was deployed with another Node to the same address, and a new one came. */
const STARTS = [
  { series: 'process_start_time_seconds{job="a", instance="steady"}', values: '0x90' },
  { series: 'process_start_time_seconds{job="a", instance="crashed"}', values: '0x28 _x1 1800x60' },
  { series: 'process_start_time_seconds{job="a", instance="upgraded"}', values: '0x29 1800x60' },
  { series: 'process_start_time_seconds{job="a", instance="new"}', values: '_x29 1800x60' },
  { series: 'nodejs_version_info{job="a", instance="steady", version="v20"}', values: '1x90' },
  { series: 'nodejs_version_info{job="a", instance="crashed", version="v20"}', values: '1x90' },
  { series: 'nodejs_version_info{job="a", instance="upgraded", version="v20"}', values: '1x29 stale' },
  { series: 'nodejs_version_info{job="a", instance="upgraded", version="v22"}', values: '_x29 1x60' },
  { series: 'nodejs_version_info{job="a", instance="new", version="v22"}', values: '_x29 1x60' }
]

interface Expected {
  readonly expr: string
  readonly eval_time: string
  readonly exp_samples: ReadonlyArray<{ readonly labels: string, readonly value: number }>
}

async function holds (t: Test, series: readonly object[], exprs: readonly Expected[]): Promise<void> {
  const file = join(await temporaryFolder(t, 'annotations'), 'test.yml')
  // JSON is YAML.
  await writeFile(file, JSON.stringify({ tests: [{ interval: '1m', input_series: series, promql_expr_test: exprs }] }))
  const answer = promtool(t, ['test', 'rules', file])
  if (answer !== undefined) t.match(answer, { status: 0, output: /SUCCESS/ })
}

t.test('a crash is a restart, and a deployment is new processes', async (t) => {
  const began = (...instances: string[]) => instances.map((instance) => ({ labels: `{job="a", instance="${instance}"}`, value: 1_800_000 }))
  const expected = (at: string, restarts: string[], fresh: string[]) => [
    { expr: annotations['Restarts'] ?? '', eval_time: at, exp_samples: began(...restarts) },
    { expr: annotations['New processes'] ?? '', eval_time: at, exp_samples: began(...fresh) }
  ]
  await holds(t, STARTS, [
    ...expected('25m', [], []),
    ...expected('32m', ['crashed'], ['new', 'upgraded']),
    ...expected('44m', ['crashed'], ['new', 'upgraded']),
    ...expected('50m', [], [])
  ])
})

/**
 * Two processes of version 1. At half an hour one becomes version 2, three minutes later the other. At an hour they become version 1 again, one after the other.
 * At an hour and three quarters both restart: nothing is deployed.
 */
const BUILDS = ['a', 'b'].flatMap((instance, index) => {
  const [second, back, restart] = [30 + 3 * index, 60 + 3 * index, 105]
  const build = (version: string, values: string) => ({ series: `app_build_info{job="a", instance="${instance}", version="${version}", commit="c${version}"}`, values })
  return [
    { series: `process_start_time_seconds{job="a", instance="${instance}"}`, values: `0x${second - 1} ${60 * second}x${back - second - 1} ${60 * back}x${restart - back - 1} ${60 * restart}x30` },
    build('1', `1x${second - 1} stale _x${back - second - 1} 1x80`),
    build('2', `_x${second} 1x${back - second - 1} stale`)
  ]
})

t.test('a deployment is where a version begins, a rollback too, and no restart is one', async (t) => {
  const began = (minute: number, version: string, seconds: number) => at(minute, [{ labels: `{job="a", version="${version}", commit="c${version}"}`, value: 1000 * seconds }])
  const at = (minute: number, samples: Expected['exp_samples'] = []): Expected => ({ expr: annotations['Deployments'] ?? '', eval_time: `${minute}m`, exp_samples: samples })
  await holds(t, BUILDS, [at(29), began(30, '2', 1800), began(34, '2', 1800), at(36), at(46), began(61, '1', 3600), began(64, '1', 3600), at(70), at(106), at(112)])
})

t.test('alerts that fire have their section, and none is said where the rules are', async (t) => {
  const table = shownBy(dashboard).find(({ title }) => title === 'Alerts that fire')
  const [{ expr } = { expr: '' }] = table === undefined ? [] : targetsOf(table)
  const query = interpolated(expr, variables)
  const rule = { series: 'job_method_route:http_requests_received:rate5m{job="a", route="/"}', values: '1x5' }
  const firing = Object.keys(sections).map((alertname) => ({ series: `ALERTS{job="a", alertname="${alertname}", alertstate="firing", severity="critical"}`, values: '1x5' }))
  await holds(t, [], [{ expr: query, eval_time: '1m', exp_samples: [] }])
  await holds(t, [rule], [{ expr: query, eval_time: '1m', exp_samples: [{ labels: '{alertname="none"}', value: 0 }] }])
  await holds(t, [rule, ...firing], [{
    expr: query,
    eval_time: '1m',
    exp_samples: Object.entries(sections).map(([alertname, section]) => ({ labels: `{alertname="${alertname}", severity="critical", section="${section}"}`, value: 1 }))
  }])
})

t.test('a budget is that of the worst of the services chosen, negative when it is overspent', async (t) => {
  for (const [title, record] of [['Error budget', 'job:http_error_budget:remaining30d'], ['Latency budget', 'job:http_latency_budget:remaining30d']] as const) {
    const [{ expr } = { expr: '' }] = shownBy(dashboard).filter((panel) => panel.title === title).flatMap(targetsOf)
    const series = [{ series: `${record}{namespace="n", job="a"}`, values: '0.75x5' }, { series: `${record}{namespace="n", job="b"}`, values: '-0.25x5' }]
    await holds(t, series, [{ expr: interpolated(expr, variables), eval_time: '1m', exp_samples: [{ labels: '{}', value: -0.25 }] }])
  }
})
