import { cp, mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import typescript, { type CompilerOptions, type SourceFile } from 'typescript'
import { everyBlockIsTaken, guide } from '../support/guide.js'
import { unpackPackage } from '../support/package-folder.js'

/*
 * docs/typescript.md: its projects are built by tsc and answer; its other code compiles under strict settings, and does what the page says; each error in its table comes
 * of its cause and goes with its cure.
 */
const modules = join(fileURLToPath(new URL('../..', import.meta.url)), 'node_modules')
const page = guide('typescript')
const folder = await unpackPackage(t)
const service = page.code('ts', 'async function main')

/** What the page's strict projects say; declarations of others are checked once, for it takes long. */
const STRICT = { target: 'es2022', module: 'nodenext', strict: true, exactOptionalPropertyTypes: true, verbatimModuleSyntax: true, isolatedModules: true, skipLibCheck: true, types: ['node'] }

/** What others declare is read once for each kind of module. */
const others = new Map<string, SourceFile>()

/** Compiles files, and writes the JavaScript beside them. @returns what TypeScript has to say of them and of all that they reach */
function compile (files: readonly string[], settings: Record<string, unknown> = {}): string[] {
  const [first = ''] = files
  const { options, errors } = typescript.convertCompilerOptionsFromJson({ ...STRICT, ...settings }, dirname(first))
  const host = typescript.createCompilerHost(options as CompilerOptions)
  const read = host.getSourceFile
  host.getSourceFile = (name, version, ...rest) => {
    if (name.startsWith(join(folder.path, '..'))) return read(name, version, ...rest)
    const key = `${name} ${typeof version === 'object' ? version.impliedNodeFormat : ''}`
    const known = others.get(key) ?? read(name, version, ...rest)
    if (known !== undefined) others.set(key, known)
    return known
  }
  const program = typescript.createProgram(files, options, host)
  const { diagnostics } = program.emit()
  return [...errors, ...typescript.getPreEmitDiagnostics(program), ...diagnostics].map(({ file, messageText }) => `${file?.fileName ?? ''}: ${typescript.flattenDiagnosticMessageText(messageText, '\n')}`)
}

/** Makes a folder of a project with its package.json and other files. @returns the path of each */
async function project (name: string, type: 'commonjs' | 'module', files: Readonly<Record<string, string>>): Promise<string[]> {
  await mkdir(folder.join(name, 'src'), { recursive: true })
  await writeFile(folder.join(name, 'package.json'), JSON.stringify({ type }))
  for (const [file, code] of Object.entries(files)) await writeFile(folder.join(name, file), code)
  return Object.keys(files).map((file) => folder.join(name, file))
}

/** What tsc says of a project. What others declare it does not check: the code of the page does once, and test/platforms/typescript.test.ts does with ours for each kind of module. */
async function tsc (name: string): Promise<string> {
  const args = [join(modules, 'typescript/bin/tsc'), '-p', folder.join(name), '--skipLibCheck']
  return await folder.output(process.execPath, args).catch(({ stdout }: { stdout: string }) => stdout)
}

const bundle = page.code('sh', 'esbuild')
const PROJECTS: Array<[name: string, type: 'commonjs' | 'module', mark: string]> = [
  ['ES modules', 'module', '"module": "nodenext"'],
  ['CommonJS', 'commonjs', '"module": "commonjs"'],
  ['bundler', 'module', '"moduleResolution": "bundler"']
]
for (const [name, type, mark] of PROJECTS) {
  t.test(`${name}: the project is built, and answers`, async (t) => {
    const tsconfig = page.code('json', mark)
    await project(name, type, { 'tsconfig.json': tsconfig, 'src/service.ts': service, 'src/report.ts': page.code('ts', 'function report') })
    t.equal(await tsc(name), '')
    if (name === 'bundler') {
      const [check, esbuild = ''] = bundle.trim().split('\n')
      t.equal(check, 'npx tsc')
      await folder.shell(`cd '${name}'\n${esbuild.replace('npx esbuild', join(modules, 'esbuild/bin/esbuild'))} --log-level=error`)
    }
    const url = await folder.run(t, [`${name}/dist/service.js`])
    const { status } = await fetch(`${url}/walks`, { method: 'POST', body: '{"size":"xl"}', headers: { 'content-type': 'application/json' } })
    t.equal(status, 200)
    t.match(await (await fetch(`${url}/metrics`)).text(), 'walks_booked_total{size="xl"} 1')
  })
}

t.test('all values: each row of the table compiles and runs, and classic does not', async (t) => {
  const rows = page.table('`module`', '`moduleResolution`', '')
  const once = service.replace(/^ {2}await fastify\.listen.*$/m, "  await fastify.inject({ method: 'POST', url: '/walks', payload: { size: 's' } })\n  console.log(booked instanceof Counter, (await fastify.metrics.render()).includes('size=\"s\"} 1'))\n  await fastify.close()")
    .replace('{ logger: true }', '')
  const words = (cell = '') => [...cell.matchAll(/`([^`]+)`/g)].map(([, word = '']) => word)
  /** How each row is tried: the kinds of module, and of package where there are two; those of the projects are built above. */
  const tried: Array<Array<[module: string, type: 'commonjs' | 'module']>> = [
    [['commonjs', 'commonjs']],
    [['es2022', 'module'], ['esnext', 'module']],
    [['node16', 'commonjs'], ['node16', 'module'], ['nodenext', 'commonjs']],
    [['preserve', 'module']],
    [['esnext', 'module']]
  ]
  t.equal(rows.length, tried.length)
  for (const [i, [kinds, resolution, says = '']] of rows.entries()) {
    t.same(words(kinds).filter((kind) => !tried[i]?.some(([module]) => module === kind) && !PROJECTS.some(([, , mark]) => page.code('json', mark).includes(`"module": "${kind}"`))), [], 'each kind is tried here or above')
    const [moduleResolution] = words(resolution)
    for (const [module, type] of tried[i] ?? []) {
      const name = `value-${i}-${module}-${type}`
      const [file = ''] = await project(name, type, { 'src/service.ts': once })
      // A default is not said.
      const said = compile([file], { module, ...(resolution?.includes('default') === false && { moduleResolution }), verbatimModuleSyntax: type === 'module', esModuleInterop: true })
      if (says.startsWith('works')) {
        t.same(said, [], name)
        t.equal(await folder.output(process.execPath, [`${name}/src/service.js`]), 'true true\n', name)
      } else {
        t.match(said.join('\n'), 'Cannot find module', name)
      }
    }
  }
  await writeFile(folder.join('both.cjs'), "const { Counter } = require('fastify-prometheus')\nimport('fastify-prometheus').then((esm) => console.log(esm.Counter === Counter))\n")
  t.equal(await folder.output(process.execPath, ['both.cjs']), 'true\n', 'one copy for import and require')
})

/** The other blocks of the page, each a file of one project; what runs them, and what they print then. */
const BLOCKS: Array<[file: string, mark: string, run: string, printed: string]> = [
  ['book.ts', 'function book', `import { register } from 'prom-client'
import { book, mistake } from './book.js'
book('xl')
try { mistake() } catch { console.log('refused') }
console.log((await register.metrics()).includes('walks_booked_total{size="xl"} 1'))`, 'refused\ntrue\n'],
  ['labels.ts', "decorateRequest('tenant'", `import { fastify } from './labels.js'
fastify.get('/', async () => 'ok')
await fastify.inject({ url: '/', headers: { 'x-client': 'app' } })
console.log((await fastify.metrics.render()).includes('http_request_duration_seconds_count{method="GET",route="/",status_code="200",tenant="acme",client="app"} 1'))
await fastify.close()`, 'true\n'],
  ['routes.ts', 'satisfies RouteMetricsConfig', `import { build } from './routes.js'
const fastify = await build()
for (const url of ['/events/1', '/health']) await fastify.inject(url)
console.log((await fastify.metrics.render()).match(/^http_requests_received_total.*$/gm).join('\\n'))
await fastify.close()
const other = await build()
try { other.get('/x', { config: { metrics: { rout: 'x' } } }, async () => 'x') } catch (error) { console.log(error.code) }
await other.close()`, 'http_requests_received_total{method="GET",route="events",scheme="http"} 1\nFP_ERR_INVALID_OPTION\n'],
  ['registries.ts', 'function makeMetrics', `import { Registry } from 'prom-client'
import * as renamed from '@prometheus-io/client'
import * as platformatic from '@platformatic/prom-client'
import { makeMetrics } from './registries.js'
for (const registry of [new Registry(), new renamed.Registry(), new platformatic.Registry()]) {
  makeMetrics(registry).booked.inc()
  console.log((await registry.metrics()).includes('walks_booked_total 1'))
}`, 'true\ntrue\ntrue\n'],
  ['strict.ts', 'METRICS_PREFIX', `import { fastify } from './strict.js'
await fastify.ready()
console.log((await fastify.metrics.render()).includes('shop_process_cpu'))
await fastify.close()`, 'true\n'],
  ['entities.ts', 'EntitySchema', `import { register } from 'prom-client'
import { dataSource, walks } from './entities.js'
await dataSource.initialize()
await dataSource.getRepository(walks).save({ size: 'xl' })
console.log((await register.metrics()).includes('model_inserts_total{model="walk"} 1'))
await dataSource.destroy()`, 'true\n']
]

t.test('the code of the page compiles under strict settings, declarations of all that it reaches among it, and runs', async (t) => {
  const files = Object.fromEntries(BLOCKS.map(([file, mark]) => [file, page.code('ts', mark)]))
  t.same(compile(await project('blocks', 'module', files), { skipLibCheck: false }), [])
  for (const [file, , run, printed] of BLOCKS) {
    await writeFile(folder.join('blocks/run.mjs'), run)
    t.equal(await folder.output(process.execPath, ['blocks/run.mjs'], { METRICS_PREFIX: 'shop_' }), printed, file)
  }
})

t.test('fastify.metrics: one import of the types in the program is enough', async (t) => {
  const report = page.code('ts', 'function report')
  const types = page.code('ts', 'import type {}')
  t.match(compile(await project('report', 'module', { 'report.ts': report })).join('\n'), "Property 'metrics' does not exist")
  t.same(compile(await project('report', 'module', { 'report.ts': types + report })), [])
  t.notMatch(await readFile(folder.join('report/report.js'), 'utf8'), 'fastify-prometheus', 'the line is gone')
  t.same(compile(await project('report', 'module', { 'report.ts': report, 'other.ts': types })), [])
})

t.test('labels and options of a route: what compiles, and what does not', async (t) => {
  const begin = `import Fastify from 'fastify'
import { Counter, metricsPlugin, type RouteMetricsConfig } from 'fastify-prometheus'
import { Counter as Theirs, Registry } from 'prom-client'
import { instrumentDataSource } from 'fastify-prometheus/typeorm'
import { DataSource, EntitySchema } from 'typeorm'
export const fastify = Fastify()
fastify.register(metricsPlugin, { registry: new Registry() })
export class Entity {}
export const dataSource = new DataSource({ type: 'postgres' })
`
  const right = [
    "const names = ['size'] as const; export const counter: Counter<'size'> = new Counter({ name: 'a', help: 'b', labelNames: names })",
    "export const theirs: Theirs<'size'> = new Counter({ name: 'a', help: 'b', labelNames: ['size'] })",
    "fastify.get('/', { config: { metrics: { rout: 'x' } } }, async () => 'x')",
    "instrumentDataSource(dataSource, { models: [Entity, 'walk', new EntitySchema<Entity>({ name: 'x', columns: {} })] })"
  ]
  const wrong = [
    "fastify.get('/', { config: { metrics: { route: 1 } } }, async () => 'x')",
    "export const config = { rout: 'x' } satisfies RouteMetricsConfig",
    "export const other: Counter<'size'> = new Counter({ name: 'a', help: 'b', labelNames: ['colour'] })"
  ]
  const code = [begin, ...right, ...wrong.map((line) => `// @ts-expect-error -- wrong\n${line}`)].join('\n')
  t.same(compile(await project('claims', 'module', { 'claims.ts': code })), [])
})

t.test('neither pg nor typeorm need be installed', async (t) => {
  const bare = folder.join('..', 'bare')
  await mkdir(join(bare, 'node_modules/@types'), { recursive: true })
  await cp(folder.join('package'), join(bare, 'node_modules/fastify-prometheus'), { recursive: true })
  for (const name of ['fastify', 'prom-client', 'fastify-plugin', '@types/node']) await folder.shell(`ln -s '${join(modules, name)}' '${join(bare, 'node_modules', name)}'`)
  await writeFile(join(bare, 'package.json'), '{"type":"module"}')
  await writeFile(join(bare, 'program.ts'), `import { metricsPlugin } from 'fastify-prometheus'
import { instrumentPool } from 'fastify-prometheus/pg'
import { snapshot } from 'fastify-prometheus/testing'
import { instrumentDataSource } from 'fastify-prometheus/typeorm'
export { metricsPlugin, instrumentPool, snapshot, instrumentDataSource }
`)
  t.same(compile([join(bare, 'program.ts')], { skipLibCheck: false }), [])
  await writeFile(join(bare, 'program.ts'), "export * from 'pg'\n")
  t.match(compile([join(bare, 'program.ts')]).join('\n'), "Cannot find module 'pg'")
})

t.test('each error of the table comes of its cause, and goes with its cure', async (t) => {
  const begin = `import Fastify from 'fastify'
import { Counter, metricsPlugin } from 'fastify-prometheus'
import { Counter as Theirs, Registry } from 'prom-client'
export type Used = [Counter, Theirs, Registry]
export const fastify = Fastify()
export const registry = new Registry()
fastify.register(metricsPlugin, { registry })
`
  await mkdir(folder.join('node_modules/framework/node_modules'), { recursive: true })
  await writeFile(folder.join('node_modules/framework/package.json'), '{"name":"framework","version":"1.0.0","types":"index.d.ts"}')
  await writeFile(folder.join('node_modules/framework/index.d.ts'), "import type { FastifyInstance } from 'fastify'\nexport declare const app: FastifyInstance\n")
  const other = folder.join('node_modules/framework/node_modules/fastify')
  await cp(join(modules, 'fastify'), other, { recursive: true, dereference: true })
  const manifest = JSON.parse(await readFile(join(other, 'package.json'), 'utf8')) as object
  await writeFile(join(other, 'package.json'), JSON.stringify({ ...manifest, version: '5.0.1' }))

  /** By row of the table: a program with the cause, the same with the cure, and settings of the cause. */
  const causes: Array<[cause: string, cure: string, settings?: Record<string, unknown>]> = [
    ["import type { FastifyInstance } from 'fastify'\nexport const of = (fastify: FastifyInstance) => fastify.metrics", "import type { FastifyInstance } from 'fastify'\nimport type {} from 'fastify-prometheus'\nexport const of = (fastify: FastifyInstance) => fastify.metrics"],
    ["import { app } from 'framework'\nimport { metricsPlugin } from 'fastify-prometheus'\napp.register(metricsPlugin)", "import Fastify from 'fastify'\nimport { metricsPlugin } from 'fastify-prometheus'\nFastify().register(metricsPlugin)"],
    [`${begin}fastify.register(metricsPlugin, { labels: { client: (request) => request.headers['x-client'] } })`, `${begin}fastify.register(metricsPlugin, { labels: { client: (request) => String(request.headers['x-client']) } })`],
    [`${begin}fastify.register(metricsPlugin, { labels: undefined })`, `${begin}fastify.register(metricsPlugin, {})`],
    [`${begin}fastify.metrics.registry.clear()`, `${begin}registry.clear()`],
    [`${begin}export const one = new Theirs({ name: 'a', help: 'b', registers: [fastify.metrics.registry] })`, `${begin}export const one = new Counter({ name: 'a', help: 'b', registers: [fastify.metrics.registry] })`],
    ["export * from 'fastify-prometheus/pg'", "export * from 'fastify-prometheus/pg'", { module: 'esnext', moduleResolution: 'classic' }]
  ]
  const rows = page.table('the error has', 'cause', 'do')
  t.equal(rows.length, causes.length)
  const named = (what: string, i: number) => `${what}-${i}.ts`
  const made = await project('errors', 'module', Object.fromEntries(causes.flatMap(([cause, cure], i) => [[named('cause', i), `${cause}\n`], [named('cure', i), `${cure}\n`]])))
  const of = (what: string, i: number) => made.filter((file) => file.endsWith(`/${named(what, i)}`))
  t.same(compile(causes.flatMap((_, i) => of('cure', i))), [])
  // The first cause is that no file of the program has an import that the others have; the last has settings of its own.
  const together = compile(causes.flatMap((_, i) => i === 0 || i === causes.length - 1 ? [] : of('cause', i)))
  for (const [i, [, , settings]] of causes.entries()) {
    const text = rows[i]?.[0]?.replaceAll('`', '') ?? ''
    const said = i === 0 || settings !== undefined ? compile(of('cause', i), settings) : together.filter((line) => line.includes(named('cause', i)))
    t.match(said.join('\n'), text, text)
  }
})

t.test('every block of code was run', (t) => {
  everyBlockIsTaken(t, ['typescript'])
  t.same(page.untaken(['json']), [])
  t.end()
})
