import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { Counter, Registry } from 'prom-client'
import t from 'tap'
import { parse } from 'yaml'
import { instrumentPool } from '../../adapters/pg.js'
import { catalogue, type Definition } from '../../src/index.js'
import { MAX_LABEL_VALUES } from '../../src/http/user-labels.js'
import { everyBlockIsTaken, guide } from '../support/guide.js'
import { findHelm, only } from '../support/helm.js'
import { service } from '../support/http.js'
import { unpackPackage } from '../support/package-folder.js'
import { Page } from '../support/page.js'
import { flat, rules } from '../support/rules.js'
import { startService } from '../support/service.js'
import { twentyRoutes } from '../support/twenty-routes.js'

/*
 * The code of these guides runs in a project that has the package. What they work out is so, and what they say of the dog-walking service is what it does.
 */
const root = fileURLToPath(new URL('../..', import.meta.url))
const OPENMETRICS = { accept: 'application/openmetrics-text; version=1.0.0' }
const seriesPage = guide('labels-and-buckets')
const walking = await startService(t)
const folder = await unpackPackage(t)

t.test('labels: the code, the overflow, the hundred values', async (t) => {
  const page = guide('labels-and-buckets')
  const code = page.code('js', 'barks_total')
  const printed = await folder.node('labels.mjs', `${code}
for (let i = 0; i < 150; i++) await fastify.inject({ url: '/walks', headers: { 'x-tenant': 'tenant-' + i } })
await fastify.inject('/health')
console.log(await fastify.metrics.render())
await fastify.close()
process.exit()
`)
  for (const line of page.code('text', 'barks_total').trim().split('\n')) t.ok(printed.split('\n').includes(line), line)
  const metrics = new Page(printed)
  t.equal(metrics.values('http_request_duration_seconds_count', 'tenant').length, MAX_LABEL_VALUES + 1)
  t.equal(MAX_LABEL_VALUES, 100)
  t.equal(metrics.sum('http_request_duration_seconds_count', { tenant: '_OTHER' }), 50)
  t.same(metrics.of('http_request_duration_seconds_count', { route: '/health' }), [])

  for (const [mark, there, left] of [['0.3, 0.5', 'le="0.3"', 'le="0.25"']] as const) {
    const text = await folder.node('buckets.mjs', `import Fastify from 'fastify'\nimport { metricsPlugin } from 'fastify-prometheus'\nconst fastify = Fastify()\n${page.code('js', mark)}
fastify.get('/', async () => 'ok')\nawait fastify.inject('/')\nconsole.log(await fastify.metrics.render())\nprocess.exit()`)
    t.match(text, there, mark)
    t.notMatch(text, left, mark)
  }
})

t.test('series: the formula, and the numbers that were worked out', async (t) => {
  const S = 2
  const worked = seriesPage.number(/in Prometheus .*= +([\d,]+) series/)
  const sized = await twentyRoutes(t)
  await sized.ask()
  t.equal(seriesPage.number(/text page .*= +([\d,]+) lines/), await sized.lines())
  t.equal(20 * (50 + 17 * S), await sized.lines())
  t.equal(worked, await sized.lines(OPENMETRICS))
  const dated = await twentyRoutes(t, { endpoint: { created: true } })
  await dated.ask()
  t.equal(seriesPage.number(/with `_created` .*= +([\d,]+) series/), await dated.lines(OPENMETRICS))
  t.equal(20 * (50 + 17 * S + 6 + S), await dated.lines(OPENMETRICS))
  t.equal(seriesPage.number(/in ten pods +([\d,]+) series/), 10 * worked)

  const tenants = await twentyRoutes(t, { labels: { tenant: ({ headers }) => headers['x-tenant'] as string } })
  for (let i = 0; i < 20; i++) await tenants.ask({ 'x-tenant': String(i) })
  t.equal(await tenants.lines(OPENMETRICS) - worked, seriesPage.number(/a tenant label .*= ([\d,]+) more/))

  const rows = seriesPage.table('metric', 'lines for each route', '`_created`, where it is on')
  const bounds = (name: string) => ((catalogue as Record<string, Definition>)[name]?.buckets?.length ?? 0)
  for (const [cell = '', lines = '', created] of rows) {
    const name = cell.replaceAll('`', '')
    const { type } = (catalogue as Record<string, Definition>)[name] ?? {}
    if (type === undefined) continue
    const expected = type === 'histogram' ? bounds(name) + 3 : 1
    t.ok(new RegExp(`(^|: )${expected}( × S)?$`).test(lines), `${name}: ${lines}`)
    t.equal(created, type.endsWith('gauge') ? '0' : name === 'http_request_duration_seconds' ? 'S' : '1', name)
  }
  t.equal(rows.length, 10)

  const { page, url } = await service(t)
  await fetch(`${url}/nowhere`)
  t.equal((await page()).samples.filter(({ name }) => name.startsWith('http_')).length, 33 + 17, 'unmatched')
  t.equal(seriesPage.number(/no handler: (\d+) \+ 17 S/), 33)

  const registry = new Registry()
  const pool = new pg.Pool(walking.postgres.config)
  t.teardown(() => pool.end())
  instrumentPool(pool, { registry })
  await pool.query('SELECT 1')
  const lines = (await registry.metrics()).split('\n').filter((line) => line.startsWith('db_')).length
  t.equal(lines, seriesPage.number(/has (\d+) lines and 13 for each operation/) + 13)
})

t.test('business: the code of the page, and its tests', async (t) => {
  const page = guide('business-metrics')
  await writeFile(folder.join('walks.js'), page.code('js', 'export async function book'))
  await writeFile(folder.join('walks.test.js'), page.code('js', 'node:test'))
  const said = await folder.output(process.execPath, ['--test', '--test-reporter=tap', 'walks.test.js']).catch(({ stdout }: { stdout: string }) => stdout)
  t.match(said, /^# pass 3$/m, said)
  t.match(said, /^# fail 0$/m)
  const excerpt = page.code('ts', 'walksCompleted.inc()')
  t.ok(readFileSync(join(root, 'examples/dog-walking/app.ts'), 'utf8').includes(excerpt), 'the excerpt stands in app.ts')
  t.equal(flat(page.code('promql', '== 0')), flat(rules.find(({ alert }) => alert === 'NoWalkStarted')?.expr ?? ''), 'the alert is as it stands in the rules')
  const openmetrics = await (await fetch(`${walking.url}/metrics`, { headers: OPENMETRICS })).text()
  t.match(openmetrics, '# TYPE walks_started unknown\n')
  t.notMatch(openmetrics, 'walks_started_created')
  const plain = new Registry<typeof Registry.OPENMETRICS_CONTENT_TYPE>()
  plain.setContentType(Registry.OPENMETRICS_CONTENT_TYPE)
  new Counter({ name: 'walks_started', help: 'x', registers: [plain] }).inc()
  t.match(await plain.metrics(), 'walks_started_total 1', 'prom-client renames it')
})

t.test('kubernetes: what it says of the chart', async (t) => {
  const page = guide('kubernetes')
  const chart = join(root, 'examples/kubernetes/dog-walking')
  const values = parse(readFileSync(join(chart, 'values.yaml'), 'utf8')) as object
  const settings = page.inline.flatMap((code) => /^((?:metrics|autoscaling|database|nginx)(?:\.\w+)+)(?:=.*)?$/.exec(code)?.[1] ?? [])
  t.ok(settings.length >= 2)
  for (const setting of settings) {
    const found = setting.split('.').reduce<unknown>((value, key) => (value as Record<string, unknown> | undefined)?.[key], values)
    t.not(found, undefined, setting)
  }
  const deployment = readFileSync(join(chart, 'templates/deployment.yaml'), 'utf8')
  for (const [said, there] of [['5 s (nginx)', 'sleep: { seconds: 5 }'], ['10 s (app)', 'sleep: { seconds: 10 }'], ['allows 30 s', 'terminationGracePeriodSeconds: 30'], ['127.0.0.1:3000', 'value: "3000"'], ['port 8080', 'containerPort: 8080'], ['`--migrate`', 'args: [--migrate']] as const) {
    t.match(page.text, said)
    t.match(deployment, there)
  }
  t.match(readFileSync(join(root, 'examples/dog-walking/database.ts'), 'utf8'), 'pg_advisory_lock')
  const lonely = await walking.metrics()
  await walking.visitor.open('/healthz')
  const later = await walking.metrics()
  t.equal(later.sum('http_requests_received_total'), lonely.sum('http_requests_received_total'), 'neither /healthz nor /metrics is counted')
  const helm = await findHelm(t)
  if (helm === undefined) return
  const objects = helm.render('--set', 'metrics.auth.password=x,metrics.serviceMonitor.enabled=true,database.url=postgres://dogs@postgres:5432/dogs')
  const job = only(objects, 'Service').metadata.labels?.[only(objects, 'ServiceMonitor')['spec'].jobLabel]
  t.match(page.text, `\`job\` is \`${job}\``)
  const { scrape_configs: jobs } = parse(readFileSync(join(chart, '../prometheus-scrape.yml'), 'utf8')) as { scrape_configs: Array<{ job_name: string }> }
  t.same(jobs.map(({ job_name: name }) => name), [job])
})

t.test('every block of code was run', (t) => {
  everyBlockIsTaken(t, ['labels-and-buckets', 'business-metrics', 'kubernetes'])
  t.end()
})
