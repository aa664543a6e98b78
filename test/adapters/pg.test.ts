import t from 'tap'
import Fastify from 'fastify'
import fastifyPostgres from '@fastify/postgres'
import pg, { type Pool } from 'pg'
import { Registry } from 'prom-client'
import { once } from 'node:events'
import { instrumentPg, instrumentPool } from '../../adapters/pg.js'
import { catalogue } from '../../src/catalogue.js'
import { MetricsError } from '../../src/validation/errors.js'
import { samplesOf } from '../support/database.js'
import { callback, observedPool } from '../support/pool.js'
import { startPostgres } from '../support/postgres.js'

const server = await startPostgres()
t.teardown(() => server.close())

t.test('connections are opened, acquired, used and closed', async (t) => {
  const { pool, registry } = observedPool(t, server, { max: 3 })
  const shown = async () => ({
    ...await samplesOf(registry, 'db_pool_connections'),
    max: (await samplesOf(registry, 'db_pool_connections_max')).default,
    pending: (await samplesOf(registry, 'db_pool_pending_requests')).default
  })
  t.same(await shown(), { idle: 0, used: 0, max: 3, pending: 0 })
  const clients = await Promise.all([pool.connect(), pool.connect(), pool.connect()])
  const waiting = pool.query('SELECT 1')
  t.same(await shown(), { idle: 0, used: 3, max: 3, pending: 1 })
  t.same(await samplesOf(registry, 'db_connections_opened_total'), { default: 3 })
  t.same(await samplesOf(registry, 'db_connection_create_duration_seconds'), { default: 3 })
  t.same(await samplesOf(registry, 'db_pool_acquire_duration_seconds'), { default: 3 })
  t.same(await samplesOf(registry, 'db_connection_use_duration_seconds'), {})

  for (const client of clients) client.release()
  await waiting
  t.same(await shown(), { idle: 3, used: 0, max: 3, pending: 0 })
  t.same(await samplesOf(registry, 'db_connection_use_duration_seconds'), { default: 4 })
  t.same(await samplesOf(registry, 'db_pool_acquire_duration_seconds'), { default: 4 }, 'one that had to wait is acquired too')
  await new Promise<void>((resolve, reject) => pool.connect((error, _client, release) => {
    release()
    return error ? reject(error) : resolve()
  }))
  t.same(await samplesOf(registry, 'db_pool_acquire_duration_seconds'), { default: 5 }, 'with a callback')

  t.same(await samplesOf(registry, 'db_connections_closed_total'), { default: 0 })
  const removed = once(pool, 'remove')
  await t.rejects(pool.query('nonsense'), 'pg throws a connection away after a failed pool.query')
  const [gone] = await removed
  t.same(await samplesOf(registry, 'db_connections_closed_total'), { default: 1 })
  const ends = clients.filter((client) => client !== gone).map((client) => once(client, 'end'))
  await pool.end()
  await Promise.all(ends)
  t.same(await samplesOf(registry, 'db_connections_closed_total'), { default: 3 })
  t.same(await samplesOf(registry, 'db_pool_connections'), {}, 'an ended pool has no connections to show')
  t.same(await samplesOf(registry, 'db_pool_connections_max'), {})
  t.same(await samplesOf(registry, 'db_connection_errors_total'), {})
})

t.test('a connection that is too old is removed without a use', async (t) => {
  const { pool, registry } = observedPool(t, server, { maxLifetimeSeconds: 0.05 })
  const removed = once(pool, 'remove')
  await pool.query('SELECT 1')
  await removed
  t.same(await samplesOf(registry, 'db_connection_use_duration_seconds'), { default: 1 })
  t.same(await samplesOf(registry, 'db_connections_closed_total'), { default: 1 })
})

t.test('clients made before are counted from their next use on', async (t) => {
  const pool = new pg.Pool({ ...server.config, max: 2 })
  t.teardown(() => pool.end())
  const [idle, out] = await Promise.all([pool.connect(), pool.connect()])
  idle.release()
  const registry = new Registry()
  instrumentPool(pool, { registry })
  const client = await pool.connect()
  t.equal(client, idle)
  await client.query('SELECT 1')
  await callback((done) => client.query('SELECT 1', done))
  client.release()
  await pool.query('SELECT 1')
  t.same(await samplesOf(registry, 'db_query_duration_seconds'), { select: 3 })
  t.same(await samplesOf(registry, 'db_connections_opened_total'), { default: 1 })
  t.same(await samplesOf(registry, 'db_connection_create_duration_seconds'), {}, 'nobody knows how long it took')
  t.same(await samplesOf(registry, 'db_connection_use_duration_seconds'), { default: 2 })
  const ended = once(out, 'end')
  out.release(true)
  await ended
  t.same(await samplesOf(registry, 'db_connections_closed_total'), { default: 0 }, 'one that was never known is not closed either')
})

t.test('pools of one alias are summed, those of two are apart', async (t) => {
  const registry = new Registry()
  const pools = [2, 3, 4].map((max) => new pg.Pool({ ...server.config, max }))
  t.teardown(() => Promise.all(pools.map((pool) => pool.ended || pool.end())))
  const [first, second, third] = pools as [Pool, Pool, Pool]
  instrumentPool(first, { registry })
  instrumentPool(second, { registry })
  instrumentPool(third, { registry, alias: 'reports' })
  await Promise.all(pools.map((pool) => pool.query('SELECT 1')))
  const lines = async (name: string) => (await registry.getSingleMetricAsString(name)).split('\n').filter((line) => line !== '' && !line.startsWith('#')).sort()
  t.same(await lines('db_pool_connections_max'), [
    'db_pool_connections_max{alias="default",vendor="postgresql"} 5',
    'db_pool_connections_max{alias="reports",vendor="postgresql"} 4'
  ])
  t.same(await lines('db_rows_total'), [
    'db_rows_total{alias="default",vendor="postgresql",operation="select"} 2',
    'db_rows_total{alias="reports",vendor="postgresql",operation="select"} 1'
  ])
  await first.end()
  t.same((await lines('db_pool_connections_max'))[0], 'db_pool_connections_max{alias="default",vendor="postgresql"} 3', 'an ended one drops out')
})

t.test('every database metric of the catalogue is there, but those of migrations', async (t) => {
  const { registry } = observedPool(t, server)
  const expected = Object.keys(catalogue).filter((name) => name.startsWith('db_') && !name.includes('migrations'))
  t.same(registry.getMetricsAsArray().map(({ name }) => name).filter((name) => name.startsWith('db_')).sort(), expected.sort())
})

t.test('instrumentPg observes the pool of @fastify/postgres from its first connection', async (t) => {
  const registry = new Registry()
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(fastifyPostgres, { ...server.config, pg: instrumentPg(pg, { registry, alias: 'app' }) })
  app.get('/', async () => {
    const client = await app.pg.connect()
    try {
      return (await client.query<{ n: number }>('SELECT 1 AS n')).rows
    } finally {
      client.release()
    }
  })
  app.get('/transaction', () => app.pg.transact((client) => client.query('SELECT 2')).then(() => 'done'))
  t.same((await app.inject('/')).json(), [{ n: 1 }])
  t.equal((await app.inject('/transaction')).body, 'done')
  await app.pg.query('SELECT 3')
  t.same(await samplesOf(registry, 'db_query_duration_seconds'), { begin: 1, commit: 1, select: 3 })
  t.same(await samplesOf(registry, 'db_connections_opened_total'), { app: 1 })
  t.same(await samplesOf(registry, 'db_pool_acquire_duration_seconds'), { app: 3 })
})

t.test('instrumentPg leaves pg as it is', async (t) => {
  const registry = new Registry()
  const before = Object.getOwnPropertyDescriptors(pg)
  const observed = instrumentPg(pg, { registry })
  t.same(Object.getOwnPropertyDescriptor(pg, 'native'), before.native, 'native is not asked for')
  t.same(Object.keys(Object.getOwnPropertyDescriptors(pg)), Object.keys(before))
  t.equal(observed.types, pg.types)
  t.equal(observed.Client.prototype, pg.Client.prototype)
  t.equal(observed.Client.name, pg.Client.name)
  t.equal(observed.Pool.name, pg.Pool.name)
  const pool = new observed.Pool({ ...server.config, max: 1 })
  t.teardown(() => pool.end())
  t.ok(pool instanceof pg.Pool)
  await pool.query('SELECT 1')
  t.same(await samplesOf(registry, 'db_connections_opened_total'), { default: 1 })
  const undo = instrumentPool(pool)
  await pool.query('SELECT 1')
  t.same(await samplesOf(registry, 'db_query_duration_seconds'), { select: 2 }, 'instrumentPool finds it observed')
  undo()
  await pool.query('SELECT 1')
  t.same(await samplesOf(registry, 'db_query_duration_seconds'), { select: 2 })
  t.equal(observed.native, null, 'pg-native is not installed')
})

t.test('what cannot be observed is refused', async (t) => {
  const refused = [undefined, null, 5, {}, new pg.Client(server.config), server.config]
  for (const target of refused) t.throws(() => instrumentPool(target as never), { code: 'FP_ERR_INVALID_TARGET', message: /expects a Pool of pg, got/ })
  for (const target of [undefined, {}, 'pg']) t.throws(() => instrumentPg(target as never), { code: 'FP_ERR_INVALID_TARGET', message: /expects the module pg/ })
  const pool = new pg.Pool()
  t.throws(() => instrumentPool(pool, { alias: '' }), new MetricsError('FP_ERR_INVALID_OPTION', "instrumentPool option 'alias' must be a name, got ''"))
  t.throws(() => instrumentPg(pg, { pool } as never), { message: /^FP_ERR_INVALID_OPTION: instrumentPg option 'pool' must be left out/ })
  const registry = new Registry()
  instrumentPool(new pg.Pool(), { registry, buckets: [1] })
  const own = Reflect.ownKeys(pool)
  t.throws(() => instrumentPool(pool, { registry }), { code: 'FP_ERR_METRIC_CONFLICT' })
  t.throws(() => instrumentPg(pg, { registry }), { code: 'FP_ERR_METRIC_CONFLICT' })
  t.same(Reflect.ownKeys(pool), own, 'a pool that is refused is left as it was')
})
