import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { everyBlockIsTaken, guide } from '../support/guide.js'
import { compiled } from '../support/nest.js'
import { unpackPackage } from '../support/package-folder.js'
import { Page } from '../support/page.js'
import { startPostgres } from '../support/postgres.js'

/*
 * docs/nest.md: it is followed from an empty folder, built by tsc and started; then its other files are put there, built and tested. What its tables say
 * of routes, exceptions, guards and middleware is what an application of Nest does.
 */
const root = fileURLToPath(new URL('../..', import.meta.url))
const page = guide('nest')
const install = page.code('sh', 'npm init')
const folder = await unpackPackage(t, `${install.replace(/^npm install.*\n/gm, '')}mkdir node_modules`)
await mkdir(folder.join('src'))

/** Puts files of the page where it says. */
async function put (t: Test, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [file, code] of Object.entries(files)) {
    t.match(page.text, `\`${file}\``, `the page names ${file}`)
    await writeFile(folder.join(file), code)
  }
}

/** What `npx tsc` says in the folder. */
async function tsc (): Promise<string> {
  return await folder.output(process.execPath, [join(root, 'node_modules/typescript/bin/tsc')]).catch(({ stdout }: { stdout: string }) => stdout)
}

/** Runs a program of TypeScript that may use what was built, and gives what it printed. */
async function run (file: string, code: string): Promise<string> {
  return await folder.node(file, `import 'reflect-metadata'\n${compiled(code)}`)
}

/** The begin of programs that ask an application of Nest, and print its page and statuses. */
const APPLICATION = `import { Catch, Controller, Get, Injectable, Module, NotFoundException, ParseIntPipe, Param, Post, Body, UseFilters, UseGuards, Version, VersioningType } from '@nestjs/common'
import { APP_GUARD, NestFactory } from '@nestjs/core'
import { FastifyAdapter, RouteConfig } from '@nestjs/platform-fastify'
import { metricsPlugin } from 'fastify-prometheus'
import { Registry } from 'prom-client'
const make = async (AppModule, options, set = (app) => {}) => {
  const registry = new Registry()
  const adapter = new FastifyAdapter()
  await adapter.getInstance().register(metricsPlugin, { registry, runtime: false, ...options })
  const app = await NestFactory.create(AppModule, adapter, { logger: false })
  set(app)
  await app.init()
  await adapter.getInstance().ready()
  return { app, adapter, ask: async (url, more) => (await app.inject({ url, ...more })).statusCode, page: () => adapter.getInstance().metrics.render() }
}
const busy = (ms) => { for (const end = performance.now() + ms; performance.now() < end;); }
`

t.test('a service: it is installed, built and started, and has the metrics that the page shows', async (t) => {
  const { devDependencies } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { devDependencies: Record<string, string> }
  for (const name of install.match(/(?<=npm install.*) (?!-)\S+/g) ?? []) t.ok(name.trim() in devDependencies || name === ' fastify-prometheus', `npm install${name}`)
  t.notMatch(install, / fastify[ \n]/, 'Nest brings fastify')
  await put(t, {
    'tsconfig.json': page.code('json', 'experimentalDecorators'),
    'src/dogs.controller.ts': page.code('ts', 'class DogsController'),
    'src/app.module.ts': page.code('ts', 'controllers: [DogsController] })'),
    // Told to log, as the test waits for Fastify to say that it listens.
    'src/main.ts': page.code('ts', 'app.listen').replace('new FastifyAdapter()', 'new FastifyAdapter({ logger: true })')
  })
  t.equal(page.code('sh', 'dist/main.js'), 'npx tsc\nnode dist/main.js\n')
  t.equal(await tsc(), '')
  const url = await folder.run(t, ['dist/main.js'])
  await folder.shell(page.code('sh', 'curl').replaceAll('http://localhost:3000', url))
  const { text } = new Page(await (await fetch(`${url}/metrics`)).text())
  const lines = page.code('text', 'http_requests_received_total').trim().split('\n')
  t.equal(lines.length, 3)
  for (const line of lines) t.ok(text.split('\n').includes(line), line)
})

t.test('the plugin can be registered at the application, and not once it listens', async (t) => {
  const rows = page.table('where', '')
  t.equal(await run('places.js', `${APPLICATION}
@Controller('dogs')
class Dogs {
  @Get() all () { return [] }
}
@Module({ controllers: [Dogs] })
class AppModule {}
const app = await NestFactory.create(AppModule, new FastifyAdapter(), { logger: false })
await app.register(metricsPlugin, { registry: new Registry() })
await app.listen(0, '127.0.0.1')
await app.inject('/dogs')
console.log((await app.getHttpAdapter().getInstance().metrics.render()).includes('http_requests_received_total{method="GET",route="/dogs",scheme="http"} 1'))
await app.close()
const late = await NestFactory.create(AppModule, new FastifyAdapter(), { logger: false, abortOnError: false })
await late.listen(0, '127.0.0.1')
try {
  await late.getHttpAdapter().getInstance().register(metricsPlugin)
} catch (error) {
  console.log(error.code)
}
await late.close()
`), `true\n${/AVV_\w+/.exec(rows[1]?.[1] ?? '')?.[0]}\n`)
})

t.test('routes: the labels that the table says', async (t) => {
  const first = "@Get(':id') @Version('1') v1 () { return 1 }"
  const second = "@Get(':id') @Version('2') v2 () { return 2 }"
  const header = "app.setGlobalPrefix('api'); app.enableVersioning({ type: VersioningType.HEADER, header: 'version' })"
  /** What each row of the table is: its settings, the requests, and the routes that they have. */
  const rows: Array<[told: string, set: string, asked: string[], routes: string[], more?: string]> = [
    ["@Get(':id')", '', ['/dogs/1'], ['/dogs/:id']],
    ["app.setGlobalPrefix('api')", "app.setGlobalPrefix('api')", ['/api/dogs/1'], ['/api/dogs/:id']],
    ['app.enableVersioning()', "app.setGlobalPrefix('api'); app.enableVersioning()", ['/api/v1/dogs/1'], ['/api/v1/dogs/:id'], first],
    ['VersioningType.HEADER', header, ['/api/dogs/1 1', '/api/dogs/1 2'], ['/api/dogs/:id'], `${first}\n${second}`],
    ["@Get('files/*')", '', ['/dogs/files/a/b'], ['/dogs/files/*']],
    ["@RouteConfig({ metrics: { route: 'dog' } })", '', ['/dogs/of/named'], ['dog']],
    ['@RouteConfig({ metrics: false })', '', ['/dogs/of/quiet'], []],
    ['a path that no controller has', '', ['/cats/1'], ['__unmatched__']]
  ]
  const printed = await run('routes.js', APPLICATION + rows.map(([, set, asked, , more = '']) => `{
  @Controller({ path: 'dogs' })
  class Dogs {
    ${more}
    @Get(':id') one () { return 'one' }
    @Get('files/*') file () { return 'file' }
    @Get('of/named') @RouteConfig({ metrics: { route: 'dog' } }) named () { return 'named' }
    @Get('of/quiet') @RouteConfig({ metrics: false }) quiet () { return 'quiet' }
  }
  @Module({ controllers: [Dogs] })
  class AppModule {}
  const { app, ask, page } = await make(AppModule, {}, (app) => { ${set} })
  for (const asked of ${JSON.stringify(asked)}) await ask(...asked.split(' ').map((part, i) => i === 0 ? part : { headers: { version: part } }))
  console.log('#page ' + await ask('/metrics') + '\\n' + await page())
  await app.close()
}
`).join(''))
  const pages = printed.split(/^#page /m).slice(1)
  const table = page.table('in Nest', '`route`')
  t.same([table.length, pages.length], [rows.length, rows.length])
  for (const [i, [told, , , routes]] of rows.entries()) {
    const [cell = '', label = ''] = table[i] ?? []
    const [, status, text = ''] = /^(\d+)\n([^]*)$/.exec(pages[i] ?? '') ?? []
    t.ok(cell.includes(told), told)
    t.same(new Page(text).values('http_requests_received_total', 'route'), routes, told)
    t.equal(status, '200', 'the page stays where it was')
    t.equal(/^`([^`]+)`/.exec(label)?.[1], routes[0], label)
  }
})

t.test('server-sent events are streams that are open', async (t) => {
  const controller = page.code('ts', '@Sse')
  await writeFile(folder.join('src/walks.controller.ts'), controller)
  t.equal(await run('events.js', `${controller}
${APPLICATION.replace('Controller, ', '').replace(', RouteConfig', '')}
@Module({ controllers: [WalksController] })
class AppModule {}
const { app, page } = await make(AppModule, {})
await app.listen(0, '127.0.0.1')
const client = new AbortController()
const { body } = await fetch(await app.getUrl() + '/walks/positions', { signal: client.signal })
const reader = body.getReader()
await reader.read()
console.log(/^http_streams_open.*positions.* (\\d+)$/m.exec(await page())[1])
client.abort()
await app.close()
`), '1\n')
})

t.test('guards and the like take their time in the handler, and middleware before it', async (t) => {
  const printed = await run('times.js', `${APPLICATION}
@Injectable()
class Slow {
  canActivate () { busy(60); return true }
}
@Controller('dogs')
class Dogs {
  @Get('guarded') @UseGuards(Slow) guarded () { return 'x' }
  @Get('plain') plain () { return 'x' }
}
@Module({ controllers: [Dogs] })
class AppModule {
  configure (consumer) { consumer.apply((request, response, next) => { busy(60); next() }).forRoutes('dogs/plain') }
}
const { app, ask, page } = await make(AppModule, {})
for (const path of ['guarded', 'plain']) await ask('/dogs/' + path)
console.log(await page())
await app.close()
`)
  const metrics = new Page(printed)
  const seconds = (name: string, route: string) => metrics.sum(`http_${name}_duration_seconds_sum`, { route: `/dogs/${route}` })
  t.ok(seconds('handler', 'guarded') >= 0.06, `${seconds('handler', 'guarded')}`)
  t.ok(seconds('request', 'plain') >= 0.06, `${seconds('request', 'plain')}`)
  // A handler may end after its request, so one cannot be taken from the other.
  t.ok(seconds('handler', 'plain') < 0.05, `${seconds('handler', 'plain')}`)
})

t.test('exceptions: the statuses and types that the table says', async (t) => {
  const printed = await run('exceptions.js', `${APPLICATION}
@Injectable()
class Closed {
  canActivate () { return false }
}
@Catch(RangeError)
class Teapot {
  catch (error, host) { host.switchToHttp().getResponse().code(418).send('teapot') }
}
@Controller('dogs')
class Dogs {
  @Get('0') @UseGuards(Closed) closed () { return 'never' }
  @Get('1') lost () { throw new NotFoundException() }
  @Get('2') broken () { throw new TypeError('broken') }
  @Get('3') @UseFilters(Teapot) teapot () { throw new RangeError('short') }
  @Get('4') never () { return 'never' }
  @Get('of/:id') piped (@Param('id', ParseIntPipe) id) { return id }
  @Post() made (@Body() body) { return body }
}
@Module({ controllers: [Dogs] })
class AppModule {
  configure (consumer) { consumer.apply(() => { throw new RangeError('middleware') }).forRoutes('dogs/4') }
}
const { app, ask, page } = await make(AppModule, {})
const post = (payload) => ask('/dogs', { method: 'POST', payload, headers: { 'content-type': 'application/json' } })
const statuses = []
for (let i = 0; i < 5; i++) statuses.push(await ask('/dogs/' + i))
statuses.push(await post('{'), await post('"' + 'x'.repeat(2 ** 20) + '"'))
console.log(statuses.join(' '))
console.log(await ask('/dogs/of/x'))
console.log(await page())
await app.close()
`)
  const [statuses = '', piped, ...text] = printed.split('\n')
  const rows = page.table('what happens', 'status', 'in `http_exceptions_total`')
  t.equal(rows.length, 7)
  t.same(rows.map(([, status = '']) => status === 'the status of the filter' ? '418' : status), statuses.split(' '))
  t.equal(piped, '400', 'a pipe')
  const metrics = new Page(text.join('\n'))
  t.same(metrics.values('http_exceptions_total', 'type').sort(), rows.flatMap(([, , type = '']) => type === 'no' ? [] : [type.replaceAll('`', '')]).sort())
  for (const status of new Set(statuses.split(' '))) t.ok(metrics.sum('http_request_duration_seconds_count', { status_code: status }) > 0, status)
})

t.test('the page: guards do not protect it; a port of its own, a token, and middleware', async (t) => {
  t.equal(await run('guards.js', `${APPLICATION}
import bearerAuth from '@fastify/bearer-auth'
@Injectable()
class Closed {
  canActivate () { return false }
}
@Controller('dogs')
class Dogs {
  @Get() all () { return [] }
}
const seen = []
const of = (...excluded) => {
  @Module({ controllers: [Dogs], providers: [{ provide: APP_GUARD, useClass: Closed }] })
  class AppModule {
    configure (consumer) { consumer.apply((request, response, next) => { seen.push(request.originalUrl); next() }).exclude(...excluded).forRoutes('*path') }
  }
  return AppModule
}
for (const excluded of [[], ['metrics']]) {
  const { app, ask } = await make(of(...excluded), {})
  console.log(await ask('/dogs'), await ask('/metrics'), seen.splice(0).join(' '))
  await app.close()
}
{
  const { app, ask } = await make(of(), {}, (app) => app.setGlobalPrefix('api'))
  console.log(await ask('/api/dogs'), await ask('/metrics'), seen.splice(0).join(' '))
  await app.close()
}
const start = async (adapter) => {
  const app = await NestFactory.create(of(), adapter, { logger: false })
  await app.init()
  await adapter.getInstance().ready()
  return app
}
{
  const adapter = new FastifyAdapter()
  ${page.code('ts', 'port: 9464').replace('9464', '0').replace('0.0.0.0', '127.0.0.1')}
  const app = await start(adapter)
  const { status } = await fetch(adapter.getInstance().metrics.server.url)
  console.log(status, (await app.inject('/metrics')).statusCode, seen.splice(0).join(' '))
  await app.close()
}
{
  const [adapter, token] = [new FastifyAdapter(), 'a token of the test']
  ${page.code('ts', 'bearerAuth')}
  const app = await start(adapter)
  const status = async (token) => (await app.inject({ url: '/metrics', headers: { authorization: 'Bearer ' + token } })).statusCode
  console.log(await status('another'), await status(token), (await app.inject('/dogs')).statusCode)
  await app.close()
}
`), `403 200 /dogs /metrics
403 200 /dogs
403 200 /api/dogs
200 404 /metrics
401 200 403
`)
})

t.test('metrics of your own: the files are built, the tests pass, and fail where they are wrong', async (t) => {
  await put(t, {
    'src/counting.filter.ts': page.code('ts', 'class CountingFilter'),
    'src/metrics.module.ts': page.code('ts', 'class AppMetrics'),
    'src/walks.service.ts': page.code('ts', 'class WalksService'),
    'src/app.module.ts': page.code('ts', 'MetricsModule.with(registry)'),
    'src/create-app.ts': page.code('ts', 'function createApp'),
    'src/database.module.ts': page.code('ts', 'class DatabaseModule'),
    'src/dogs.test.ts': page.code('ts', 'node:test')
  })
  const [made = '', listening = ''] = page.inline.filter((code) => code.startsWith('const app = await createApp') || code.startsWith('await app.listen'))
  await writeFile(folder.join('src/main.ts'), `import { createApp } from './create-app.js'\n${made}\n${listening.replace('3000', '0')}\nawait app.close()\n`)
  await writeFile(folder.join('src/endpoints.ts'), `import bearerAuth from '@fastify/bearer-auth'
import { FastifyAdapter } from '@nestjs/platform-fastify'
import { metricsPlugin } from 'fastify-prometheus'
const token = 'a token of the test'
export async function withPort (adapter: FastifyAdapter): Promise<void> {
${page.code('ts', 'port: 9464')}}
export async function withToken (adapter: FastifyAdapter): Promise<void> {
${page.code('ts', 'bearerAuth')}}
`)
  t.equal(await tsc(), '')
  t.match(await folder.output(process.execPath, ['dist/main.js']), 'successfully started')
  t.equal(page.code('sh', 'node --test'), 'npx tsc\nnode --test dist/dogs.test.js\n')
  const tested = (file: string) => folder.output(process.execPath, ['--test', '--test-reporter=tap', file]).catch(({ stdout }: { stdout: string }) => stdout)
  const said = await tested('dist/dogs.test.js')
  t.match(said, /^# pass 2$/m, said)
  t.match(said, /^# fail 0$/m)
  await writeFile(folder.join('dist/wrong.test.js'), (await readFile(folder.join('dist/dogs.test.js'), 'utf8')).replace('NotFoundException', 'FoundException').replace("'xl' }, 1", "'s' }, 1"))
  t.match(await tested('dist/wrong.test.js'), /^# fail 2$/m)
})

t.test('the filter counts errors of a body, which Fastify sees too', async (t) => {
  const metrics = new Page(await run('filter.js', `${APPLICATION}
import { APP_FILTER } from '@nestjs/core'
import { CountingFilter } from './dist/counting.filter.js'
import { MetricsModule } from './dist/metrics.module.js'
@Controller('dogs')
class Dogs {
  @Post() made (@Body() body) { return body }
}
const registry = new Registry()
@Module({ imports: [MetricsModule.with(registry)], controllers: [Dogs], providers: [{ provide: APP_FILTER, useClass: CountingFilter }] })
class AppModule {}
const { app, ask, page } = await make(AppModule, { registry })
if (await ask('/dogs', { method: 'POST', payload: '{', headers: { 'content-type': 'application/json' } }) !== 400) throw new Error('not refused')
console.log(await page())
await app.close()
`))
  t.equal(metrics.sum('http_exceptions_total', { type: 'FST_ERR_CTP_INVALID_JSON_BODY' }), 1)
  t.equal(metrics.sum('nest_exceptions_total'), 1)
})

t.test('TypeORM: the data source is observed, and closed with the application', async (t) => {
  const server = await startPostgres()
  t.teardown(() => server.close())
  const { host, port, user, password, database } = server.config
  const url = `postgres://${user}:${encodeURIComponent(password)}@${encodeURIComponent(host)}:${port}/${database}`
  await writeFile(folder.join('database.js'), `import 'reflect-metadata'\n${compiled(`${APPLICATION}
import { register } from 'prom-client'
import { DataSource } from 'typeorm'
import { DatabaseModule, Dog } from './dist/database.module.js'
const { app, page } = await make(DatabaseModule, { registry: register })
const dataSource = app.get(DataSource)
await dataSource.manager.save(dataSource.manager.create(Dog, { name: 'Rex' }))
console.log(await page())
await app.close()
console.log('initialized ' + dataSource.isInitialized)
`)}`)
  const printed = await folder.output(process.execPath, ['database.js'], { DATABASE_URL: url })
  const lines = page.code('text', 'model_inserts_total').trim().split('\n')
  t.equal(lines.length, 3)
  for (const line of lines) t.ok(printed.split('\n').includes(line), line)
  t.match(printed, /^initialized false$/m)
})

t.test('every block of code was run', (t) => {
  everyBlockIsTaken(t, ['nest'])
  t.same(page.untaken(['json', 'text']), [])
  t.end()
})
