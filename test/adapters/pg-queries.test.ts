import t from 'tap'
import pg, { type Pool, type PoolClient, type QueryConfig } from 'pg'
import { from as copyFrom, to as copyTo } from 'pg-copy-streams'
import Cursor from 'pg-cursor'
import QueryStream from 'pg-query-stream'
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { countUsage, newUsage } from '../../src/instrumentation/index.js'
import { samplesOf } from '../support/database.js'
import { callback, observedPool } from '../support/pool.js'
import { startPostgres } from '../support/postgres.js'

const server = await startPostgres()
t.teardown(() => server.close())

const config = { text: 'SELECT $1::int AS n', values: [1] }
/** The forms that pool and client share. */
const forms: Record<string, (db: Pool | PoolClient) => Promise<unknown>> = {
  'a text, promise': (db) => db.query('SELECT 1'),
  'a text and values, promise': (db) => db.query('SELECT $1::int', [1]),
  'a text, callback': (db) => callback((done) => db.query('SELECT 1', done)),
  'a text and values, callback': (db) => callback((done) => db.query('SELECT $1::int', [1], done)),
  'a config, promise': (db) => db.query(config),
  'a config, callback': (db) => callback((done) => db.query(config, done)),
  'a config and values, promise': (db) => db.query({ text: config.text } as never, [1]),
  'a config and values, callback': (db) => callback((done) => (db.query as (...args: unknown[]) => void).call(db, { text: config.text }, [1], done)),
  'a prepared statement': (db) => db.query({ name: 'one', text: 'SELECT 1' }),
  'rows as arrays': (db) => db.query({ text: 'SELECT 1', rowMode: 'array' }),
  'a Query, callback': (db) => new Promise((resolve) => db.query(new pg.Query('SELECT 1') as never, resolve as never)),
  async 'a query stream' (db) {
    const stream = new QueryStream('SELECT 1')
    db.query(stream)
    await stream.toArray()
  }
}
/** The forms that only a client has. */
const clientForms: Record<string, (client: PoolClient) => Promise<unknown>> = {
  'a config with its callback': (client) => callback((done) => client.query({ ...config, callback: done } as never)),
  'a Query, events': (client) => once(client.query(new pg.Query('SELECT 1')), 'end'),
  async 'a prepared statement by its name alone' (client) {
    await client.query({ name: 'one' } as never)
  },
  async 'a cursor read to its end' (client) {
    const cursor = client.query(new Cursor('SELECT 1'))
    await cursor.read(5)
    await cursor.read(5)
  },
  async 'a cursor closed before' (client) {
    const cursor = client.query(new Cursor('SELECT generate_series(1, 100)'))
    await cursor.read(1)
    await cursor.close()
  }
}

t.test('a query is counted once in each of its forms', async (t) => {
  for (const pipelining of [false, true]) {
    const { pool, registry } = observedPool(t, server, { max: 1, ...pipelining && { pipeline: true } })
    let queries = 0
    const counted = async (name: string, send: () => Promise<unknown>) => {
      await send()
      queries++
      // A stream is through before the server says that it is ready for the next query.
      await pool.query('BEGIN')
      t.equal((await samplesOf(registry, 'db_query_duration_seconds')).select, queries, `${name}: its duration`)
      t.equal((await samplesOf(registry, 'db_rows_total')).select, queries, `${name}: its row`)
    }
    const supported = (name: string) => !pipelining || !/stream|cursor/.test(name)
    for (const [name, form] of Object.entries(forms)) if (supported(name)) await counted(`pool, ${name}`, () => form(pool))
    for (const [name, form] of Object.entries({ ...forms, ...clientForms })) {
      if (!supported(name)) continue
      await counted(`client, ${name}`, async () => {
        const client = await pool.connect()
        await form(client)
        client.release()
      })
    }
    t.same(Object.keys(await samplesOf(registry, 'db_query_duration_seconds')).sort(), ['begin', 'select'])
    t.same(await samplesOf(registry, 'db_query_errors_total'), {})
    t.same(await samplesOf(registry, 'metrics_instrumentation_errors_total'), {})
  }
})

t.test('rows are those returned or changed, in each form', async (t) => {
  const { pool, registry } = observedPool(t, server)
  await pool.query('CREATE TABLE dogs (n int)')
  await pool.query('INSERT INTO dogs SELECT generate_series(1, 250)')
  await pool.query('UPDATE dogs SET n = n WHERE n <= 20')
  await pool.query('DELETE FROM dogs WHERE n > 240')
  await pool.query('MERGE INTO dogs USING (VALUES (1), (2)) AS m (k) ON n = k WHEN MATCHED THEN DO NOTHING')
  await pool.query('SELECT n FROM dogs WHERE false')
  t.same(await samplesOf(registry, 'db_rows_total'), { insert: 250, update: 20, delete: 10, merge: 0, select: 0 }, 'no series for a command without rows')

  const client = await pool.connect()
  const select = async () => (await samplesOf(registry, 'db_rows_total')).select
  const stream = client.query(new QueryStream('SELECT n FROM dogs', [], { batchSize: 100 }))
  t.equal((await stream.toArray()).length, 240)
  t.equal(await select(), 240, 'a query stream, batch after batch')

  const cursor = client.query(new Cursor('SELECT n FROM dogs'))
  await cursor.read(100)
  await cursor.read(30)
  await cursor.close()
  t.equal(await select(), 370, 'a cursor, as far as it was read')

  const written = client.query(new Cursor('INSERT INTO dogs SELECT generate_series(1, 7)'))
  await written.read(100)
  t.equal((await samplesOf(registry, 'db_rows_total')).insert, 257, 'a cursor over a statement that returns nothing')

  await pipeline(Readable.from(['1\n', '2\n', '3\n']), client.query(copyFrom('COPY dogs FROM STDIN')))
  await client.query(copyTo('COPY (SELECT 1 UNION SELECT 2) TO STDOUT')).toArray()
  await client.query('SELECT 1; UPDATE dogs SET n = 1 WHERE n = 1; SET work_mem = 1000')
  const rows = await samplesOf(registry, 'db_rows_total')
  t.equal(rows.copy, 5, 'copies in and out')
  t.equal(rows.select, 374, 'several statements in one text: the sum, under the first one')
  t.equal(rows.update, 20)
  t.equal((await samplesOf(registry, 'db_query_duration_seconds')).copy, 2)

  const several = client.query(new pg.Query('SELECT 1 UNION SELECT 2; INSERT INTO dogs VALUES (1), (2), (3)'))
  await once(several, 'end')
  t.equal(await select(), 379, 'several statements in one Query')
  client.release()
})

t.test('a query that fails is counted once, with its kind of error', async (t) => {
  const { pool, registry } = observedPool(t, server, { max: 1 })
  const client = await pool.connect()
  await client.query('CREATE TEMP TABLE walks (n int PRIMARY KEY)')
  const expected: Record<string, number> = {}
  const fails = async (type: string, send: () => unknown) => {
    await t.rejects(Promise.resolve(send()), type)
    expected[type] = (expected[type] ?? 0) + 1
    t.same(await samplesOf(registry, 'db_query_errors_total'), expected)
  }
  await client.query('INSERT INTO walks VALUES (1)')
  await fails('unique_violation', () => client.query('INSERT INTO walks VALUES ($1)', [1]))
  await fails('syntax_error', () => callback((done) => client.query('nonsense', done)))
  await fails('undefined_table', () => client.query(new Cursor('SELECT * FROM nowhere')).read(1))
  await fails('undefined_column', () => client.query(new QueryStream('SELECT nothing')).toArray())
  await fails('bad_copy_file_format', () => pipeline(Readable.from(['1\t2\t3\n']), client.query(copyFrom('COPY walks FROM STDIN'))))
  await fails('division_by_zero', () => client.query(copyTo('COPY (SELECT 1 / 0) TO STDOUT')).toArray())
  await fails('insufficient_privilege', async () => { throw (await once(client.query(new pg.Query('CREATE TABLE pg_catalog.x ()')), 'error'))[0] })
  await fails('invalid_text_representation', () => client.query('SELECT $1::int', ['secret']))
  const parser = () => { throw new TypeError('secret') }
  await fails('TypeError', () => client.query({ text: 'SELECT 1', types: { getTypeParser: () => parser } } as never))
  await fails('TypeError', async () => {
    throw (await once(client.query(new pg.Query({ text: 'SELECT 1', types: { getTypeParser: () => parser } } as never)), 'error'))[0]
  })
  await fails('query_canceled', () => client.query('SET statement_timeout = 1; SELECT pg_sleep(5)'))
  await client.query('SET statement_timeout = 0')
  client.release()
  await fails('division_by_zero', () => pool.query('SELECT 1 / 0'))

  t.notMatch(await registry.metrics(), 'secret')
  const durations = await samplesOf(registry, 'db_query_duration_seconds')
  t.same(durations, { ddl: 2, insert: 2, other: 3, select: 6, copy: 2 }, 'failed ones have a duration too')
})

t.test('a read timeout is an error of its class, and what comes later is not counted', async (t) => {
  const { pool, registry } = observedPool(t, server)
  const impatient: QueryConfig & { query_timeout: number } = { text: 'SELECT pg_sleep(0.2)', query_timeout: 50 }
  await t.rejects(pool.query(impatient), { message: 'Query read timeout' })
  await pool.query('SELECT pg_sleep(0)')
  t.same(await samplesOf(registry, 'db_query_errors_total'), { Error: 1 })
  t.same(await samplesOf(registry, 'db_query_duration_seconds'), { select: 2 })
})

t.test('queries are counted for the request that made them', async (t) => {
  const { pool, registry } = observedPool(t, server, { max: 1 })
  const requests = Array.from({ length: 5 }, newUsage)
  await Promise.all(requests.map((usage, i) => new Promise<void>((resolve, reject) => {
    countUsage(usage, () => {
      // They wait for one connection, and get it in the async context of another.
      Promise.all(Array.from({ length: i }, () => pool.query('SELECT 1')))
        .then(() => pool.connect()).then(async (client) => {
          await client.query('SELECT 1')
          await t.rejects(client.query('nonsense'))
          const stream = client.query(new QueryStream('SELECT 1'))
          await stream.toArray()
          client.release()
        }).then(resolve, reject)
    })
  })))
  await pool.query('SELECT 1')
  t.same(requests.map(({ queries }) => queries), [3, 4, 5, 6, 7])
  t.ok(requests.every(({ seconds }) => seconds > 0))
  t.same(await samplesOf(registry, 'db_query_duration_seconds'), { select: 21, other: 5 })
})

t.test('queries of onConnect are counted', async (t) => {
  const { pool, registry } = observedPool(t, server, { onConnect: async (client) => { await client.query('SET work_mem = 1000') } })
  await pool.query('SELECT 1')
  t.same(await samplesOf(registry, 'db_query_duration_seconds'), { other: 1, select: 1 })
  const failing = observedPool(t, server, { onConnect: async (client) => { await client.query('nonsense') } })
  await t.rejects(failing.pool.query('SELECT 1'), { code: '42601' })
  await failing.pool.end()
  t.same(await samplesOf(failing.registry, 'db_connections_opened_total'), { default: 1 })
  t.same(await samplesOf(failing.registry, 'db_connections_closed_total'), { default: 1 })
  t.same(await samplesOf(failing.registry, 'db_connection_errors_total'), {})
})
