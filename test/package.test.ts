import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'

const run = promisify(execFile)
const root = dirname(dirname(fileURLToPath(import.meta.url)))
const folder = await mkdtemp(join(tmpdir(), 'fastify-prometheus-package-'))
t.teardown(() => rm(folder, { recursive: true, force: true }))
const modules = join(folder, 'node_modules')

/** An empty project with the tarball of what `npm run build` made in it, and what else it needs as links, so that nothing is fetched. */
t.before(async () => {
  const { stdout } = await run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], { cwd: root, env: { ...process.env, npm_config_loglevel: 'error' } })
  const [{ filename }] = JSON.parse(stdout.slice(stdout.indexOf('['))) as [{ filename: string }]
  await run('tar', ['-xzf', filename], { cwd: folder })
  await mkdir(modules)
  for (const name of await readdir(join(root, 'node_modules'))) if (!name.startsWith('.')) await symlink(join(root, 'node_modules', name), join(modules, name))
  await symlink(join(folder, 'package'), join(modules, 'fastify-prometheus'))
  await writeFile(join(folder, 'package.json'), JSON.stringify({ name: 'consumer', type: 'module', private: true }))
})

/** README's code, as it stands there: the first block that holds `mark`. */
async function readmeCode (mark: string): Promise<string> {
  const readme = await readFile(join(root, 'README.md'), 'utf8')
  const block = [...readme.matchAll(/```js\n([^]*?)```/g)].map(([, code]) => code as string).find((code) => code.includes(mark))
  if (block === undefined) throw new Error(`README has no code with ${mark}`)
  return block
}

async function node (file: string, code: string, ...flags: string[]): Promise<string> {
  await writeFile(join(folder, file), code)
  const { stdout } = await run(process.execPath, [...flags, file], { cwd: folder, env: { ...process.env, NODE_OPTIONS: '' } })
  return stdout
}

t.test("README's three calls work in an empty project against the packed tarball", async (t) => {
  const code = await readmeCode('// 1. HTTP, and the page')
  const page = await node('three-calls.mjs', `
import { DataSource, EntitySchema } from 'typeorm'
const Walk = new EntitySchema({ name: 'Walk', columns: { id: { type: 'int', primary: true, generated: true }, distance: { type: 'int' } } })
const dataSource = new DataSource({ type: 'sqljs', entities: [Walk], synchronize: true })
${code}
await dataSource.getRepository('Walk').save({ distance: 800 })
fastify.get('/', async () => 'ok')
await fastify.inject('/')
process.stdout.write((await fastify.inject('/metrics')).body)
process.exit()
`)
  for (const line of [
    'http_requests_received_total{method="GET",route="/",scheme="http"} 1',
    'model_inserts_total{model="walk"} 1',
    'db_pool_connections_max{alias="default",vendor="postgresql"} 10',
    'process_cpu_user_seconds_total'
  ]) t.match(page, line)
  t.match(page, /db_query_duration_seconds_count\{alias="orm",vendor="sqlite",operation="insert"\} 1/)
})

t.test("README's other code works too: assertions, counters, and require()", async (t) => {
  const assertions = (await readmeCode('snapshot, assertSeriesChanged')).replace(/await app\.inject.*\n/, "register.getSingleMetric('walks_started').inc()\n").replaceAll('registry', 'register')
  t.equal(await node('testing.mjs', `import { Counter, register } from 'prom-client'\nnew Counter({ name: 'walks_started', help: 'x' })\n${assertions}\nconsole.log('asserted')`), 'asserted\n')
  const counter = await readmeCode('walks_by_size')
  t.match(await node('counter.mjs', `${counter}\nimport { register } from 'prom-client'\nconsole.log(await register.metrics())`), 'walks_by_size{size="xl"} 1')
  t.equal(await node('common.cjs', "console.log(typeof require('fastify-prometheus').metricsPlugin, typeof require('fastify-prometheus/pg').instrumentPool)", '--no-warnings'), 'function function\n')
})

t.test('the published types stand on their own, without skipLibCheck', async (t) => {
  await writeFile(join(folder, 'types.ts'), `
import Fastify from 'fastify'
import { register, Registry } from 'prom-client'
import metricsPlugin, { Counter, type MetricsPluginOptions } from 'fastify-prometheus'
import { snapshot, assertSeriesChanged } from 'fastify-prometheus/testing'
const options: MetricsPluginOptions = { registry: new Registry(), labels: { tenant: (request, reply) => request.id + reply.statusCode } }
const fastify = Fastify()
await fastify.register(metricsPlugin, options)
fastify.get('/', { config: { metrics: { route: 'root' } } }, async () => fastify.metrics.render())
fastify.get('/quiet', { config: { metrics: false } }, async () => '')
// @ts-expect-error -- a route is named by a string
fastify.get('/wrong', { config: { metrics: { route: 1 } } }, async () => '')
// @ts-expect-error -- no such option
await fastify.register(metricsPlugin, { endpiont: '/metrics' })
const walks = new Counter({ name: 'walks', help: 'Walks.', labelNames: ['size'], registers: [register] })
walks.inc({ size: 'xl' })
// @ts-expect-error -- no such label
walks.inc({ colour: 'brown' })
await assertSeriesChanged(register, await snapshot(register), 'walks', { size: 'xl' }, 1)
`)
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: { target: 'es2022', module: 'nodenext', strict: true, noEmit: true, skipLibCheck: false, exactOptionalPropertyTypes: true, types: ['node'] }, files: ['types.ts'] }))
  const { stdout } = await run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', folder], { cwd: folder }).catch((error: { stdout: string }) => error)
  t.equal(stdout, '')
})

t.test('vitest shows its assertions like its own', async (t) => {
  await writeFile(join(folder, 'sample.test.js'), `
import { Counter, Registry } from 'prom-client'
import { expect, test } from 'vitest'
import { assertSeries, assertSeriesChanged, snapshot } from 'fastify-prometheus/testing'
test('a series', async () => {
  const registry = new Registry()
  const walks = new Counter({ name: 'walks', help: 'x', registers: [registry] })
  const before = await snapshot(registry)
  walks.inc(2)
  await assertSeriesChanged(registry, before, 'walks', {}, 2)
  await expect(assertSeries(registry, 'walks', {}, 3)).rejects.toThrow(/walks is 2, expected 3/)
})
`)
  const { stdout } = await run(process.execPath, [join(root, 'node_modules/vitest/vitest.mjs'), 'run', '--root', folder, '--reporter=json', '--pool=forks'], { cwd: folder, env: { ...process.env, NODE_OPTIONS: '', CI: 'true' } }).catch((error: { stdout: string }) => error)
  const { numPassedTests, numFailedTests } = JSON.parse(stdout.slice(stdout.indexOf('{'))) as { numPassedTests: number, numFailedTests: number }
  t.same([numPassedTests, numFailedTests], [1, 0])
})
