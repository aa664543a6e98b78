import { spawnSync } from 'node:child_process'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { parse } from 'yaml'
import { promtool } from '../support/promtool.js'
import { testRules, type InputSeries, type Scene } from '../support/rule-test.js'
import { GENERATED, rulesFolder, type RuleFile } from '../support/rules.js'
import { temporaryFolder } from '../support/temporary-folder.js'

/*
 * The generator of the rules: what can be chosen comes out in every rule, and what is wrong is refused by its name.
 */
const FILES = ['fastify-prometheus.alerts.yml', 'fastify-prometheus.prometheusrule.yml', 'fastify-prometheus.rules.yml']

function generate (...args: string[]): { status: number | null, stdout: string, stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(rulesFolder, 'generate.js'), ...args], { encoding: 'utf8' })
  return { status, stdout, stderr }
}

t.test('the files of the repository are those that it makes, and --check names one that is edited', async (t) => {
  const folder = await temporaryFolder(t, 'rules')
  t.match(generate(`--out=${folder}`), { status: 0, stderr: '' })
  t.same((await readdir(folder)).sort(), FILES)
  const textOf = (where: string, file: string) => readFile(join(where, file), 'utf8')
  for (const file of FILES) t.equal(await textOf(rulesFolder, file), await textOf(folder, file), file)
  t.same(generate(`--out=${folder}`, '--check'), { status: 0, stdout: '', stderr: '' })
  await writeFile(join(folder, FILES[0] as string), (await textOf(folder, FILES[0] as string)).replace('14.4', '144'))
  const { status, stderr } = generate(`--out=${folder}`, '--check')
  t.equal(status, 1)
  t.match(stderr, /fastify-prometheus\.alerts\.yml is not what the flags give/)
  t.notMatch(stderr, /rules\.yml/, 'and no other')
})

t.test('what is recorded of longer windows, and alerted on, is the same for a route as for the service', async (t) => {
  const all = await Promise.all(GENERATED.map(async (file) => (parse(await readFile(join(rulesFolder, file), 'utf8')) as RuleFile).groups))
  const rules = all.flat().flatMap(({ rules }) => rules)
  const ofService = rules.filter(({ record = '', alert = '' }) => /^job:http_.*:(increase|ratio_rate)/.test(record) || /^Http(Errors|Latency)/.test(alert))
  const ofRoutes = rules.filter(({ record = '', alert = '' }) => /^job_method_route:http_.*:(increase|ratio_rate)/.test(record) || /^HttpRoute/.test(alert))
  t.same(ofService.map(({ record, expr }) => ({ record: record?.replace(/^job:/, 'job_method_route:'), expr: expr.replaceAll('job:', 'job_method_route:') })), ofRoutes.map(({ record, expr }) => ({ record, expr })))
  t.equal(ofRoutes.length, 28 + 8)
})

t.test('the object for the operator has the rules of both files', async (t) => {
  const groupsOf = async (file: string) => (parse(await readFile(join(rulesFolder, file), 'utf8')) as RuleFile).groups
  const { apiVersion, kind, metadata, spec } = parse(await readFile(join(rulesFolder, 'fastify-prometheus.prometheusrule.yml'), 'utf8')) as Record<string, unknown>
  t.match({ apiVersion, kind, metadata }, { apiVersion: 'monitoring.coreos.com/v1', kind: 'PrometheusRule', metadata: { name: 'fastify-prometheus' } })
  t.same(spec, { groups: [...await groupsOf('fastify-prometheus.rules.yml'), ...await groupsOf('fastify-prometheus.alerts.yml')] })
})

/** Half of what comes fails, and a third of the rest takes two seconds; of two jobs, one of them down. */
const sick = (prefix: string, bound: string, environment: string): InputSeries[] => {
  const labels = (status: number) => `${environment}="dogs", job="walks", instance="a", method="GET", route="/", status_code="${status}"`
  return [
    { series: `${prefix}http_request_duration_seconds_count{${labels(200)}}`, values: '0+30x40' },
    { series: `${prefix}http_request_duration_seconds_bucket{${labels(200)}, le="${bound}"}`, values: '0+20x40' },
    { series: `${prefix}http_request_duration_seconds_count{${labels(500)}}`, values: '0+30x40' },
    { series: `${prefix}http_requests_received_total{${environment}="dogs", job="walks", instance="a", method="GET", route="/"}`, values: '0+60x40' },
    { series: `up{${environment}="dogs", job="walks", instance="a"}`, values: '1x40' },
    { series: `up{${environment}="dogs", job="kennel.v2", instance="a"}`, values: '0x40' }
  ]
}

const choices: ReadonlyArray<{ args: string[], series: InputSeries[], environment?: string, latency?: boolean }> = [
  { args: ['--job=walks,kennel.v2', '--prefix=walks_', '--bound=2'], series: sick('walks_', '2', 'namespace') },
  { args: ['--job=walks,kennel.v2', '--bound=2'], series: sick('', '2.0', 'namespace') },
  { args: ['--job=walks,kennel.v2', '--bound=0.025', '--histograms=classic', '--labels=environment,job'], series: sick('', '0.025', 'environment'), environment: 'environment' },
  // A third of what is left is no more than such an objective allows.
  { args: ['--job=walks,kennel.v2', '--availability=99.99', '--latency=94'], series: sick('', '0.5', 'namespace'), latency: false }
]

for (const { args, series, environment = 'namespace', latency = true } of choices) {
  t.test(args.join(' '), async (t) => {
    const folder = await temporaryFolder(t, 'rules')
    t.match(generate(`--out=${folder}`, ...args), { status: 0, stderr: '' })
    const check = promtool(t, ['check', 'rules', ...FILES.filter((file) => !file.includes('prometheusrule')).map((file) => join(folder, file))])
    if (check === undefined) return
    t.equal(check.status, 0, check.output)
    const fired = ['HttpErrorsFastBurn', 'HttpRouteErrorsFastBurn', ...latency ? ['HttpLatencyFastBurn', 'HttpRouteLatencyFastBurn'] : []]
    const scene: Scene = {
      interval: '30s',
      input_series: series,
      promql_expr_test: [
        {
          expr: `group by (alertname, job, ${environment}) (ALERTS{alertstate="firing", severity="critical", window=~"(1h)?"})`,
          eval_time: '20m',
          exp_samples: [
            ...fired.map((alertname) => ({ labels: `{alertname="${alertname}", job="walks", ${environment}="dogs"}`, value: 1 })),
            { labels: `{alertname="ServiceDown", job="kennel.v2", ${environment}="dogs"}`, value: 1 }
          ]
        },
        { expr: 'ALERTS{alertname="RulesSeeNothing"}', eval_time: '20m', exp_samples: [] }
      ]
    }
    const answer = await testRules(t, [scene], '30s', folder)
    if (answer !== undefined) t.match(answer, { status: 0, output: /SUCCESS/ })
  })
}

/** Requests to a host: one of ten takes three seconds, ten are in flight and do not end. */
const asked = (prefix: string, host: string): InputSeries[] => {
  const target = 'namespace="dogs", job="walks", instance="a"'
  const answers = `${target}, method="GET", host="${host}", status_code="200"`
  return [
    { series: `${prefix}http_client_request_duration_seconds_count{${answers}}`, values: '0+10x40 400x40' },
    { series: `${prefix}http_client_request_duration_seconds_bucket{${answers}, le="1.0"}`, values: '0+9x40 360x40' },
    { series: `${prefix}http_client_requests_in_flight{${target}, host="${host}"}`, values: '10x80' },
    { series: `${prefix}http_client_request_oldest_seconds{${target}, host="${host}"}`, values: '90x80' },
    { series: `${prefix}http_client_request_errors_total{${target}, method="GET", host="${host}", type="ECONNRESET"}`, values: '0+2x40 80x40' },
    { series: `${prefix}cache_operation_duration_seconds_count{${target}, backend="default", operation="get"}`, values: '0+10x80' },
    { series: `${prefix}cache_errors_total{${target}, backend="default", type="ECONNRESET"}`, values: '0+2x80' }
  ]
}

t.test('other services that take long on purpose, another bound and a prefix', async (t) => {
  const LONG = ['[::1]:3000', 'stream.example.com', '*.reports.example.com']
  for (const args of [[], ['--prefix=walks_'], ['--histograms=classic']]) {
    const folder = await temporaryFolder(t, 'rules')
    t.match(generate(`--out=${folder}`, '--job=walks', '--outgoing-bound=1', `--long-lived-hosts=${LONG.join()}`, ...args), { status: 0, stderr: '' })
    const prefix = args.includes('--prefix=walks_') ? 'walks_' : ''
    // The point of a name is no other character.
    const hosts = ['api.example.com', 'streamxexample.com']
    const fired = (alertname: string, ...hosts: string[]) => hosts.map((host) => ({ labels: `{alertname="${alertname}", host="${host}"}`, value: 1 }))
    const firing = 'group by (alertname, host, backend) (ALERTS{alertstate="firing", alertname=~"Outgoing.+|CacheErrors"})'
    const cache = { labels: '{alertname="CacheErrors", backend="default"}', value: 1 }
    const scene: Scene = {
      interval: '30s',
      input_series: [...hosts, ...LONG].flatMap((host, index) => asked(prefix, host).slice(0, index === 0 ? 7 : 5)),
      promql_expr_test: [
        // A long-lived one that fails is told all the same.
        { expr: firing, eval_time: '18m', exp_samples: [...fired('OutgoingRequestErrors', ...hosts, ...LONG), ...fired('OutgoingRequestsSlow', ...hosts), cache] },
        { expr: firing, eval_time: '30m', exp_samples: [...fired('OutgoingRequestsHanging', ...hosts), cache] }
      ]
    }
    const answer = await testRules(t, [scene], '30s', folder)
    if (answer !== undefined) t.match(answer, { status: 0, output: /SUCCESS/ }, args.join())
  }
})

t.test('links lead where the flags say', async (t) => {
  const folder = await temporaryFolder(t, 'rules')
  generate(`--out=${folder}`, '--runbook-url=https://wiki.example.com/runbook', '--grafana-url=https://grafana.example.com/ops/')
  const { groups } = parse(await readFile(join(folder, 'fastify-prometheus.alerts.yml'), 'utf8')) as RuleFile
  for (const { alert, annotations } of groups.flatMap(({ rules }) => rules).filter(({ alert }) => alert !== 'Watchdog')) {
    t.match(annotations?.runbook_url, /^https:\/\/wiki\.example\.com\/runbook#[a-z-]+$/, String(alert))
    t.match(annotations?.dashboard_url, /^https:\/\/grafana\.example\.com\/ops\/d\/fastify-prometheus-/, String(alert))
  }
})

t.test('what is wrong is refused by its name, and nothing is written', async (t) => {
  const folder = await temporaryFolder(t, 'rules')
  const cases: Array<[flag: string, says: RegExp]> = [
    ['--availability=0.999', /--availability must be percent from 94 to less than 100, such as 99\.9, got '0\.999'/],
    ['--availability=100', /--availability must be percent/],
    ['--availability=90', /--availability must be percent/],
    ['--availability=99,9', /--availability must be percent/],
    ['--latency=-1', /--latency must be percent/],
    ['--latency=', /--latency must be percent/],
    ['--bound=0', /--bound must be seconds, more than 0 and at most 3600/],
    ['--bound=500ms', /--bound must be seconds/],
    ['--outgoing-bound=0', /--outgoing-bound must be seconds, more than 0 and at most 3600, such as 2\.5, got '0'/],
    ['--long-lived-hosts=https://api.example.com/', /--long-lived-hosts must be hosts without scheme and path, such as api\.example\.com,localhost:3000, got/],
    ['--long-lived-hosts=a,', /--long-lived-hosts must be hosts/],
    ['--long-lived-hosts=a"} or vector(1) #', /--long-lived-hosts must be hosts/],
    ['--prefix=walks-', /--prefix must be the beginning of a metric's name, such as walks_, got 'walks-'/],
    ['--prefix=1walks_', /--prefix must be/],
    ['--histograms=none', /--histograms must be 'both', 'classic' or 'native', got 'none'/],
    ['--job=', /--job must be names of jobs/],
    ['--job=walks,', /--job must be names of jobs/],
    ['--job=a"} or vector(1) #', /--job must be names of jobs/],
    ['--labels=namespace', /--labels must be names of labels with 'job' among them/],
    ['--labels=name-space,job', /--labels must be names of labels/],
    ['--runbook-url=docs/runbook.md', /--runbook-url must be an address that begins with http/],
    ['--runbook-url=javascript:alert(1)', /--runbook-url must be an address/],
    ['--grafana-url=https://admin:bone@grafana.example.com', /--grafana-url must be an address .+ without a name or a password in it$/m],
    ['--objective=99', /Unknown option '--objective'/]
  ]
  for (const [flag, says] of cases) {
    const { status, stdout, stderr } = generate(`--out=${folder}/x`, flag)
    t.same({ status, stdout }, { status: 1, stdout: '' }, flag)
    t.match(stderr, says, flag)
    t.notMatch(stderr, /bone|\bat .+:\d+/, 'no password, no stack')
  }
  t.same(await readdir(folder), [])
  const taken = join(folder, 'file')
  await writeFile(taken, '')
  t.match(generate(`--out=${taken}/rules`), { status: 1, stderr: /ENOTDIR/ })
})
