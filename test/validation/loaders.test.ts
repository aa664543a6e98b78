import Fastify, { type FastifyServerOptions } from 'fastify'
import { Registry } from 'prom-client'
import t from 'tap'
import { metricsPlugin } from '../../src/index.js'
import { SERVER_OPTIONS } from '../../src/validation/loaders.js'
import { readOptions } from '../../src/options.js'
import { unpackPackage } from '../support/package-folder.js'

const folder = await unpackPackage(t)

/** The plugin as a file that a loader finds. */
const PLUGIN = "export { metricsPlugin as default } from 'fastify-prometheus'\n"
const WRAPPED = `import fp from 'fastify-plugin'
import { metricsPlugin } from 'fastify-prometheus'
export default fp(async function metrics (fastify, options) { await fastify.register(metricsPlugin, options) })
`

interface Layout {
  readonly files: Readonly<Record<string, string>>
  /** Options of AutoLoad, as code. */
  readonly autoload?: string
  /** Options that the user gives to all plugins, as code. */
  readonly options?: string
  readonly page?: string
  /** What the names of metrics begin with. */
  readonly prefix?: string
  /** The options that the log says are left out. */
  readonly left?: string
}

const LAYOUTS: Readonly<Record<string, Layout>> = {
  'a folder': { files: { 'metrics/index.js': PLUGIN } },
  'a nested folder': { files: { 'ops/metrics/index.js': PLUGIN } },
  'a folder of a parameter': { files: { '_id/metrics/index.js': PLUGIN }, autoload: 'routeParams: true' },
  'a file': { files: { 'metrics.js': PLUGIN } },
  'a file of CommonJS': { files: { 'metrics.cjs': "module.exports = require('fastify-prometheus').metricsPlugin\n" } },
  'a wrapper that passes its options on': { files: { 'metrics/index.js': WRAPPED }, options: "secret: 's3cret'", left: 'secret' },
  'options for all plugins': { files: { 'metrics.js': PLUGIN }, options: "database: 's3cret', defaultMetrics: {}, logger: true", left: 'database, defaultMetrics' },
  'options for all plugins, in a folder': { files: { 'metrics/index.js': PLUGIN }, options: "'s3 cret=': 1, trustProxy: true", left: '<a name of 8 characters>' },
  'a prefix for all plugins': { files: { 'metrics/index.js': PLUGIN }, options: "prefix: '/api'" },
  "a prefix for all plugins without '/'": { files: { 'metrics/index.js': PLUGIN }, options: "prefix: 'api'" },
  'a name of metrics in autoConfig': { files: { 'metrics.js': `${PLUGIN}export const autoConfig = { prefix: 'dogs_', endpoint: '/m' }` }, page: '/m', prefix: 'dogs_' },
  'a function as autoConfig': { files: { 'metrics/index.js': `${PLUGIN}export const autoConfig = (fastify) => ({ endpoint: { path: '/m' }, unknown: fastify })` }, page: '/m', left: 'unknown' },
  'autoPrefix': { files: { 'metrics/index.js': `${PLUGIN}export const autoPrefix = '/ops'` }, autoload: 'appendAutoPrefix: true' },
  'prefixOverride': { files: { 'metrics/index.js': `${PLUGIN}export const prefixOverride = ''` } },
  'no encapsulation': { files: { 'metrics/index.js': PLUGIN }, autoload: 'encapsulate: false' },
  'no prefixes': { files: { 'metrics/index.js': PLUGIN }, autoload: 'dirNameRoutePrefix: false' },
  'hooks of another folder': { files: { 'metrics/index.js': PLUGIN, 'walks/autohooks.js': 'export default async function hooks () {}' }, autoload: 'autoHooks: true' }
}

t.test('@fastify/autoload loads the plugin from any layout, and the page is at its own path', async (t) => {
  const cases = Object.entries(LAYOUTS).map(([name, { autoload = '', options = '' }], i) => `  { name: ${JSON.stringify(name)}, dir: 'layouts/${i}', options: { ${options} }, ${autoload} }`)
  for (const [i, { files }] of Object.values(LAYOUTS).entries()) await folder.write(Object.fromEntries(Object.entries(files).map(([path, text]) => [`layouts/${i}/${path}`, text])))
  const printed = await folder.node('autoload.mjs', `
import AutoLoad from '@fastify/autoload'
import Fastify from 'fastify'
import { Registry } from 'prom-client'
const results = {}
for (const { name, dir, options, ...autoload } of [
${cases.join(',\n')}
]) {
  const lines = []
  const app = Fastify({ logger: { level: 'warn', stream: { write: (line) => lines.push(JSON.parse(line).msg) } } })
  app.register(AutoLoad, { dir: new URL(dir, import.meta.url).pathname, ...autoload, options: { registry: new Registry(), runtime: false, ...options } })
  app.get('/walks', async () => 'ok')
  try {
    await app.ready()
    await app.inject('/walks')
    const pages = []
    for (const path of ['/metrics', '/m']) pages.push((await app.inject(path)).body)
    results[name] = { pages, lines }
  } catch (error) {
    results[name] = { pages: [], lines: [String(error)] }
  }
  await app.close()
}
process.stdout.write(JSON.stringify(results))
`, '--no-warnings')
  const results = JSON.parse(printed) as Record<string, { pages: [string, string], lines: string[] }>
  for (const [name, { page = '/metrics', prefix = '', left }] of Object.entries(LAYOUTS)) {
    const { pages, lines } = results[name] as { pages: [string, string], lines: string[] }
    t.match(pages[page === '/metrics' ? 0 : 1], `\n${prefix}http_requests_received_total{method="GET",route="/walks",scheme="http"} 1\n`, `${name}: ${lines.join()}`)
    t.same(lines, left === undefined ? [] : [`fastify-prometheus leaves out options that it does not have, as a loader may add some: ${left}`], `the log of ${name}`)
  }
})

t.test('fastify-cli starts it as the application itself and within one, with the options of the server', async (t) => {
  const server = "export const options = { trustProxy: true, bodyLimit: 5000, routerOptions: { caseSensitive: false }, requestIdHeader: 'x-id', mine: 's3cret' }\n"
  await folder.write({
    'itself.js': PLUGIN + server,
    'template/app.js': `import AutoLoad from '@fastify/autoload'
${server}
export default async function (fastify, opts) {
  for (const folder of ['plugins', 'routes']) fastify.register(AutoLoad, { dir: new URL(folder, import.meta.url).pathname, options: Object.assign({}, opts) })
}`,
    'template/plugins/metrics.js': PLUGIN,
    'template/routes/walks/index.js': "export default async function (fastify) { fastify.get('/', async () => 'ok') }\n"
  })
  for (const [name, args, path = '/metrics'] of [
    ['itself', ['itself.js']],
    ['itself with the options of the server', ['-o', 'itself.js']],
    ['itself with a prefix', ['--prefix', '/api', 'itself.js']],
    ['the template', ['template/app.js']],
    ['the template with the options of the server', ['--options', 'template/app.js', '--', '--foo', 'bar']],
    // The template's application is a scope, whose prefix its routes have.
    ['the template with a prefix', ['-o', '--prefix', '/api', 'template/app.js'], '/api/metrics']
  ] as const) {
    const url = await folder.run(t, ['node_modules/fastify-cli/cli.js', 'start', '-a', '127.0.0.1', '-l', 'info', ...args])
    const response = await fetch(url + path)
    t.equal(response.status, 200, name)
    t.match(await response.text(), '\n# TYPE metrics_expositions_total counter', name)
  }
})

t.test("the helper 'build' of fastify-cli, as its templates' tests call it, gives an application with metrics", async (t) => {
  const printed = await folder.node('build.mjs', `
import helper from 'fastify-cli/helper.js'
const app = await helper.build(['template/app.js'], { skipOverride: true, fixtures: [1] })
process.stdout.write(JSON.stringify([(await app.inject('/walks')).body, app.hasDecorator('metrics'), (await app.inject('/metrics')).statusCode]))
await app.close()
`)
  t.same(JSON.parse(printed), ['ok', true, 200])
  const whole = await folder.node('build-itself.mjs', `
import helper from 'fastify-cli/helper.js'
const app = await helper.build(['-o', 'itself.js'], { skipOverride: true, fixtures: [1] })
process.stdout.write(JSON.stringify([app.hasDecorator('metrics'), (await app.inject('/metrics')).statusCode]))
await app.close()
`)
  t.same(JSON.parse(whole), [true, 200])
})

t.test('the options of the server and of register() are known, each', async (t) => {
  // A key that is missing shows here, for it is what the compiler expects.
  const missing: Exclude<keyof FastifyServerOptions, typeof SERVER_OPTIONS[number]> | 'none' = 'none'
  t.equal(missing, 'none')
  for (const name of [...SERVER_OPTIONS, 'http', 'https', 'http2', 'http2SessionTimeout', 'skipOverride', 'logLevel', 'logSerializers']) {
    t.same(readOptions({ [name]: 's3cret' }, () => false).left, [], name)
    t.same(readOptions({ [name]: 's3cret', prefix: 'dogs_' }, () => false).scope.prefix, 'dogs_', name)
  }
  for (const prefix of ['/metrics', '/api/:id/metrics', 'api/metrics', '/']) {
    const { scope, left } = readOptions({ prefix, unknown: 1 }, () => false)
    t.same([scope.prefix, left], ['', ['unknown']], prefix)
  }
})

t.test("without a loader what is unknown stays refused, beside another plugin's loader too", async (t) => {
  await folder.write({ 'beside/walks.js': 'export default async function walks () {}\n' })
  const { default: AutoLoad } = await import('@fastify/autoload')
  for (const options of [{ endpiont: '/m' }, { defaultMetrics: {} }]) {
    const app = Fastify()
    t.teardown(() => app.close())
    app.register(AutoLoad, { dir: folder.join('beside') })
    app.register(metricsPlugin, { registry: new Registry(), ...options })
    await t.rejects(async () => await app.ready(), { code: 'FP_ERR_INVALID_OPTION', message: Object.keys(options)[0] as string })
  }
})

t.test("register()'s log level is that of the page, where the endpoint says none", async (t) => {
  const lines: string[] = []
  const app = Fastify({ logger: { level: 'info', stream: { write: (line: string) => lines.push(JSON.parse(line).msg) } } })
  t.teardown(() => app.close())
  await app.register(metricsPlugin, { registry: new Registry(), prefix: '/ops', logLevel: 'info' })
  t.equal((await app.inject('/metrics')).statusCode, 200)
  t.same(lines, ['incoming request', 'request completed'])
})
