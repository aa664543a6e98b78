import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { everyBlockIsTaken, guide } from '../support/guide.js'
import { compiled, writeAppModule } from '../support/nest.js'
import { ask, scrape } from '../support/neighbours.js'
import { unpackPackage } from '../support/package-folder.js'

/*
 * docs/other-plugins.md: its code runs, and its tables speak of plugins and cures that test/neighbours/ tries.
 */
const root = fileURLToPath(new URL('../..', import.meta.url))
const page = guide('other-plugins')
const folder = await unpackPackage(t)
const begin = `import Fastify from 'fastify'
import { metricsPlugin } from 'fastify-prometheus'
const fastify = Fastify()
`

t.test('a port of its own', async (t) => {
  const own = page.code('js', 'port: 9464').replace('port: 9464', 'port: 0').replace('0.0.0.0', '127.0.0.1')
  t.equal(await folder.node('port.js', `${begin}${own}
await fastify.ready()
console.log((await fetch(fastify.metrics.server.url)).status)
await fastify.close()
`), '200\n')
})

t.test('in TypeScript each cure has its type', async (t) => {
  await writeFile(folder.join('types.ts'), `import Fastify from 'fastify'
import '@fastify/rate-limit'
import { metricsPlugin } from 'fastify-prometheus'
${page.code('ts', 'declare module')}
const fastify = Fastify()
fastify.register(metricsPlugin, { endpoint: { config: { public: true, rateLimit: { max: 60 } } } })
`)
  await writeFile(folder.join('app.module.d.ts'), 'export declare class AppModule {}\n')
  await writeFile(folder.join('nest-types.ts'), page.code('ts', 'NestFactory'))
  await writeFile(folder.join('tsconfig.json'), JSON.stringify({ compilerOptions: { target: 'es2022', module: 'nodenext', strict: true, noEmit: true, skipLibCheck: true, types: ['node'] }, files: ['types.ts', 'nest-types.ts'] }))
  const said = await folder.output(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', folder.path]).catch(({ stdout }: { stdout: string }) => stdout)
  t.equal(said, '')
})

t.test('what no route names: the names that the page says', async (t) => {
  const printed = await folder.node('names.js', `${begin}${page.code('js', 'known.exec')}
fastify.all('/up/*', async () => 'ok')
for (const url of ['/up/walks/7', '/up/nothing']) await fastify.inject(url)
console.log(await fastify.metrics.render())
process.exit()
`)
  for (const route of ['/up/walks', '/up/*']) t.match(printed, `http_requests_received_total{method="GET",route="${route}",scheme="http"} 1`)
})

t.test('GraphQL: the label is the operation', async (t) => {
  const printed = await folder.node('operations.js', `import mercurius from 'mercurius'
${begin}${page.code('js', 'operationName')}
fastify.register(mercurius, { schema: 'type Query { dog: String }', resolvers: { Query: { dog: () => 'Rex' } } })
await fastify.inject({ method: 'POST', url: '/graphql', payload: { query: 'query Dog { dog }', operationName: 'Dog' } })
console.log(await fastify.metrics.render())
process.exit()
`)
  t.match(printed, 'http_request_duration_seconds_count{method="POST",route="/graphql",status_code="200",operation="Dog"} 1')
})

t.test('traces: durations have those of @fastify/otel', async (t) => {
  const printed = await folder.node('traces.js', `import { FastifyOtelInstrumentation } from '@fastify/otel'
import { NodeTracerProvider } from '@opentelemetry/sdk-trace-node'
new NodeTracerProvider().register()
${begin}${page.code('js', 'FastifyOtelInstrumentation')}
fastify.get('/', async () => 'ok')
await fastify.inject('/')
console.log((await fastify.inject({ url: '/metrics', headers: { accept: 'application/openmetrics-text' } })).body)
process.exit()
`)
  t.match(printed, /^http_request_duration_seconds_bucket.* # \{trace_id="\w{32}",span_id="\w{16}"\}/m)
})

t.test('Nest: the application is observed, and fastify.metrics is where the page says', async (t) => {
  await writeAppModule(folder)
  const code = page.code('ts', 'NestFactory').replace('new FastifyAdapter()', 'new FastifyAdapter({ logger: true })').replace('3000', 'Number(process.env.PORT)')
  const url = await folder.start(t, 'nest.js', `import 'reflect-metadata'\n${compiled(code)}
console.log(typeof app.getHttpAdapter().getInstance().metrics.render)`)
  t.equal(await ask(url, '/api/dogs/1'), 200)
  t.same((await scrape(url)).values('http_requests_received_total', 'route'), ['/api/dogs/:id'])
  for (const code of ['{ metrics: false }', "{ metrics: { route: 'named' } }"]) {
    t.ok(page.inline.includes(`@RouteConfig(${code})`))
    t.match(await readFile(join(root, 'test/support/app.module.ts'), 'utf8'), `@RouteConfig(${code})`)
  }
})

t.test('AutoLoad: the file is loaded with its options', async (t) => {
  await mkdir(folder.join('plugins'))
  await writeFile(folder.join('plugins/metrics.js'), page.code('js', 'autoConfig'))
  const printed = await folder.node('autoloaded.js', `import { join } from 'node:path'
import autoload from '@fastify/autoload'
import Fastify from 'fastify'
const fastify = Fastify()
fastify.register(autoload, { dir: join(${JSON.stringify(folder.path)}, 'plugins') })
const page = await fastify.inject({ url: '/metrics', headers: { accept: 'application/openmetrics-text' } })
console.log(page.statusCode, page.body.includes('http_requests_received_created'), page.body.includes('_created'))
process.exit()
`)
  t.equal(printed, '200 false false\n')
})

t.test('each plugin in the tables is installed, and a test has each of their cures', async (t) => {
  const { devDependencies } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { devDependencies: Record<string, string> }
  const folder = join(root, 'test/neighbours')
  const tests = (await Promise.all((await readdir(folder)).map((file) => readFile(join(folder, file), 'utf8')))).join('\n')
  const tables = [page.table('plugin', 'what happens', 'what to do'), page.table('plugin', 'how its requests look', 'what you can change')]
  for (const table of tables) {
    const names = table.map(([name = '']) => name)
    t.same(names, [...names].sort(), 'in the order of the alphabet')
  }
  const rows = tables.flat()
  t.equal(rows.length, 30)
  for (const [name = '', , cure = ''] of rows) {
    t.ok(name in devDependencies, `${name} is installed`)
    t.match(tests, new RegExp(`from '${name}['/]`), `a test has ${name}`)
    for (const [, code = ''] of cure.matchAll(/`([^`]*[:{][^`]*)`/g)) t.ok(tests.includes(code.replace('endpoint: {', '{')) || tests.includes(code.replace(/^endpoint: /, '')), `a test has ${code}`)
  }
})

t.test('every block of code was run', (t) => {
  everyBlockIsTaken(t, ['other-plugins'])
  t.end()
})
