import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { collectDefaultMetrics, Registry } from 'prom-client'
import t from 'tap'
import { catalogue, type Definition } from '../../src/index.js'
import { conditions } from '../../src/instrumentation/index.js'
import { CODE, everyBlockIsTaken, guide, Guide, guides } from '../support/guide.js'
import { unpackPackage } from '../support/package-folder.js'
import { rules } from '../support/rules.js'

/*
 * What the guides in docs/ name is there: pages and headings, alerts, metrics, panels, files of the package. And for each of their blocks there is a test.
 */
const root = fileURLToPath(new URL('../..', import.meta.url))

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

t.test('every alert has its section in the runbook, which names it, and no section is of nothing', (t) => {
  const runbook = guide('runbook')
  const sections = runbook.text.split(/^## /m).slice(1)
  const wanted = new Set<string>()
  for (const { alert, labels, annotations } of rules.filter(({ alert }) => alert !== undefined)) {
    if (labels?.severity === 'none') continue
    const [, anchor = ''] = annotations?.runbook_url?.split('/docs/runbook.md#') ?? []
    wanted.add(anchor)
    const section = sections[runbook.anchors.slice(1).indexOf(anchor)]
    if (section === undefined) t.fail(`the runbook has no heading for #${anchor}`)
    else t.match(section.split('\n').slice(1).join(' '), new RegExp(`\\b${alert}( \\(|,)`), `#${anchor} names ${alert}`)
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
    const [, factor, budget] = /> ([\d.]+) \* (0\.[\d]+)$/m.exec(expr) ?? []
    if (factor === undefined || budget === undefined || labels?.window === undefined) continue
    burns++
    const title = annotations?.runbook_url?.endsWith('#http-errors') === true ? 'HTTP errors' : 'HTTP latency'
    const section = sections.find((section) => section.startsWith(title)) ?? ''
    const percent = Number((Number(factor) * Number(budget) * 100).toPrecision(6))
    t.ok(section.includes(`| ${labels.window}, ${labels.severity} | ${percent} % |`), `${alert} ${labels.window}: ${percent} %`)
  }
  t.equal(burns, 16)
  t.end()
})

/** Names in the pages that are of somebody else. */
const FOREIGN = new Set([
  // fastify-metrics
  'http_request_summary_seconds', 'http_request_summary_seconds_count',
  // Prometheus and what it scrapes elsewhere
  'histogram_quantile', 'label_replace', 'scrape_classic_histograms', 'always_scrape_classic_histograms', 'scrape_native_histograms', 'convert_classic_histograms_to_nhcb', 'query_exemplars', 'job_name', 'rule_files', 'container_cpu_cfs_throttled_seconds_total',
  'histogram_count', 'histogram_fraction', 'scrape_protocols',
  // OpenTelemetry's labels of an exemplar
  'trace_id', 'span_id',
  // PostgreSQL and pg
  'pg_advisory_lock', 'pg_stat_activity', 'pg_blocking_pids', 'pg_cancel_backend', 'pg_terminate_backend', 'max_connections', 'query_timeout',
  'statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'wait_event_type',
  // MySQL
  'innodb_lock_waits',
  // django-prometheus
  'django_prometheus', 'prometheus_client',
  // npm, and what prom-client's OpenMetrics makes of a name
  'node_modules', 'walks_started_total',
  // Node's modules
  'child_process', 'worker_threads',
  // an example
  'foo_count'
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
  const panels = new Map(readdirSync(dashboards).filter((file) => file.endsWith('.json')).map((file) => {
    const { title, panels } = JSON.parse(readFileSync(join(dashboards, file), 'utf8')) as { title: string, panels: Panel[] }
    return [title, new Set(panels.flatMap((panel) => [panel, ...panel.panels ?? []]).map(({ title }) => title))]
  }))
  t.equal(panels.size, 6)
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

t.test('the package has what the pages take from it', async (t) => {
  const { files } = await unpackPackage(t)
  for (const folder of ['examples/prometheus', 'examples/grafana/dashboards', 'examples/grafana/provisioning', 'examples/kubernetes', 'docs']) {
    t.ok(files.some((path) => path.startsWith(`${folder}/`)), `${folder} is among the "files" of package.json`)
  }
})

t.test('every page has one test that takes its code, and every block a language that a test knows', (t) => {
  const taken = readdirSync(import.meta.dirname).filter((file) => /^(docs-.*|runbook)\.test\.ts$/.test(file)).flatMap((file) => {
    const calls = readFileSync(join(import.meta.dirname, file), 'utf8').matchAll(/^ *everyBlockIsTaken\(t, \[(.*)\]\)$/gm)
    return [...calls].flatMap(([, names = '']) => [...names.matchAll(/'([^']+)'/g)].map(([, name]) => `${name}.md`))
  })
  t.same(taken.sort(), Object.keys(guides).sort())
  for (const [file, page] of Object.entries(guides)) {
    // What is of text is shown; docs-queries.test.ts puts every query of every page.
    for (const language of new Set(page.blocks.map(({ language }) => language))) t.ok([...CODE, 'text', 'promql'].includes(language), `${file}: ${language}`)
  }
  t.end()
})

t.test('every block of code was run', (t) => {
  everyBlockIsTaken(t, ['README', 'drills'])
  t.end()
})
