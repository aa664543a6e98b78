import { execFile, spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { cp, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import Fastify from 'fastify'
import pg from 'pg'
import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client'
import t, { type Test } from 'tap'
import { parse } from 'yaml'
import { instrumentPool } from '../../adapters/pg.js'
import { catalogue, Histogram, metricsPlugin, type Definition, type MetricsPluginOptions } from '../../src/index.js'
import { MAX_LABEL_VALUES } from '../../src/http/user-labels.js'
import { conditions } from '../../src/sqlstate.js'
import { findHelm, only } from '../support/helm.js'
import { service } from '../support/http.js'
import { Page } from '../support/page.js'
import { freePort } from '../support/postgres.js'
import { startProgram } from '../support/program.js'
import { startPrometheus, type Prometheus } from '../support/prometheus.js'
import { operandsOf } from '../support/promql.js'
import { promtool } from '../support/promtool.js'
import { startService } from '../support/service.js'

/*
 * The guides in docs/ are true: their code is pasted from the page into an empty project that has the packed tarball, their queries are put to a Prometheus
 * that scrapes what the pages are about, and what they name is there.
 */
const run = promisify(execFile)
const root = fileURLToPath(new URL('../..', import.meta.url))
const rulesFolder = join(root, 'examples/prometheus')
const OPENMETRICS = { accept: 'application/openmetrics-text; version=1.0.0' }

/** A page in Markdown. */
class Guide {
  readonly text: string
  /** Its fenced blocks, in their order. */
  readonly blocks: ReadonlyArray<{ language: string, code: string }>
  /** Those that a test has taken. */
  readonly #taken = new Set<string>()

  constructor (readonly file: string) {
    this.text = readFileSync(file, 'utf8')
    this.blocks = [...this.text.matchAll(/^```(\w*)\n([^]*?)^```$/gm)].map(([, language = '', code = '']) => ({ language, code }))
  }

  /** The one block of a language that holds a mark. */
  code (language: string, mark: string): string {
    const found = this.blocks.filter((block) => block.language === language && block.code.includes(mark))
    if (found.length !== 1) throw new Error(`${basename(this.file)} has ${found.length} blocks of ${language} with '${mark}'`)
    const { code } = found[0] as { code: string }
    this.#taken.add(code)
    return code
  }

  /** The blocks of some languages that no test has taken. */
  untaken (...languages: string[]): string[] {
    return this.blocks.filter(({ language, code }) => languages.includes(language) && !this.#taken.has(code)).map(({ code }) => code)
  }

  of (language: string): string[] {
    return this.blocks.filter((block) => block.language === language).map(({ code }) => code.trim())
  }

  /** What stands outside blocks. */
  get prose (): string {
    return this.text.replace(/^```[^]*?^```$/gm, '').replace(/^ {4}.*$/gm, '')
  }

  /** Code within the prose. */
  get inline (): string[] {
    return [...this.prose.matchAll(/`([^`\n]+)`/g)].map(([, code = '']) => code)
  }

  /** The cells of the rows of the table with that head. */
  table (...head: string[]): string[][] {
    const lines = this.text.split('\n')
    const start = lines.findIndex((line) => line === `|${head.map((cell) => cell === '' ? ' |' : ` ${cell} |`).join('')}`)
    if (start < 0) throw new Error(`${basename(this.file)} has no table with ${head.join(', ')}`)
    const rows = []
    for (const line of lines.slice(start + 2)) {
      if (!line.startsWith('|')) break
      rows.push(line.split('|').slice(1, -1).map((cell) => cell.trim()))
    }
    return rows
  }

  /** The anchors that GitHub makes of its headings. */
  get anchors (): string[] {
    const seen = new Map<string, number>()
    return [...this.text.replace(/^```[^]*?^```$/gm, '').matchAll(/^#{1,6} +(.+)$/gm)].map(([, heading = '']) => {
      const slug = heading.replace(/`|\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase().replace(/[^\p{L}\p{N}_ -]/gu, '').replaceAll(' ', '-')
      const count = seen.get(slug) ?? 0
      seen.set(slug, count + 1)
      return count === 0 ? slug : `${slug}-${count}`
    })
  }
}

const guides = Object.fromEntries(readdirSync(join(root, 'docs')).filter((file) => file.endsWith('.md')).map((file) => [file, new Guide(join(root, 'docs', file))]))

function guide (name: string): Guide {
  const found = guides[`${name}.md`]
  if (found === undefined) throw new Error(`there is no docs/${name}.md`)
  return found
}

/** An empty project of somebody who reads the page. */
const parent = await mkdtemp(join(tmpdir(), 'fastify-prometheus-docs-'))
t.teardown(() => rm(parent, { recursive: true, force: true }))
const folder = join(parent, 'walks')
const env: NodeJS.ProcessEnv = { ...process.env, NODE_OPTIONS: '' }
delete env['NODE_TEST_CONTEXT']

/** Starts the service, which compiles the package as well. */
const walking = await startService(t)

interface Packed { filename: string, files: Array<{ path: string }> }
const [packed] = JSON.parse(await output('npm', ['pack', '--json', '--ignore-scripts', '--loglevel=error', '--pack-destination', parent], root)) as [Packed]
await mkdir(folder)
await shell(guide('getting-started').code('sh', 'npm init').replace(/^npm install.*$/m, 'mkdir node_modules'))
await run('tar', ['-xzf', join(parent, packed.filename)], { cwd: folder })
for (const name of await readdir(join(root, 'node_modules'))) if (!name.startsWith('.')) await symlink(join(root, 'node_modules', name), join(folder, 'node_modules', name))
// What the test of its files says is missing does not hide what else is wrong.
if (!existsSync(join(folder, 'package/examples'))) {
  for (const part of ['prometheus', 'grafana/dashboards']) await cp(join(root, 'examples', part), join(folder, 'package/examples', part), { recursive: true })
}
await symlink(join(folder, 'package'), join(folder, 'node_modules/fastify-prometheus'))

async function output (program: string, args: string[], cwd = folder, more: Record<string, string> = {}): Promise<string> {
  return (await run(program, args, { cwd, env: { ...env, ...more } })).stdout
}

function shell (script: string): Promise<string> {
  return output('sh', ['-ec', script])
}

/** Runs code of a page as a module, with what the test adds to see what came of it. */
async function node (file: string, code: string, more: Record<string, string> = {}): Promise<string> {
  await writeFile(join(folder, file), code)
  return output(process.execPath, [file], folder, more)
}

/** Starts a service of a page, and says where it listens. */
async function start (t: Test, file: string, code: string, more: Record<string, string> = {}): Promise<string> {
  await writeFile(join(folder, file), code)
  const port = await freePort()
  const child = await startProgram(t, process.execPath, [file], 'Node', { cwd: folder, env: { ...env, ...more, PORT: String(port) }, stdio: ['ignore', 'pipe', 'pipe'] })
  const said: string[] = []
  child?.stderr?.on('data', (text) => said.push(String(text)))
  for await (const line of createInterface(child?.stdout as NodeJS.ReadableStream)) {
    said.push(line)
    if (line.includes('Server listening at')) {
      child?.stdout?.resume()
      return `http://127.0.0.1:${port}`
    }
  }
  throw new Error(`${file} did not listen:\n${said.join('\n')}`)
}

async function pageOf (url: string): Promise<Page> {
  return new Page(await (await fetch(`${url}/metrics`)).text())
}

/** Code that asks an application what was asked of both, prints a page of metrics, and closes it. */
const ASK = (...pages: string[]) => `
import { connect } from 'node:net'
import { once } from 'node:events'
const url = await fastify.listen({ port: 0, host: '127.0.0.1' })
const ask = async (path, options) => (await fetch(url + path, options)).text()
await ask('/walks/7')
await ask('/walks/8')
await ask('/walks/7', { method: 'HEAD' })
await ask('/nowhere')
await fastify.asked?.(ask)
const socket = connect(new URL(url).port, '127.0.0.1')
socket.write('GET /slow HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n')
await once(fastify.server, 'slow')
socket.destroy()
await once(fastify.server, 'left')
for (const page of ${JSON.stringify(pages)}) {
  await ask(page)
  console.log('#page ' + page + '\\n' + await ask(page))
}
await fastify.close()
process.exit()
`
/** The routes it asks for that the page has not. */
const ROUTES = (app: string) => `
  ${app}.get('/slow', async (request, reply) => {
    fastify.server.emit('slow')
    await new Promise((resolve) => reply.raw.once('close', resolve))
    setImmediate(() => fastify.server.emit('left'))
    return 'late'
  })`

function pagesIn (printed: string): Page[] {
  return printed.split(/^#page .*\n/m).slice(1).map((text) => new Page(text))
}

/* What runs all the time: a root test ends when it has nothing to do, so this comes before them. */

const started = guide('getting-started')
const serviceCode = started.code('js', 'walks_booked_total')
const poolCode = started.code('js', 'instrumentPool')
const { host, port, user, password, database } = walking.postgres.config
const PG = { PGHOST: host, PGPORT: String(port), PGUSER: user, PGPASSWORD: password, PGDATABASE: database }
/** The page's service with its pool, in a process of its own. */
const walksUrl = await start(t, 'service-with-pool.js', serviceCode.replace(/^await fastify\.listen.*$/m, (line) => `${poolCode}\n${line}`), PG)

const seriesPage = guide('labels-and-buckets')
const worked = numberIn(seriesPage, /in Prometheus .*= +([\d,]+) series/)
/** The service of twenty routes that is worked out there. */
const sized = await twenty(t)
await sized.ask()

/* What stands in the pages. */

t.test('every relative link leads somewhere', async (t) => {
  const readmes = [join(root, 'README.md'), ...(await readdir(join(root, 'examples'), { recursive: true })).filter((file) => basename(file) === 'README.md').map((file) => join(root, 'examples', file))]
  let links = 0
  for (const file of [...Object.values(guides).map(({ file }) => file), ...readmes]) {
    for (const [, target = ''] of new Guide(file).prose.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue
      links++
      const [path = '', anchor] = target.split('#')
      const there = path === '' ? file : resolve(dirname(file), path)
      const what = `${relative(root, file)}: ${target}`
      if (!existsSync(there)) t.fail(`${what} is not there`)
      else if (anchor !== undefined) t.ok(statSync(there).isFile() && new Guide(there).anchors.includes(anchor), `${what} has that heading`)
    }
  }
  t.ok(links > 50, `${links} links`)
  t.same(Object.keys(guides).filter((name) => name !== 'README.md' && !guide('README').text.includes(`](${name})`)), [], 'the index has every page')
})

interface RuleFile { groups: Array<{ rules: Array<{ alert?: string, record?: string, expr: string, labels?: { severity?: string, window?: string }, annotations?: { runbook?: string, summary?: string } }> }> }
const ruleFiles = readdirSync(rulesFolder).filter((file) => /\.(rules|alerts)\.yml$/.test(file))
const rules = ruleFiles.flatMap((file) => (parse(readFileSync(join(rulesFolder, file), 'utf8')) as RuleFile).groups.flatMap(({ rules }) => rules))

t.test('every alert has its section in the runbook, which names it, and no section is of nothing', (t) => {
  const runbook = guide('runbook')
  const sections = runbook.text.split(/^## /m).slice(1)
  const wanted = new Set<string>()
  for (const { alert, annotations } of rules.filter(({ alert }) => alert !== undefined)) {
    const [file, anchor = ''] = annotations?.runbook?.split('#') ?? []
    wanted.add(anchor)
    t.equal(file, 'docs/runbook.md', String(alert))
    const section = sections[runbook.anchors.slice(1).indexOf(anchor)]
    if (section === undefined) t.fail(`the runbook has no heading for #${anchor}`)
    else t.ok(section.split('\n').slice(1).join('\n').includes(`${alert} (`) || section.includes(`${alert},`), `#${anchor} names ${alert}`)
  }
  t.same([...wanted].sort(), runbook.anchors.slice(1).sort())
  for (const section of sections) {
    const [title = ''] = section.split('\n', 1)
    t.match(section, /^\*\*After\.\*\* /m, title)
    t.match(section, /^\*\*False alarm\.\*\* /m, title)
    const queries = [...section.matchAll(/^```promql$/gm)].length
    t.ok(queries >= 2 && queries <= 4, `${title}: ${queries} queries`)
  }
  t.end()
})

t.test('the runbook has the thresholds of the alerts on budgets', (t) => {
  const sections = guide('runbook').text.split(/^## /m)
  let burns = 0
  for (const { alert, expr, labels, annotations } of rules) {
    const [, factor, budget] = /> ([\d.]+) \* ([\d.]+)$/m.exec(expr) ?? []
    if (factor === undefined || budget === undefined) continue
    burns++
    const title = annotations?.runbook?.endsWith('#http-errors') === true ? 'HTTP errors' : 'HTTP latency'
    const section = sections.find((section) => section.startsWith(title)) ?? ''
    const percent = Number((Number(factor) * Number(budget) * 100).toPrecision(6))
    const last = /budget of a month is gone in (.*)$/.exec(annotations?.summary ?? '')?.[1]
    t.ok(section.includes(`| ${labels?.window}, ${labels?.severity} | ${percent} % | ${last} |`), `${alert} ${labels?.window}: ${percent} %, ${last}`)
  }
  t.equal(burns, 8)
  t.end()
})

/** Names in the pages that are of somebody else. */
const FOREIGN = new Set([
  // fastify-metrics
  'http_request_summary_seconds', 'http_request_summary_seconds_count',
  // Prometheus and what it scrapes elsewhere
  'histogram_quantile', 'label_replace', 'scrape_classic_histograms', 'always_scrape_classic_histograms', 'job_name', 'container_cpu_cfs_throttled_seconds_total',
  // PostgreSQL and pg
  'pg_advisory_lock', 'pg_stat_activity', 'pg_blocking_pids', 'max_connections', 'statement_timeout', 'query_timeout',
  // django-prometheus
  'django_prometheus', 'prometheus_client',
  // npm, and what prom-client's OpenMetrics makes of a name
  'node_modules', 'walks_started_total'
])

t.test('every name in the pages is one there is', (t) => {
  const names = new Set<string>(FOREIGN)
  const add = (name: string, histogram = true) => { for (const suffix of histogram ? ['', '_bucket', '_sum', '_count'] : ['']) names.add(name + suffix) }
  for (const [name, { type, labels }] of Object.entries(catalogue) as Array<[string, Definition]>) {
    add(name, type === 'histogram')
    for (const label of labels) names.add(label)
  }
  const defaults = new Registry()
  collectDefaultMetrics({ register: defaults })
  for (const { name } of defaults.getMetricsAsArray()) add(name, name.startsWith('nodejs_gc'))
  const own = [readFileSync(join(root, 'examples/dog-walking/metrics.ts'), 'utf8'), ...Object.values(guides).flatMap((page) => [...page.of('js'), ...page.of('ts')])]
  for (const [, name = ''] of own.join('\n').matchAll(/name: '(\w+)'/g)) add(name)
  for (const name of conditions.values()) names.add(name)
  const django = readFileSync(join(root, 'test/ops/fixtures/django-prometheus-2.5.0.prom'), 'utf8')
  for (const [, name = ''] of django.matchAll(/^# TYPE (\S+)/gm)) add(name)
  for (const { record } of rules) for (const word of record?.split(':') ?? []) names.add(word)
  t.match(readFileSync(join(root, 'examples/kubernetes/prometheus-adapter.values.yaml'), 'utf8'), 'as: http_requests_per_second')
  names.add('http_requests_per_second')

  let checked = 0
  for (const [file, page] of Object.entries(guides)) {
    for (const code of page.inline) {
      for (const [word] of code.matchAll(/(?<![\w.-])[a-z][a-z0-9]*(?:_[a-z0-9]+)+(?![\w-])/g)) {
        checked++
        t.ok(names.has(word), `${file}: ${word}`)
      }
    }
  }
  t.ok(checked > 150, `${checked} names`)
  t.end()
})

t.test('every panel that the pages name is on its dashboard', (t) => {
  interface Panel { title?: string, panels?: Panel[] }
  const dashboards = join(root, 'examples/grafana/dashboards')
  const panels = new Map(readdirSync(dashboards).map((file) => {
    const { title, panels } = JSON.parse(readFileSync(join(dashboards, file), 'utf8')) as { title: string, panels: Panel[] }
    return [title, new Set(panels.flatMap((panel) => [panel, ...panel.panels ?? []]).map(({ title }) => title))]
  }))
  t.equal(panels.size, 5)
  let named = 0
  for (const [file, page] of Object.entries(guides)) {
    for (const [, dashboard = '', panel = ''] of page.prose.matchAll(/(?<!\*)\*([A-Z][\w ]+): ([^*\n]+)\*(?!\*)/g)) {
      if (dashboard === 'Status' || dashboard === 'Dashboard') continue
      named++
      t.ok(panels.get(dashboard)?.has(panel), `${file}: ${dashboard}: ${panel}`)
    }
  }
  t.ok(named > 15, `${named} panels`)
  t.end()
})

t.test('the package has what the pages take from it', (t) => {
  const files = packed.files.map(({ path }) => path)
  for (const folder of ['examples/prometheus', 'examples/grafana/dashboards', 'examples/grafana/provisioning', 'examples/kubernetes', 'docs']) {
    t.ok(files.some((path) => path.startsWith(`${folder}/`)), `${folder} is among the "files" of package.json`)
  }
  t.end()
})

/* What the pages do. */

t.test('getting started: the service answers, and has the metrics that the page shows', async (t) => {
  t.ok(serviceCode.split('\n').length <= 25, 'it is short')
  t.same([started.code('sh', 'node service.js'), started.code('sh', 'install pg')], ['node service.js\n', 'npm install pg\n'])
  const url = await start(t, 'service.js', serviceCode)
  await shell(started.code('sh', 'curl').replaceAll('http://localhost:3000', url))
  const { text } = await pageOf(url)
  for (const line of started.code('text', 'walks_booked_total 1').trim().split('\n')) t.ok(text.split('\n').includes(line), line)
  t.notMatch(text, /route="\/metrics"/, 'scrapes are not counted')
  t.match(text, /^nodejs_/m)
  t.match(text, /^process_/m)
})

t.test('getting started: with a pool, the page has its connections and queries', async (t) => {
  await fetch(`${walksUrl}/time`)
  const { text } = await pageOf(walksUrl)
  for (const line of started.code('text', 'db_connections').trim().split('\n')) t.ok(text.split('\n').includes(line), line)
})

t.test('getting started: prometheus.yml, the rules from the package, and the files of Grafana', async (t) => {
  await shell(started.code('sh', 'cp node_modules/fastify-prometheus/examples/prometheus'))
  await writeFile(join(folder, 'prometheus.yml'), started.code('yaml', 'scrape_configs'))
  if (promtool(t, ['--version']) === undefined) return
  const check = started.code('sh', 'promtool').trim()
  const { status, stdout, stderr } = spawnSync('sh', ['-c', check], { cwd: folder, encoding: 'utf8' })
  t.equal(status, 0, stderr)
  t.match(stdout, /2 rule files found[^]*SUCCESS/)
  const alerts = readFileSync(join(folder, 'rules/fastify-prometheus.alerts.yml'), 'utf8')
  t.notMatch(alerts, 'dog-walking', 'the job is the one of prometheus.yml')
  t.equal([...alerts.matchAll(/^ +expr: .*job="walks"/gm)].length, 2)

  await shell(started.code('sh', 'grafana/dashboards'))
  t.equal((await readdir(join(folder, 'grafana/dashboards'))).length, 5)
  const provisioning = join(root, 'examples/grafana/provisioning')
  interface Provisioning { apiVersion: number, datasources?: object[], providers?: object[] }
  for (const [mark, file] of [['datasources', 'datasources/prometheus.yml'], ['providers', 'dashboards/fastify-prometheus.yml']] as const) {
    const [said, example] = [parse(started.code('yaml', mark)), parse(readFileSync(join(provisioning, file), 'utf8'))] as Provisioning[]
    const keys = (of: Provisioning | undefined) => Object.keys((of?.[mark] ?? [])[0] ?? {})
    t.equal(said?.apiVersion, example?.apiVersion)
    t.same(keys(said).filter((key) => !keys(example).includes(key)), [], `${mark}: no key that the example has not`)
  }
})

t.test('labels: the code, the overflow, the hundred values', async (t) => {
  const page = guide('labels-and-buckets')
  const code = page.code('js', 'barks_total')
  const printed = await node('labels.mjs', `${code}
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

  for (const [mark, there, left] of [['0.3, 0.5', 'le="0.3"', 'le="0.25"'], ['nativeHistograms: true', 'le="0.25"', 'le="0.3"']] as const) {
    const text = await node('buckets.mjs', `import Fastify from 'fastify'\nimport { metricsPlugin } from 'fastify-prometheus'\nconst fastify = Fastify()\n${page.code('js', mark)}
fastify.get('/', async () => 'ok')\nawait fastify.inject('/')\nconsole.log(await fastify.metrics.render())\nprocess.exit()`)
    t.match(text, there, mark)
    t.notMatch(text, left, mark)
  }
})

/** An application of twenty routes that answer 200 and 404. */
async function twenty (t: Test, options: MetricsPluginOptions = {}): Promise<{ url: string, lines: (accept?: Record<string, string>) => Promise<number>, ask: (headers?: Record<string, string>) => Promise<void> }> {
  const { app, url } = await service(t, {
    options,
    routes: (app) => { for (let i = 0; i < 20; i++) app.get<{ Params: { found: string } }>(`/${i}/:found`, async ({ params }, reply) => reply.code(params.found === 'no' ? 404 : 200).send()) }
  })
  return {
    url,
    ask: async (headers = {}) => { for (let i = 0; i < 20; i++) for (const found of ['yes', 'no']) await app.inject({ url: `/${i}/${found}`, headers }) },
    lines: async (headers = {}) => (await app.inject({ url: '/metrics', headers })).body.split('\n').filter((line) => line.startsWith('http_')).length
  }
}

/** A query in one line. */
function flat (query: string): string {
  return query.replace(/\s+/g, ' ').trim()
}

/** A number as a page writes it: 1,780. */
function numberIn (page: Guide, pattern: RegExp): number {
  const match = pattern.exec(page.text)
  if (match === null) throw new Error(`${basename(page.file)} says nothing like ${pattern}`)
  return Number(match[1]?.replaceAll(',', ''))
}

t.test('series: the formula, and the numbers that were worked out', async (t) => {
  const S = 2
  t.equal(numberIn(seriesPage, /text page .*= +([\d,]+) lines/), await sized.lines())
  t.equal(20 * (48 + 17 * S), await sized.lines())
  t.equal(worked, await sized.lines(OPENMETRICS))
  t.equal(20 * (48 + 17 * S + 5 + S), worked)
  t.equal(numberIn(seriesPage, /in ten pods +([\d,]+) series/), 10 * worked)

  const tenants = await twenty(t, { labels: { tenant: ({ headers }) => headers['x-tenant'] as string } })
  for (let i = 0; i < 20; i++) await tenants.ask({ 'x-tenant': String(i) })
  t.equal(await tenants.lines(OPENMETRICS) - worked, numberIn(seriesPage, /a tenant label .*= ([\d,]+) more/))

  const rows = seriesPage.table('metric', 'lines for each route', 'and `_created`')
  const bounds = (name: string) => ((catalogue as Record<string, Definition>)[name]?.buckets?.length ?? 0)
  for (const [cell = '', lines = '', created] of rows) {
    const name = cell.replaceAll('`', '')
    const { type } = (catalogue as Record<string, Definition>)[name] ?? {}
    if (type === undefined) continue
    const expected = type === 'histogram' ? bounds(name) + 3 : 1
    t.ok(new RegExp(`(^|: )${expected}( × S)?$`).test(lines), `${name}: ${lines}`)
    t.equal(created, type.endsWith('gauge') ? '0' : name === 'http_request_duration_seconds' ? 'S' : '1', name)
  }
  t.equal(rows.length, 8)

  const { page, url } = await service(t)
  await fetch(`${url}/nowhere`)
  t.equal((await page()).samples.filter(({ name }) => name.startsWith('http_')).length, 31 + 17, 'unmatched')
  t.equal(numberIn(seriesPage, /no handler: (\d+) \+ 17 S/), 31)

  const registry = new Registry()
  const pool = new pg.Pool(walking.postgres.config)
  t.teardown(() => pool.end())
  instrumentPool(pool, { registry })
  await pool.query('SELECT 1')
  const lines = (await registry.metrics()).split('\n').filter((line) => line.startsWith('db_')).length
  t.equal(lines, numberIn(seriesPage, /has (\d+) lines and 13 for each operation/) + 13)
})

t.test('series: with created: false there are no _created', async (t) => {
  const plain = await twenty(t, { endpoint: { created: false } })
  await plain.ask()
  t.equal(await plain.lines(OPENMETRICS), await plain.lines())
})

t.test('business: the code of the page, and its tests', async (t) => {
  const page = guide('business-metrics')
  await writeFile(join(folder, 'walks.js'), page.code('js', 'export async function book'))
  await writeFile(join(folder, 'walks.test.js'), page.code('js', 'node:test'))
  const said = await output(process.execPath, ['--test', '--test-reporter=tap', 'walks.test.js']).catch(({ stdout }: { stdout: string }) => stdout)
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

t.test('migrating: both in one application count what the table says', async (t) => {
  const page = guide('migrating')
  const code = page.code('js', "name: 'oldMetrics'")
  const routes = `
fastify.get('/early', async () => 'x')
fastify.register(async (routes) => {${ROUTES('routes')}
  routes.options('/walks/:id', async () => 'x')
  routes.post('/walks', async () => 'x')
})
fastify.decorate('asked', async (ask) => {
  await ask('/early')
  await ask('/walks/7', { method: 'OPTIONS' })
  await ask('/walks', { method: 'POST', body: '{', headers: { 'content-type': 'application/json' } })
})`
  const [ours, old] = pagesIn(await node('both.mjs', `${code}${routes}${ASK('/metrics', '/old-metrics')}`)) as [Page, Page]
  const has = (page: Page, labels: Record<string, string>) => page.sum('http_request_duration_seconds_count', labels) > 0
  const asked: Record<string, Record<string, string>> = {
    'to a route registered after the plugin': { method: 'GET', route: '/walks/:id', status_code: '200' },
    'to a route registered before it': { route: '/early' },
    'HEAD, OPTIONS': { method: 'HEAD' },
    'that no route matched': { status_code: '404' },
    'whose client left first': { route: '/slow' },
    'to the metrics page': {},
    'with a malformed JSON body': { method: 'POST', status_code: '400' }
  }
  const rows = page.table('a request', 'fastify-metrics 14', 'here')
  t.same(rows.map(([request = '']) => Object.keys(asked).find((name) => request.startsWith(name))), Object.keys(asked))
  for (const [i, [name = '', labels]] of Object.entries(Object.entries(asked)) as unknown as Array<[number, [string, Record<string, string>]]>) {
    const [, theirs = '', here = ''] = rows[i] ?? []
    const own = name === 'to the metrics page'
    t.equal(has(old, own ? { route: '/old-metrics' } : labels), theirs.startsWith('yes'), `${name}, fastify-metrics: ${theirs}`)
    t.equal(has(ours, own ? { route: '/metrics' } : labels), here.startsWith('yes'), `${name}, here: ${here}`)
  }
  t.equal(ours.sum('http_request_duration_seconds_count', { route: '/slow', status_code: '499' }), 1)
  t.ok(has(ours, { method: 'OPTIONS' }) && !has(old, { method: 'OPTIONS' }))

  const labels = { method: 'GET', route: '/walks/:id', status_code: '200' }
  t.equal(ours.sum('http_request_duration_seconds_count', labels), old.sum('http_request_duration_seconds_count', labels))
  t.same(Object.keys(ours.of('http_request_duration_seconds_count', labels)[0]?.labels ?? {}).sort(), Object.keys(old.of('http_request_duration_seconds_count', labels)[0]?.labels ?? {}).sort())
  t.equal(old.sum('http_request_summary_seconds_count', labels), 2)
  t.ok(old.of('http_request_summary_seconds', { quantile: '0.99' }).length > 0)
  const bounds = (page: Page) => page.values('http_request_duration_seconds_bucket', 'le')
  t.same(bounds(ours).map(Number).filter((le) => !bounds(old).map(Number).includes(le)).sort(), [0.075, 0.75, 7.5])
  t.same(bounds(old).map(Number).filter((le) => !bounds(ours).map(Number).includes(le)), [])
  t.ok(bounds(ours).includes('1.0') && bounds(old).includes('1'))
  const runtime = (page: Page) => [...page.text.matchAll(/^# TYPE ((?:process|nodejs)_\w+)/gm)].map(([, name]) => name).sort()
  t.same(runtime(ours), runtime(old), 'the same default metrics')

  const types = readFileSync(join(root, 'node_modules/fastify-metrics/dist/types.d.ts'), 'utf8')
  const words = page.table('fastify-metrics 14', 'here').flatMap(([theirs = '']) => [...theirs.matchAll(/\b[a-z]+[A-Z]\w*/g)].map(([word]) => word))
  t.ok(words.length > 15, `${words.length} options`)
  for (const word of words) t.match(types, new RegExp(`\\b${word}\\b`), `fastify-metrics has ${word}`)
})

t.test('migrating: the options it names are taken, and one registry for both is refused', async (t) => {
  const { register } = await import('@prometheus-io/client')
  const made = guide('migrating').code('js', '@prometheus-io/client')
  const printed = await node('registry.mjs', `${made}\nconst { Counter } = await import('@prometheus-io/client')\nnew Counter({ name: 'theirs_total', help: 'x' }).inc()
await fastify.ready()\nconsole.log((await fastify.inject('/metrics')).body)\nprocess.exit()`)
  t.match(printed, 'theirs_total 1')
  t.ok(register !== undefined)
  const app = Fastify()
  app.register(metricsPlugin, { registry: new Registry(), endpoint: false, runtime: false, excludeRoutes: ['__unmatched__'], labels: { a: () => 'b' }, buckets: { duration: [1] }, prefix: 'x_', metrics: { http_exceptions_total: false } })
  app.get('/a', { config: { metrics: { route: 'x' } } }, async () => 'a')
  app.get('/b', { config: { metrics: false } }, async () => 'b')
  for (const url of ['/a', '/b', '/c']) await app.inject(url)
  const page = new Page(await app.metrics.render())
  t.same(page.values('x_http_request_duration_seconds_count', 'route'), ['x'])
  await app.close()
  const taken = new Registry()
  new Gauge({ name: 'http_request_duration_seconds', help: 'x', registers: [taken] }).set(1)
  await t.rejects(async () => { await Fastify().register(metricsPlugin, { registry: taken }) }, { code: 'FP_ERR_METRIC_CONFLICT' })
})

t.test('migrating: code of their own before and after', async (t) => {
  const page = guide('migrating')
  const slow = `\nfastify.after(() => {${ROUTES('fastify')}\n})\n`
  const [before] = pagesIn(await node('before.mjs', `${page.code('js', 'request.stopTimer')}${slow}${ASK('/metrics')}`)) as [Page]
  const [after] = pagesIn(await node('after.mjs', `${page.code('js', "import { Counter } from 'prom-client'\n\nconst walks =")}${slow}${ASK('/metrics')}`)) as [Page]
  const count = (page: Page, labels: Record<string, string>) => page.sum('http_request_duration_seconds_count', labels)
  for (const labels of [{ route: '/walks/:id', method: 'GET', status_code: '200' }, { route: '/walks/:id', method: 'HEAD' }, { status_code: '404' }]) t.equal(count(after, labels), count(before, labels), JSON.stringify(labels))
  t.equal(count(before, { route: '/walks/:id', method: 'GET' }), 2)
  t.equal(count(before, { route: '/slow' }), 0, 'an onResponse hook does not run for a client that left')
  t.equal(count(after, { route: '/slow', status_code: '499' }), 1)
  t.equal(after.sum('walks_started'), before.sum('walks_started'))
  t.ok(before.values('http_request_duration_seconds_bucket', 'le').includes('1') && after.values('http_request_duration_seconds_bucket', 'le').includes('1.0'))
  t.ok(after.of('nodejs_eventloop_lag_p99_seconds').length === 1 && before.of('nodejs_eventloop_lag_p99_seconds').length === 1)
})

t.test('django-prometheus: every family once, and what can be derived is what the rules record', async (t) => {
  const page = guide('django-prometheus')
  const fixture = readFileSync(join(root, 'test/ops/fixtures/django-prometheus-2.5.0.prom'), 'utf8')
  const families = [...fixture.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name as string).sort()
  const rows = page.table('django-prometheus', 'here', 'differences')
  const named = rows.map(([name = '']) => name.replaceAll('`', ''))
  t.same([...named].sort(), families)
  const recorded = new Set(rules.flatMap(({ record }) => record?.startsWith('django_') ? [record.replace(/_(bucket|sum|count)$/, '')] : []))
  t.same([...recorded].filter((name) => !named.includes(name)), [], 'the table has every name that the rules record')
  const header = readFileSync(join(rulesFolder, 'django-compat.rules.yml'), 'utf8').split('groups:')[0] ?? ''
  const missing = [...header.slice(header.indexOf('Not here')).matchAll(/^# {3}(django_[\w, ]+)/gm)].flatMap(([, names = '']) => names.match(/django_\w+/g) ?? [])
  t.equal(missing.length, 5)
  for (const [name = '', here] of rows) {
    const plain = name.replaceAll('`', '')
    const derivable = recorded.has(plain)
    t.equal(missing.includes(plain), !derivable, `${plain} is recorded, or named in the header as not derivable`)
    if (here === 'none') t.ok(!derivable || plain.includes('unknown_latency'), plain)
    else t.ok(derivable, plain)
  }
  await shell(page.code('sh', 'django-compat'))
  await writeFile(join(folder, 'django.yml'), page.code('yaml', 'django-compat'))
  t.equal(promtool(t, ['check', 'config', join(folder, 'django.yml')])?.status, 0)

  const port = await freePort()
  const code = page.code('js', "prefix: 'shop_'").replace('8001', String(port)).replace('8049', '65535')
  const printed = await node('django.mjs', `${code.replace('await fastify.ready()', "fastify.get('/', async (request, reply) => reply.type('text/html; charset=utf-8').send('x'))\nawait fastify.ready()")}
await fastify.inject({ url: '/', headers: { 'x-requested-with': 'XMLHttpRequest' } })
console.log(await (await fetch(fastify.metrics.server.url)).text())
await fastify.close()
process.exit()
`)
  t.match(printed, /^http:\/\/127\.0\.0\.1:\d+\/metrics$/m)
  for (const series of ['shop_http_requests_ajax_total{method="GET",route="/"} 1', 'shop_http_responses_charset_total{charset="utf-8"} 1', 'le="75.0"', 'shop_process_cpu_seconds_total']) t.match(printed, series)
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

/* What the pages ask of Prometheus. */

/** Queries that give nothing here, and why. */
const EMPTY: Readonly<Record<string, string>> = {
  prometheus_sd_discovered_targets: 'this Prometheus does not scrape itself'
}

/** An application with what goes wrong in instrumentation, and two histograms of one value each. */
async function troubled (t: Test): Promise<string> {
  const { url, registry, app } = await service(t, { options: { labels: { tenant: () => { throw new Error('no tenant') } } }, routes: (app) => app.get('/', async () => 'x') })
  new Gauge({ name: 'orders', help: 'x', registers: [registry], collect () { throw new Error('no orders') } }).set(1)
  const takes = new Histogram({ name: 'takes_seconds', help: 'x', labelNames: ['all'], buckets: catalogue.http_request_duration_seconds.buckets, registers: [registry], native: {} })
  for (const seconds of [0.3, 12]) for (let i = 0; i < 100; i++) takes.observe({ all: `${seconds} s` }, seconds)
  await app.inject('/')
  return url
}

t.test('what the pages ask of Prometheus', async (t) => {
  const address = (url: string) => url.slice('http://'.length)
  const sick = await troubled(t)
  const page = parse(readFileSync(join(folder, 'prometheus.yml'), 'utf8')) as { global: object, scrape_configs: Array<{ job_name: string, static_configs: Array<{ targets: string[] }> }> }
  t.same(page.scrape_configs[0]?.static_configs, [{ targets: ['127.0.0.1:3000'] }])
  const target = (job: string, url: string) => ({ ...page.scrape_configs[0], job_name: job, static_configs: [{ targets: [address(url)] }] })
  const prometheus = await startPrometheus(t, {
    // As the page has it, but faster.
    global: { ...page.global, scrape_interval: '1s', evaluation_interval: '1s' },
    rule_files: [...['fastify-prometheus.rules.yml', 'fastify-prometheus.alerts.yml', 'django-compat.rules.yml'].map((file) => join(folder, 'rules', file)), join(rulesFolder, 'dog-walking.rules.yml')],
    scrape_configs: [target('walks', walksUrl), target('dog-walking', walking.url), target('twenty', sized.url), target('troubled', sick), target('gone', `http://127.0.0.1:${await freePort()}`)]
  })
  const native = await startPrometheus(t, { global: { scrape_interval: '1s' }, scrape_configs: [target('dog-walking', walking.url), target('troubled', sick)] }, 'native-histograms')
  if (prometheus === undefined || native === undefined) return
  // One target is gone on purpose.
  const scraped = () => Promise.all(['walks', 'dog-walking', 'twenty', 'troubled'].map((job) => prometheus.scraped(job)))
  await scraped()
  for (let i = 0; i < 2; i++) {
    await walking.everyday()
    for (const path of ['/walks/7', '/time', '/nowhere']) await fetch(walksUrl + path)
    await fetch(`${walksUrl}/walks`, { method: 'POST' })
    await scraped()
    await walking.lockedTable()
    await walking.postgres.stop()
    for (const path of ['/', '/status']) await walking.visitor.open(path)
    await walking.visitor.send('/walks/start', { walker: '1', dog: '1' })
    await walking.postgres.start()
    await walking.everyday()
    await scraped()
  }
  await Promise.all([evaluated(prometheus), native.scraped()])

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
    for (const name of Object.keys(EMPTY)) t.match(own, new RegExp(`^${name}\\b`, 'm'))
  })

  t.test("the page's Prometheus has scraped its service, and applied its rules", async (t) => {
    t.equal(await prometheus.value('up{job="walks"}'), 1)
    t.ok(await prometheus.value('sum(increase(walks_booked_total[1h]))') > 0)
    t.ok(await prometheus.value('job_method_route:http_requests_received:rate5m{job="walks", method="GET", route="/walks/:id"}') > 0)
    const { alerts } = await prometheus.get<{ alerts: Array<{ labels: Record<string, string> }> }>('alerts')
    t.notOk(alerts.some(({ labels }) => labels['alertname'] === 'TargetMissing'), 'the job of the alerts is there')
    t.equal(await prometheus.value('count({job="twenty", __name__=~"http_.+"})'), worked, 'and as many series as were worked out')
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
    t.ok((await native.query(seriesPage.code('text', 'rate(http_request_duration_seconds[5m])'))).length > 0)
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
    const seen = { http_exceptions_total: ['Error', 'ECONNREFUSED'], db_query_errors_total: ['query_canceled'], db_connection_errors_total: ['ECONNREFUSED', 'admin_shutdown'] }
    for (const [metric, types] of Object.entries(seen)) {
      const there = (await prometheus.query(`${metric}{job="dog-walking"}`)).map(({ labels }) => labels['type'])
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

/** The rules were evaluated with all that is there now. */
async function evaluated (prometheus: Prometheus): Promise<void> {
  interface Group { lastEvaluation: string }
  for (let time = 0; time < 2; time++) {
    const begin = Date.now()
    await prometheus.until(async () => {
      const { groups } = await prometheus.get<{ groups: Group[] }>('rules')
      return groups.length > 0 && groups.every(({ lastEvaluation }) => Date.parse(lastEvaluation) > begin)
    }, 'an evaluation of each group')
  }
}

t.test('every block of code was run', (t) => {
  for (const [file, page] of Object.entries(guides)) {
    for (const code of page.untaken('js', 'ts', 'sh', 'yaml')) t.fail(`${file}: nobody runs\n${code}`)
    for (const language of new Set(page.blocks.map(({ language }) => language))) t.ok(['js', 'ts', 'sh', 'yaml', 'text', 'promql'].includes(language), `${file}: ${language}`)
  }
  t.end()
})
