import pg, { type PoolClient } from 'pg'
import Cursor from 'pg-cursor'
import QueryStream from 'pg-query-stream'
import { Registry } from 'prom-client'
import t from 'tap'
import { once } from 'node:events'
import { performance } from 'node:perf_hooks'
import { instrumentPool } from '../../adapters/pg.js'
import { databaseNumbers, underWay } from '../support/database.js'
import { Page } from '../support/page.js'
import { startPostgres } from '../support/postgres.js'

const server = await startPostgres()
t.teardown(() => server.close())

const NOTHING = { queries: 0, query: 0, wait: 0, use: 0 }

/** Waits until so many sessions wait for a lock: the database itself says so. */
async function locked (count: number): Promise<void> {
  const client = new pg.Client(server.config)
  await client.connect()
  for (;;) {
    const { rows: [row] } = await client.query<{ waiting: number }>("SELECT count(*)::int AS waiting FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    if (row?.waiting === count) break
  }
  await client.end()
}

t.test('in a lock, the page says what runs and waits, and for how long', async (t) => {
  const registry = new Registry()
  const pool = new pg.Pool({ ...server.config, max: 10 })
  instrumentPool(pool, { registry, alias: 'walks' })
  const other = new pg.Pool({ ...server.config, max: 1 })
  instrumentPool(other, { registry, alias: 'walks' })
  await other.query('CREATE TABLE walks (n int)')
  const holder = new pg.Client(server.config)
  await holder.connect()
  await holder.query('BEGIN')
  await holder.query('LOCK TABLE walks')

  const began = performance.now()
  const inside = Array.from({ length: 10 }, () => pool.query('SELECT * FROM walks'))
  await locked(10)
  const waitingBegan = performance.now()
  const waiting = Array.from({ length: 20 }, () => pool.query('SELECT 1'))

  const labels = { alias: 'walks', vendor: 'postgresql' }
  for (let scrape = 0; scrape < 3; scrape++) {
    await holder.query('SELECT pg_sleep(0.4)')
    const from = performance.now()
    const page = new Page(await registry.metrics())
    const to = performance.now()
    t.equal(page.sum('db_queries_in_flight', labels), 10)
    t.equal(page.sum('db_pool_pending_requests', labels), 20)
    t.equal(page.sum('db_pool_connections', { ...labels, state: 'used' }), 10)
    for (const [name, since] of [['db_query_oldest_seconds', began], ['db_connection_oldest_use_seconds', began], ['db_pool_oldest_pending_seconds', waitingBegan]] as const) {
      t.equal(page.of(name).length, 1, 'one series for two pools of an alias')
      const age = page.sum(name, labels)
      t.ok(age > (from - since) / 1000 - 0.1 && age < (to - since) / 1000 + 0.1, `${name} is right to a tenth of a second: ${age} s`)
    }
  }
  await holder.query('COMMIT')
  await holder.end()
  await Promise.all([...inside, ...waiting])
  t.same(await underWay(registry), NOTHING)
  t.match(await databaseNumbers(registry), { queries: 31, waits: 31, uses: 31, trouble: 0 })
  await Promise.all([pool.end(), other.end()])
})

t.test('the age is that of the oldest, and of the next when that has ended', async (t) => {
  const registry = new Registry()
  const pool = new pg.Pool({ ...server.config, max: 2 })
  t.teardown(() => pool.end())
  instrumentPool(pool, { registry })
  const [first, second] = [await pool.connect(), await pool.connect()]
  const [older, newer] = [first.query('SELECT pg_sleep(0.3)'), second.query('SELECT pg_sleep(0.6)')]
  await older
  const during = await underWay(registry)
  t.equal(during.queries, 1)
  t.ok(during.query > 0.2 && during.use > 0.2)
  first.release()
  await newer
  t.match(await underWay(registry), { queries: 0, query: 0 })
  t.ok((await underWay(registry)).use > 0, 'a connection is out though nothing runs there')
  second.release()
  t.same(await underWay(registry), NOTHING)
})

/** What ends a query, in whichever way. */
const endings: Record<string, (client: PoolClient) => unknown> = {
  'a result': (client) => client.query('SELECT 1'),
  'a callback': (client) => new Promise((resolve) => client.query('SELECT 1', resolve)),
  'an error': (client) => client.query('nonsense').catch(() => {}),
  'a refused text': (client) => { t.throws(() => client.query(null as never)) },
  'values that are refused': (client) => client.query('SELECT $1', 'x' as never).catch(() => {}),
  'a cursor read to its end': async (client) => {
    const cursor = client.query(new Cursor('SELECT 1'))
    await cursor.read(2)
    await cursor.read(2)
  },
  'a cursor that is closed': async (client) => {
    const cursor = client.query(new Cursor('SELECT generate_series(1, 10)'))
    await cursor.read(2)
    await cursor.close()
  },
  'a cursor that fails': (client) => client.query(new Cursor('nonsense')).read(1).catch(() => {}),
  'a stream read to its end': (client) => client.query(new QueryStream('SELECT 1')).toArray(),
  'a stream that is destroyed': async (client) => {
    const stream = client.query(new QueryStream('SELECT generate_series(1, 1000)', [], { batchSize: 10 }))
    await once(stream, 'data')
    stream.destroy()
    await once(stream, 'close')
  },
  'a Query': (client) => once(client.query(new pg.Query('SELECT 1')), 'end')
}

t.test('nothing stays under way, however it ends', async (t) => {
  const registry = new Registry()
  const pool = new pg.Pool({ ...server.config, max: 1 })
  instrumentPool(pool, { registry })
  for (const [ending, run] of Object.entries(endings)) {
    const client = await pool.connect()
    await run(client)
    // Once the client takes another query, the one before is through.
    await client.query('SELECT 1')
    t.match(await underWay(registry), { queries: 0, query: 0, wait: 0 }, ending)
    client.release()
    t.same(await underWay(registry), NOTHING, ending)
  }

  const lost = await pool.connect()
  lost.on('error', () => {})
  const { rows: [row] } = await lost.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
  const stuck = t.rejects(lost.query('SELECT pg_sleep(60)'))
  lost.query(new Cursor('SELECT 1'))
  const gone = new Promise((resolve) => { lost.once('end', resolve) })
  t.equal((await underWay(registry)).queries, 2)
  const other = new pg.Client(server.config)
  await other.connect()
  await other.query('SELECT pg_terminate_backend($1)', [row?.pid])
  await other.end()
  await stuck
  await gone
  t.match(await underWay(registry), { queries: 0, query: 0 }, 'a connection that is lost')
  t.ok((await underWay(registry)).use > 0, 'which is still out of its pool')
  lost.release()
  t.same(await underWay(registry), NOTHING)

  const abandoned = await pool.connect()
  const hanging = t.rejects(abandoned.query('SELECT pg_sleep(60)'))
  abandoned.release(true)
  await hanging
  t.same(await underWay(registry), NOTHING, 'a connection that is destroyed with a query on it')
  await pool.end()
  t.equal((await databaseNumbers(registry)).trouble, 0)
})

/** A pool of clients whose queries are what is given, as a library may patch them. */
function poolWith (registry: Registry, query: () => unknown): pg.Pool {
  class Patched extends pg.Client {}
  Object.assign(Patched.prototype, { query })
  const pool = new pg.Pool({ ...server.config, max: 1, Client: Patched })
  instrumentPool(pool, { registry })
  return pool
}

t.test('a query that is refused at once is not under way', async (t) => {
  const registry = new Registry()
  const pool = poolWith(registry, () => { throw new Error('not now') })
  const client = await pool.connect()
  t.throws(() => client.query('SELECT 1'), { message: 'not now' })
  t.match(await underWay(registry), { queries: 0, query: 0 })
  client.release()
  await pool.end()
})

t.test('a query that is never answered is under way until its connection ends', async (t) => {
  const registry = new Registry()
  const pool = poolWith(registry, () => new Promise(() => {}))
  const client = await pool.connect()
  const ended = once(client, 'end')
  client.query('SELECT 1').catch(() => {})
  t.equal((await underWay(registry)).queries, 1)
  client.release(true)
  await ended
  t.same(await underWay(registry), NOTHING)
  await pool.end()
})

t.test('of two pools of an alias the greater age is shown, and not the sum', async (t) => {
  const registry = new Registry()
  const pools = [1, 2].map(() => new pg.Pool({ ...server.config, max: 1 }))
  for (const pool of pools) instrumentPool(pool, { registry })
  for (const pool of pools) await pool.query('SELECT 1')
  const began = performance.now()
  const queries = pools.map((pool) => pool.query('SELECT pg_sleep(2)'))
  const clock = new pg.Client(server.config)
  await clock.connect()
  await clock.query('SELECT pg_sleep(0.3)')
  const { queries: running, query, use } = await underWay(registry)
  const passed = (performance.now() - began) / 1000
  t.equal(running, 2)
  for (const age of [query, use]) t.ok(age > 0.3 && age <= passed, `${age} s of ${passed} s`)
  await clock.end()
  await Promise.all(queries)
  await Promise.all(pools.map((pool) => pool.end()))
})

t.test('a pool that has ended shows nothing more', async (t) => {
  const registry = new Registry()
  const pool = new pg.Pool({ ...server.config, max: 1 })
  const undo = instrumentPool(pool, { registry })
  const client = await pool.connect()
  const query = client.query('SELECT pg_sleep(0.2)')
  const ended = pool.end()
  t.equal((await underWay(registry)).queries, 1, 'it has not ended while a connection is out')
  await query
  client.release()
  await ended
  t.same(new Page(await registry.metrics()).of('db_queries_in_flight'), [])

  const again = new pg.Pool({ ...server.config, max: 1 })
  t.teardown(() => again.end())
  const undoAgain = instrumentPool(again, { registry })
  const running = again.query('SELECT pg_sleep(0.1)')
  undoAgain()
  undo()
  t.same(new Page(await registry.metrics()).of('db_queries_in_flight'), [], 'nor one that is observed no more')
  await running
})
