import { readFile, writeFile } from 'node:fs/promises'
import { dirname, join, posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { Guide } from './support/guide.js'
import { unpackPackage } from './support/package-folder.js'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
/** An empty project with the tarball of what `npm run build` made in it. */
const folder = await unpackPackage(t)

const readme = new Guide(join(root, 'README.md'))

t.test('README: what a newcomer pastes into an empty folder runs, and the page has the lines that it shows', async (t) => {
  const [first, install] = readme.blocks
  t.equal(first?.language, 'text', 'README begins with what it looks like')
  t.match(install, { language: 'sh', code: /^npm install / }, 'and then is for who installs it, not for who works on it')
  const { name, peerDependencies, devDependencies } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { name: string, peerDependencies: Record<string, string>, devDependencies: Record<string, string> }
  for (const each of [...readme.of('sh').join('\n').matchAll(/npm install (.+)$/gm)].flatMap(([, names = '']) => names.split(' '))) {
    t.ok(each === name || each in peerDependencies || each in devDependencies, `${each} is the package, one of its peers, or what it was tried with`)
  }
  t.equal(readme.code('sh', 'node service.mjs'), 'node service.mjs\n')
  const program = readme.code('js', 'fastify.listen')
  t.ok(program.split('\n').length <= 20, 'it is short')
  const url = await folder.start(t, 'service.mjs', program)
  const page = await folder.shell(readme.code('sh', 'curl').replaceAll('http://localhost:3000', url))
  for (const line of first?.code.trim().split('\n') ?? []) t.ok(page.split('\n').includes(line), line)
})

t.test("README's five calls work in an empty project against the packed tarball", async (t) => {
  const code = readme.code('js', '// 1. HTTP, and the page')
  const page = await folder.node('calls.mjs', `
import { DataSource, EntitySchema } from 'typeorm'
const Walk = new EntitySchema({ name: 'Walk', columns: { id: { type: 'int', primary: true, generated: true }, distance: { type: 'int' } } })
const dataSource = new DataSource({ type: 'sqljs', entities: [Walk], synchronize: true })
${code}
await dataSource.getRepository('Walk').save({ distance: 800 })
redis.on('error', () => {})
redis.disconnect()
await redis.get('rex').catch(() => {})
fastify.get('/', async () => 'ok')
await fastify.inject('/')
const url = await fastify.listen()
await (await fetch(url)).text()
process.stdout.write((await fastify.inject('/metrics')).body)
process.exit()
`)
  for (const line of [
    'http_requests_received_total{method="GET",route="/",scheme="http"} 2',
    'model_inserts_total{model="walk"} 1',
    'db_pool_connections_max{alias="default",vendor="postgresql"} 10',
    'cache_errors_total{backend="sessions",operation="get",type="Error"} 1',
    'status_code="200"} 1',
    'process_cpu_user_seconds_total'
  ]) t.match(page, line)
  t.match(page, /db_query_duration_seconds_count\{alias="orm",vendor="sqlite",operation="insert"\} 1/)
})

/** Where a page of Markdown can be linked to: its headings, as GitHub and npm name them. */
function anchors (page: string): string[] {
  return [...page.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => heading.toLowerCase().replace(/[^\p{Letter}\p{Number}\s_-]/gu, '').replaceAll(' ', '-'))
}

t.test('no page in the package links to a file, picture or heading that is not in it', async (t) => {
  const pages = folder.files.filter((file) => file.endsWith('.md'))
  t.ok(pages.includes('README.md') && pages.includes('docs/README.md'))
  let links = 0
  for (const page of pages) {
    const text = (await readFile(folder.join('package', page), 'utf8')).replace(/```[^]*?```|`[^`\n]*`/g, '')
    for (const [, ...found] of text.matchAll(/\]\(([^)\s]+)[^)]*\)|(?:src|href)="([^"]+)"|^\[[^\]]+\]:\s*(\S+)/gm)) {
      const link = found.find((each) => each !== undefined) as string
      if (/^[a-z]+:/.test(link)) continue
      links++
      const [path = '', anchor] = link.split('#')
      const file = path === '' ? page : posix.normalize(posix.join(posix.dirname(page), path))
      t.ok(folder.files.some((each) => each === file || each.startsWith(`${file.replace(/\/$/, '')}/`)), `${page}: ${link}`)
      if (anchor !== undefined && folder.files.includes(file)) t.ok(anchors(await readFile(folder.join('package', file), 'utf8')).includes(anchor), `${page}: ${link} is a heading`)
    }
  }
  t.ok(links > 20)
})

t.test('require() gives the same names', async (t) => {
  t.equal(await folder.node('common.cjs', "console.log(typeof require('fastify-prometheus').metricsPlugin, typeof require('fastify-prometheus/pg').instrumentPool)", '--no-warnings'), 'function function\n')
})

t.test('the published types stand on their own, without skipLibCheck', async (t) => {
  await writeFile(folder.join('types.ts'), `
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
  await writeFile(folder.join('tsconfig.json'), JSON.stringify({ compilerOptions: { target: 'es2022', module: 'nodenext', strict: true, noEmit: true, skipLibCheck: false, exactOptionalPropertyTypes: true, types: ['node'] }, files: ['types.ts'] }))
  const said = await folder.output(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', folder.path]).catch(({ stdout }: { stdout: string }) => stdout)
  t.equal(said, '')
})

t.test('each call takes what its drivers give, by their own types', async (t) => {
  await writeFile(folder.join('calls.ts'), `
import Fastify from 'fastify'
import { metricsPlugin, instrumentLogger } from 'fastify-prometheus'
import { instrumentCache } from 'fastify-prometheus/cache'
import { instrumentMysql } from 'fastify-prometheus/mysql2'
import { instrumentPg, instrumentPool } from 'fastify-prometheus/pg'
import { instrumentSqlite } from 'fastify-prometheus/sqlite'
import { instrumentDataSource } from 'fastify-prometheus/typeorm'
import { instrumentOutgoing } from 'fastify-prometheus/undici'
import { DatabaseRecorder, readDatabaseScope } from 'fastify-prometheus/adapter'
import { createCache } from 'cache-manager'
import { Cluster, Redis } from 'ioredis'
import Keyv from 'keyv'
import { LRUCache } from 'lru-cache'
import mysql from 'mysql2'
import promised from 'mysql2/promise'
import pg from 'pg'
import { createClient, createClientPool, createCluster } from 'redis'
import { DataSource } from 'typeorm'
const fastify = Fastify()
// node:sqlite has no types before Node 22.
declare const database: { prepare (sql: string): object, exec (sql: string): void, close (): void }
const undos: Array<() => void> = [
  instrumentPool(new pg.Pool()), instrumentPool(new (instrumentPg(pg).Pool)(), { alias: 'main' }),
  instrumentMysql(mysql.createPool('')), instrumentMysql(promised.createPool('')), instrumentMysql(mysql.createConnection('')), instrumentMysql(await promised.createConnection('')),
  instrumentMysql(mysql.createPoolCluster()), instrumentMysql(promised.createPoolCluster()),
  instrumentSqlite(database, { buckets: [1, 2] }),
  instrumentDataSource(new DataSource({ type: 'postgres' })),
  instrumentCache(new Redis()), instrumentCache(new Cluster([])), instrumentCache(createClient()), instrumentCache(createClientPool()), instrumentCache(createCluster({ rootNodes: [] })),
  instrumentCache(new Keyv()), instrumentCache(createCache()), instrumentCache(new LRUCache<string, object>({ max: 1 })), instrumentCache(new Map<string, number>(), { backend: 'map' }),
  instrumentOutgoing({ hosts: ['example.com'] }),
  instrumentLogger(fastify.log as typeof fastify.log & { child (): unknown })
]
// @ts-expect-error -- no pool
instrumentPool(new Redis())
// @ts-expect-error -- no such option
instrumentCache(new Redis(), { alias: 'sessions' })
await fastify.register(metricsPlugin, {
  build: { version: '1.0.0' },
  metrics: { nodejs_gc_duration_seconds: false, log_messages_total: true, http_request_outgoing_requests: true },
  observe: [(scope) => instrumentCache(new Map<string, number>(), scope), { onReady: (scope, app) => instrumentOutgoing({ ...scope, maxHosts: app.initialConfig.maxParamLength ?? 1 }) }]
})
new DatabaseRecorder(readDatabaseScope('observed', { alias: 'x' }), 'postgresql', 'mine', false).queryStarted('SELECT 1')
for (const undo of undos) undo()
`)
  await writeFile(folder.join('tsconfig.json'), JSON.stringify({ compilerOptions: { target: 'es2022', module: 'nodenext', strict: true, noEmit: true, skipLibCheck: true, exactOptionalPropertyTypes: true, types: ['node'] }, files: ['calls.ts'] }))
  const said = await folder.output(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', folder.path]).catch(({ stdout }: { stdout: string }) => stdout)
  t.equal(said, '')
})

t.test('vitest shows its assertions like its own', async (t) => {
  await writeFile(folder.join('sample.test.js'), `
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
  const vitest = [join(root, 'node_modules/vitest/vitest.mjs'), 'run', '--root', folder.path, '--reporter=json', '--pool=forks']
  const stdout = await folder.output(process.execPath, vitest, { CI: 'true' }).catch(({ stdout }: { stdout: string }) => stdout)
  const { numPassedTests, numFailedTests } = JSON.parse(stdout.slice(stdout.indexOf('{'))) as { numPassedTests: number, numFailedTests: number }
  t.same([numPassedTests, numFailedTests], [1, 0])
})
