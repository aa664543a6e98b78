import { readFile, writeFile } from 'node:fs/promises'
import t from 'tap'
import { catalogue, type Definition } from '../src/index.js'
import { HTTP_METRICS } from '../src/http/families.js'
import { readOptions, type MetricsPluginOptions } from '../src/options.js'

const README = new URL('../README.md', import.meta.url)
const METRICS = new URL('../docs/metrics.md', import.meta.url)
const START = '<!-- metrics: made from src/catalogue.ts by `npm run docs` -->\n'
const END = '<!-- /metrics -->'

/** Those of requests that the service makes; `http_client_errors_total` is about clients of the service. */
const isOutgoing = (name: string) => name.startsWith('http_client_request')

const sections: Array<[title: string, belongs: (name: string) => boolean]> = [
  ['HTTP', (name) => name.startsWith('http_') && !isOutgoing(name)],
  ['Database', (name) => name.startsWith('db_')],
  ['Models', (name) => name.startsWith('model_')],
  ['Caches', (name) => name.startsWith('cache_')],
  ['Outgoing requests', isOutgoing],
  ['Process', (name) => /^(nodejs|app|log)_/.test(name)],
  ['Itself', (name) => name.startsWith('metrics_')]
]

function table (): string {
  const entries = Object.entries(catalogue) as Array<[string, Definition]>
  return sections.map(([title, belongs]) => [
    `**${title}**\n`,
    '| metric | type | labels | |\n|---|---|---|---|',
    ...entries.filter(([name]) => belongs(name)).map(([name, { type, labels, help, optIn }]) =>
      `| \`${name}\` | ${type.replace('observable ', '')} | ${labels.join(', ')} | ${help}${optIn ? ' *Opt-in.*' : ''} |`)
  ].join('\n')).join('\n\n') + '\n'
}

t.test('docs/metrics.md has the table of the catalogue', async (t) => {
  const page = await readFile(METRICS, 'utf8')
  const start = page.indexOf(START) + START.length
  if (process.env.UPDATE_DOCS !== undefined) await writeFile(METRICS, page.slice(0, start) + table() + page.slice(page.indexOf(END)))
  t.equal((await readFile(METRICS, 'utf8')).slice(start).split(END)[0], table(), 'if not, `npm run docs` writes it')
  for (const name of Object.keys(catalogue)) t.equal(sections.filter(([, belongs]) => belongs(name)).length, 1, `${name} is in one section`)
})

t.test('README names every option of metricsPlugin', async (t) => {
  const readme = await readFile(README, 'utf8')
  const options: Required<{ [K in keyof MetricsPluginOptions]: true }> = {
    registry: true,
    prefix: true,
    endpoint: true,
    live: true,
    buckets: true,
    labels: true,
    route: true,
    excludeRoutes: true,
    metrics: true,
    runtime: true,
    build: true,
    observe: true,
    maxSeries: true,
    nativeHistograms: true,
    exemplars: true,
    processes: true
  }
  for (const option of Object.keys(options)) t.match(readme, `| \`${option}\` |`)
  t.same(readOptions({}).http.excludeRoutes, [])
  t.ok(HTTP_METRICS.length > 0)
})
