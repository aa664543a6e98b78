import Fastify from 'fastify'
import pg from 'pg'
import { Registry } from 'prom-client'
import * as promClient from 'prom-client'
import t from 'tap'
import { DataSource, EntitySchema } from 'typeorm'
import { instrumentPg, instrumentPool } from '../../adapters/pg.js'
import { instrumentDataSource, modelOpsSubscriber, refreshMigrations } from '../../adapters/typeorm.js'
import { assertSeriesChanged, assertSeriesUnchanged, snapshot } from '../../src/testing/index.js'

const config = { type: 'postgres', url: 'postgres://bob:s3cret@db/dogs' } as const
const dataSource = new DataSource({ ...config, entities: [new EntitySchema({ name: 'Walk', columns: { id: { type: 'int', primary: true } } })] })
const pool = new pg.Pool({ connectionString: config.url })
const other = (fields: object) => fields as unknown
const nothing = () => {}

/** What may be given instead of a pool, pg or a data source, and what the error says of it. */
const MISTAKEN: ReadonlyArray<readonly [what: string, value: unknown, advice: RegExp]> = [
  ['nothing', undefined, /got undefined/], ['null', null, /got null/], ['a number', 5, /got 5/], ['a function', nothing, /got a function/],
  ['a pool that is not awaited', Promise.resolve(pool), /a promise: is an 'await' missing\?/], ['an address', config.url, /a string of \d+ characters; pass the object itself/],
  ['a configuration', { connectionString: config.url }, /an object with 1 key; it looks like the configuration/], ['options of a data source', config, /looks like the configuration/],
  ['the class of pools', pg.Pool, /it is a class: pass an instance/], ['the class of data sources', DataSource, /it is a class: pass an instance/],
  ['a client', new pg.Client(), /it is a single Client of pg/], ["a pool's client", other({ connect: nothing, query: nothing, release: nothing }), /pass the Pool itself/],
  ['fastify.pg of @fastify/postgres', other({ pool, connect: nothing, query: nothing }), /pass its 'pool', as fastify\.pg\.pool/],
  ['an application', Object.assign(Fastify(), { pg: { pool } }), /pass fastify\.pg\.pool/],
  ['an entity manager', dataSource.manager, /EntityManager: give its dataSource/],
  ['Drizzle', other({ $client: pool }), /pass its '\$client'/], ['Prisma', other({ $connect: nothing, $queryRaw: nothing }), /Prisma/],
  ['Kysely', other({ selectFrom: nothing, insertInto: nothing }), /its dialect was given/], ['Knex', Object.assign(() => {}, { raw: nothing, client: {}, schema: {} }), /Knex/],
  ['Sequelize', other({ connectionManager: {}, dialect: {}, define: nothing }), /Sequelize/], ["mysql2's pool", other({ getConnection: nothing }), /instrumentMysql/],
  ['a database of SQLite', other({ prepare: nothing, exec: nothing, close: nothing }), /instrumentSqlite/], ['a cache', new Map(), /instrumentCache/],
  ['postgres.js', Object.assign(() => {}, { unsafe: nothing, begin: nothing, listen: nothing }), /postgres\.js/],
  ['what throws', new Proxy({}, { get () { throw new Error('s3cret') } }), /an object that cannot be read/]
]

t.test('what is mistaken for a pool, for pg or for a data source is told where it belongs', async (t) => {
  const takers: ReadonlyArray<readonly [take: (target: never) => unknown, others: typeof MISTAKEN]> = [
    [instrumentPool, [['pg', pg, /give it to instrumentPg/], ['a data source', dataSource, /give it to instrumentDataSource/]]],
    [instrumentPg, [['a pool', pool, /give it to instrumentPool/], ['a data source', dataSource, /give it to instrumentDataSource/]]],
    [instrumentDataSource, [['pg', pg, /give it to instrumentPg/], ['a pool', pool, /give it to instrumentPool/]]],
    [refreshMigrations, [['pg', pg, /give it to instrumentPg/], ['a pool', pool, /give it to instrumentPool/], ['one that is not instrumented', dataSource, /call instrumentDataSource\(dataSource\) first/]]]
  ]
  for (const [take, others] of takers) {
    for (const [what, value, message] of [...MISTAKEN, ...others]) {
      const error = await Promise.resolve().then(() => take(value as never)).then(() => undefined, (error: unknown) => error as Error)
      t.match(error, { code: 'FP_ERR_INVALID_TARGET', message }, `${take.name} of ${what}`)
      t.notMatch(error?.message, 's3cret')
    }
  }
})

t.test('what is no model is refused, a data source among it', async (t) => {
  for (const [models, message] of [
    [dataSource, /no data source: write dataSource\.subscribers\.push/], [config.url, /named as entities are, and no address/], [['walk', config.url], /no address/],
    [Promise.resolve('walk'), /'await' missing/], [new Proxy([], { get () { throw new Error('s3cret') } }), /must be/], [null, /got null/]
  ] as const) {
    t.throws(() => modelOpsSubscriber(models as never, { registry: new Registry() }), { code: 'FP_ERR_INVALID_OPTION', message })
  }
})

t.test('options that other libraries name differently are refused with ours', async (t) => {
  for (const [option, message] of [['name', /'alias'/], ['poolName', /'alias'/], ['register', /'registry'/], ['registers', /'registry'/], ['durationBuckets', /'buckets'/], ['labels', /the options are alias/]] as const) {
    for (const take of [() => instrumentPool(pool, { [option]: 1 }), () => instrumentPg(pg, { [option]: 1 }), () => instrumentDataSource(dataSource, { [option]: 1 })]) {
      t.throws(take, { code: 'FP_ERR_INVALID_OPTION', message })
    }
  }
  t.throws(() => modelOpsSubscriber('walk', { register: 1 } as object), { code: 'FP_ERR_INVALID_OPTION', message: /'registry'/ })
})

t.test('what is mistaken for a registry or a snapshot in tests is told where it is', async (t) => {
  const registry = new Registry()
  const app = Fastify()
  app.decorate('metrics', { registry } as never)
  const before = await snapshot(registry)
  const refused = (given: Promise<unknown>, message: RegExp) => t.rejects(given, { code: 'FP_ERR_INVALID_OPTION', message })
  await refused(snapshot(app as never), /snapshot option 'registry' .* fastify\.metrics\.registry/)
  await refused(snapshot(app.metrics as never), /its 'registry'/)
  await refused(snapshot(promClient as never), /its 'register'/)
  await refused(assertSeriesUnchanged(undefined as never, before, 'a', {}), /assertSeriesUnchanged option 'registry' .* got undefined/)
  await refused(assertSeriesChanged(before as never, registry as never, 'a', {}, 1), /assertSeriesChanged option 'registry'/)
  await refused(assertSeriesChanged(registry, snapshot(registry) as never, 'a', {}, 1), /'before' .* is an 'await' missing/)
  await refused(assertSeriesChanged(registry, before, 'a', { b: {} } as never, 1), /'labels' must be/)
  await refused(assertSeriesChanged(registry, before, 'a', ['b'] as never, 1), /'labels' must be/)
})
