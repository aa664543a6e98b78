import fastifyMysql from '@fastify/mysql'
import fastifyPostgres from '@fastify/postgres'
import fastifyRedis from '@fastify/redis'
import Fastify, { type FastifyInstance } from 'fastify'
import pg from 'pg'
import { Registry } from 'prom-client'
import t, { type Test } from 'tap'
import { DataSource } from 'typeorm'
import { instrumentCache } from '../adapters/cache.js'
import { instrumentMysql, type Mysql2Like } from '../adapters/mysql2.js'
import { instrumentPool } from '../adapters/pg.js'
import { instrumentSqlite } from '../adapters/sqlite.js'
import { instrumentDataSource } from '../adapters/typeorm.js'
import { metricsPlugin, type MetricsPluginOptions } from '../src/index.js'
import { startMariaDb } from './support/mariadb.js'
import { Page } from './support/page.js'
import { startPostgres } from './support/postgres.js'
import { startRedis } from './support/redis.js'
import { loadSqlite } from './support/sqlite.js'

const postgres = await startPostgres()
t.teardown(() => postgres.close())

function application (t: Test): FastifyInstance {
  const app = Fastify()
  t.teardown(() => app.close())
  return app
}

/** The plugin alone, with a registry of its own. */
const options = (observe: unknown, more: MetricsPluginOptions = {}) => ({ registry: new Registry(), runtime: false, ...more, observe: observe as NonNullable<MetricsPluginOptions['observe']> })
const page = async (app: FastifyInstance) => new Page(await app.metrics.render())

function poolOf (t: Test): pg.Pool {
  const pool = new pg.Pool(postgres.config)
  t.teardown(() => pool.ended ? undefined : pool.end())
  return pool
}

t.test('a pool, a data source and a database are observed where the plugin writes, and no longer than the application is open', async (t) => {
  const Database = await loadSqlite(t)
  if (Database === undefined) return
  const app = application(t)
  const pool = poolOf(t)
  const dataSource = new DataSource({ type: 'better-sqlite3', database: ':memory:' })
  const sqlite = new Database(':memory:')
  t.teardown(() => sqlite.close())
  const bare = Reflect.ownKeys(pool)
  await app.register(metricsPlugin, options([
    (scope: object) => instrumentPool(pool, { ...scope, alias: 'main' }),
    (scope: object) => instrumentDataSource(dataSource, { ...scope, alias: 'orm', migrations: false }),
    (scope: object) => instrumentSqlite(sqlite, { ...scope, alias: 'file' })
  ], { prefix: 'dogs_' }))
  await pool.query('SELECT 1')
  sqlite.prepare('SELECT 1').all()
  await dataSource.initialize()
  await dataSource.query('SELECT 1')
  await dataSource.destroy()
  await dataSource.initialize()
  await dataSource.query('SELECT 1')
  const queries = async () => {
    const { samples } = await page(app)
    return Object.fromEntries(['main', 'orm', 'file'].map((alias) => [alias, samples.find(({ name, labels }) => name === 'dogs_db_query_duration_seconds_count' && labels['alias'] === alias && labels['operation'] === 'select')?.value]))
  }
  t.same(await queries(), { main: 1, orm: 2, file: 1 }, 'the data source is followed through destroy and initialize')
  t.equal((await page(app)).sum('dogs_db_pool_connections', { alias: 'main' }), 1)
  await app.close()
  await pool.query('SELECT 1')
  sqlite.prepare('SELECT 1').all()
  await dataSource.query('SELECT 1')
  t.same(await queries(), { main: 1, orm: 2, file: 1 }, 'nothing is counted after the end')
  t.same((await page(app)).of('dogs_db_pool_connections'), [])
  t.same(Reflect.ownKeys(pool), bare, 'the pool is as it was')
  await dataSource.destroy()
})

t.test('what else the plugin was given is in the scope; a source of exemplars of requests is not', async (t) => {
  const scopes: unknown[] = []
  const observe = [(scope: unknown, fastify: FastifyInstance) => { scopes.push(scope, fastify.metrics.registry); return () => {} }]
  const registry = new Registry()
  for (const exemplars of [undefined, true, false, () => ({ of: 'request' })]) {
    const app = application(t)
    await app.register(metricsPlugin, options(observe, { registry, prefix: `a${scopes.length}_`, maxSeries: 50, nativeHistograms: 1.2, ...exemplars !== undefined && { exemplars } }))
    await app.close()
  }
  t.same(scopes.filter((_, i) => i % 2 === 0), [undefined, undefined, false, undefined].map((exemplars, i) => ({ registry, prefix: `a${i * 2}_`, maxSeries: 50, nativeHistograms: 1.2, exemplars })))
  t.ok(scopes.every((each, i) => i % 2 === 0 ? Object.isFrozen(each) : each === registry))
  const pool = poolOf(t)
  const app = application(t)
  await app.register(metricsPlugin, options([(scope: object) => instrumentPool(pool, scope)]))
  await app.ready()
})

t.test('pools that another plugin makes are observed when all plugins are loaded, wherever that is registered', async (t) => {
  const app = application(t)
  await app.register(metricsPlugin, options([
    { onReady: (scope: object, fastify: FastifyInstance) => instrumentPool(fastify.pg.pool, { ...scope, alias: 'walks' }) },
    { onReady: (scope: object, fastify: FastifyInstance) => instrumentPool((fastify.pg as unknown as Record<string, { pool: pg.Pool }>)['dogs']?.pool as pg.Pool, { ...scope, alias: 'dogs' }) }
  ]))
  app.register(fastifyPostgres, postgres.config)
  app.register(fastifyPostgres, { ...postgres.config, name: 'dogs' })
  app.get('/', async () => (await app.pg.query('SELECT 1')).rows)
  t.equal((await app.inject('/')).statusCode, 200)
  await app.pg.transact(async (client) => { await client.query('SELECT 2') })
  const shown = await page(app)
  t.equal(shown.sum('db_query_duration_seconds_count', { alias: 'walks', operation: 'select' }), 2)
  t.equal(shown.sum('db_pool_connections', { alias: 'walks', state: 'idle' }), 1)
  t.equal(shown.sum('db_connections_opened_total', { alias: 'walks' }), 1)
  t.equal(shown.sum('db_pool_connections_max', { alias: 'dogs' }), 10)
  await app.close()
  t.equal((await page(app)).sum('db_connections_closed_total', { alias: 'walks' }), 1, 'the undo comes after the end of what was registered later')
})

t.test('@fastify/mysql', async (t) => {
  const mariadb = await startMariaDb(t)
  if (mariadb === undefined) return
  for (const promise of [false, true]) {
    const app = application(t)
    await app.register(metricsPlugin, options([{ onReady: (scope: object, fastify: FastifyInstance) => instrumentMysql((fastify as unknown as { mysql: { pool: Mysql2Like } }).mysql.pool, scope) }]))
    app.register(fastifyMysql, { ...mariadb.config, promise } as never)
    await app.ready()
    const { mysql } = app as unknown as { mysql: { query: (sql: string, done?: (error: unknown) => void) => unknown } }
    if (promise) await mysql.query('SELECT 1')
    else t.notOk(await new Promise((resolve) => { mysql.query('SELECT 1', resolve) }))
    const shown = await page(app)
    t.equal(shown.sum('db_query_duration_seconds_count', { alias: 'default', operation: 'select' }), 1)
    t.equal(shown.sum('db_pool_connections', { state: 'idle' }), 1)
    await app.close()
  }
})

t.test('@fastify/redis', async (t) => {
  const redis = await startRedis(t)
  if (redis === undefined) return
  const app = application(t)
  await app.register(metricsPlugin, options([{ onReady: (scope: object, fastify: FastifyInstance) => instrumentCache(fastify.redis, { ...scope, backend: 'sessions' }) }]))
  app.register(fastifyRedis, { host: '127.0.0.1', port: redis.port })
  await app.ready()
  await app.redis.set('a', '1')
  await app.redis.get('a')
  await app.redis.get('b')
  const shown = await page(app)
  t.equal(shown.sum('cache_hits_total', { backend: 'sessions' }), 1)
  t.equal(shown.sum('cache_misses_total', { backend: 'sessions' }), 1)
  await app.close()
})

t.test('a wrong object is refused when the plugin is registered, under the name of the option; what came before is undone', async (t) => {
  const undone: string[] = []
  const undo = (name: string) => () => () => { undone.push(name) }
  const refused = async (observe: unknown) => await application(t).register(metricsPlugin, options(observe)).then(() => undefined, (error: unknown) => error)
  t.match(await refused([undo('one'), undo('two'), (scope: object) => instrumentPool({} as never, scope)]), {
    code: 'FP_ERR_INVALID_TARGET', message: /^FP_ERR_INVALID_TARGET: metricsPlugin option 'observe\[2\]': instrumentPool expects a Pool of pg, got {}/
  })
  t.same(undone, ['two', 'one'])
  t.match(await refused([(scope: object) => instrumentPool(poolOf(t), { ...scope, alias: 5 as never })]), { code: 'FP_ERR_INVALID_OPTION', message: /metricsPlugin option 'observe\[0\]': instrumentPool option 'alias' must be/ })
  const wrong: Array<[observe: unknown, message: RegExp]> = [
    [{}, /option 'observe' must be an array of functions, got {}/],
    [[poolOf(t)], /option 'observe\[0\]\.\S+' must be left out: give a function/],
    [[undo('x'), 5], /option 'observe\[1\]' must be a function that is given the scope and returns the undo, or { onReady } with such a function, got 5/],
    [[{ onReady: 'now' }], /option 'observe\[0\]\.onReady' must be a function .* got a string of 3 characters/],
    [[{ onready: undo('x') }], /option 'observe\[0\]\.onready' must be left out/],
    [[{}], /option 'observe\[0\]\.onReady' must be a function .* got undefined/],
    [[() => {}], /option 'observe\[0\]' must be a function that returns the undo which an adapter gave, got undefined/],
    [[async () => () => {}], /option 'observe\[0\]' must be a function that returns the undo which an adapter gave, got a promise/]
  ]
  for (const [observe, message] of wrong) t.match(await refused(observe), { code: 'FP_ERR_INVALID_OPTION', message }, String(message))
  t.match(await refused([() => { throw new TypeError("the application's own") }]), { name: 'TypeError', message: "the application's own" })

  const late = application(t)
  await late.register(metricsPlugin, options([undo('three'), { onReady: (scope: object, fastify: FastifyInstance) => instrumentPool(fastify.pg as never, scope) }]))
  await t.rejects(async () => { await late.ready() }, { code: 'FP_ERR_INVALID_TARGET', message: /metricsPlugin option 'observe\[1\]\.onReady': instrumentPool expects a Pool of pg, got undefined/ })
  t.equal(undone.at(-1), 'three')
})

t.test('who names the objects themselves is told what to write', async (t) => {
  for (const name of ['pools', 'dataSources', 'caches']) {
    await t.rejects(async () => { await application(t).register(metricsPlugin, { registry: new Registry(), [name]: {} } as MetricsPluginOptions) }, {
      code: 'FP_ERR_INVALID_OPTION', message: new RegExp(`option '${name}' must be left out; write 'observe' here, with functions that call the adapters`)
    })
  }
})

t.test('an undo that fails hinders neither the others nor the end of the application', async (t) => {
  const undone: string[] = []
  const app = application(t)
  await app.register(metricsPlugin, options([() => () => { undone.push('first') }, () => () => { throw new Error('of an undo') }, () => () => { undone.push('third') }]))
  await app.close()
  t.same(undone, ['third', 'first'])
  t.equal((await page(app)).sum('metrics_instrumentation_errors_total', { source: 'observe' }), 1)
})

t.test('what the application observes itself is observed once', async (t) => {
  const registry = new Registry()
  const pool = poolOf(t)
  const app = application(t)
  const undo = instrumentPool(pool, { registry })
  await app.register(metricsPlugin, options([(scope: object) => instrumentPool(pool, scope)], { registry }))
  await pool.query('SELECT 1')
  t.equal((await page(app)).sum('db_query_duration_seconds_count'), 1)
  undo()
})
