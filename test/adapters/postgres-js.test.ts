import { readFile } from 'node:fs/promises'
import { inspect } from 'node:util'
import postgres, { type Sql } from 'postgres'
import { Registry } from 'prom-client'
import t from 'tap'
import { observed } from '../../examples/adapter/postgres-js.js'
import { databaseNumbers, samplesOf } from '../support/database.js'
import { startPostgres } from '../support/postgres.js'

const server = await startPostgres()
t.teardown(() => server.close())

function bare (test: { teardown (fn: () => unknown): void }, options: postgres.Options<Record<string, postgres.PostgresType>> = {}): Sql {
  const { host, port, user, password, database } = server.config as unknown as Record<string, string>
  const sql = postgres({ host, port: Number(port), user, password, database, max: 2, onnotice: () => {}, ...options } as never)
  test.teardown(() => sql.end({ timeout: 1 }))
  return sql
}

t.test('queries of every form are counted once, with their rows', async (t) => {
  const registry = new Registry()
  const sql = observed(bare(t), { registry })
  await sql`CREATE TABLE dog (id serial, name text UNIQUE)`
  await sql`INSERT INTO dog ${sql([{ name: 'Rex' }, { name: 'Fido' }])}`
  const where = sql`WHERE name = ${'Rex'}`
  t.equal((await sql`SELECT * FROM dog ${where}`).length, 1)
  await sql`${sql`SELECT`} * FROM dog`
  await sql.unsafe('SELECT 1; SELECT 2')
  await sql.begin(async (sql) => {
    await sql`UPDATE dog SET name = 'Bo' WHERE name = 'Rex'`
    await sql.savepoint(async (sql) => { await sql`DELETE FROM dog` })
  })
  const reserved = await sql.reserve()
  await reserved`SELECT 1`
  reserved.release()
  const read: unknown[] = []
  await sql`SELECT generate_series(1, 5) n`.cursor(2, (rows) => { read.push(...rows) })
  for await (const rows of sql`SELECT generate_series(1, 3) n`.cursor(2)) read.push(...rows)
  t.equal(read.length, 8)
  t.same(await samplesOf(registry, 'db_query_duration_seconds'), { ddl: 1, insert: 1, select: 6, update: 1, delete: 1 })
  t.match(await samplesOf(registry, 'db_rows_total'), { insert: 2, update: 1, delete: 2 })
  t.match(await databaseNumbers(registry), { queryErrors: 0, inFlight: 0, trouble: 0 })
  t.same(await samplesOf(registry, 'db_pool_connections_max'), { default: 2 })
  await sql`DROP TABLE dog`
})

t.test('what the driver does not tell is absent', async (t) => {
  const registry = new Registry()
  const sql = observed(bare(t), { registry })
  await sql`SELECT 1`
  const page = await registry.metrics()
  for (const name of ['db_connections_opened_total', 'db_connections_closed_total', 'db_pool_connections', 'db_pool_pending_requests', 'db_pool_oldest_pending_seconds', 'db_pool_acquire_timeouts_total']) {
    t.notMatch(page, new RegExp(`^${name}\\{`, 'm'), name)
  }
})

t.test('errors of queries are apart from those of connections', async (t) => {
  const registry = new Registry()
  const sql = observed(bare(t), { registry })
  await t.rejects(sql`nonsense`, { code: '42601' })
  const unsent = sql`SELECT pg_sleep(60)`.execute()
  unsent.cancel()
  await t.rejects(unsent, { code: '57014' })
  await t.rejects(sql.unsafe('SET statement_timeout = 1; SELECT pg_sleep(60)'), { code: '57014' })
  t.same(await samplesOf(registry, 'db_query_errors_total'), { syntax_error: 1, query_canceled: 1 })

  const nowhere = observed(postgres({ host: '127.0.0.1', port: 1, max: 1 }), { registry, alias: 'nowhere' })
  await t.rejects(nowhere`SELECT 1`, { code: 'ECONNREFUSED' })
  t.match(await registry.getSingleMetricAsString('db_connection_errors_total'), /\{alias="nowhere",vendor="postgresql",type="ECONNREFUSED"\} 1/)
  t.match(await databaseNumbers(registry), { queries: 2, queryErrors: 2, inFlight: 0 })
  await nowhere.end({ timeout: 0 })
})

t.test('a query is under way from when it is sent until it is settled', async (t) => {
  const registry = new Registry()
  const sql = observed(bare(t), { registry })
  const lazy = sql`SELECT 1`
  t.match(await databaseNumbers(registry), { inFlight: 0 }, 'one that nobody awaits is never sent')
  await lazy
  const lost = t.rejects(sql`SELECT pg_sleep(60)`.execute())
  await sql`SELECT 1`
  t.match(await databaseNumbers(registry), { inFlight: 1 })
  const end = () => sql`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%sleep(60)%' AND pid <> pg_backend_pid()`
  // Its connection may not be there yet.
  while ((await end()).length === 0);
  await lost
  t.match(await databaseNumbers(registry), { inFlight: 0 })
})

/** What an application sees. */
const forms: Record<string, (sql: Sql) => unknown> = {
  'rows': async (sql) => await sql`SELECT 1 n`,
  'an error': async (sql) => await sql`nonsense`,
  'an error in a transaction': async (sql) => await sql.begin(async (sql) => { await sql`SELECT 1/0` }),
  'the result of a transaction': async (sql) => await sql.begin((sql) => [sql`SELECT 1 n`, sql`SELECT 2 n`]),
  'a query that is cancelled': async (sql) => {
    const query = sql`SELECT pg_sleep(60)`.execute()
    query.cancel()
    return await query
  },
  'a description': async (sql) => (await sql`SELECT 1 n`.describe()).columns,
  'values': async (sql) => await sql`SELECT 1 n`.values(),
  'a stream out': async (sql) => await (await sql`COPY (SELECT 1) TO STDOUT`.readable()).toArray(),
  'helpers': (sql) => [sql.array([1]), sql.json({ a: 1 }), sql('name'), sql.options.max, typeof sql, new Set([sql.begin, sql.begin]).size, Object.keys(sql)]
}

t.test('the application sees what it would see without us', async (t) => {
  for (const [name, form] of Object.entries(forms)) {
    const seen = async (sql: Sql) => inspect(await Promise.resolve().then(() => form(sql)).catch((error: unknown) => ['rejected', error]), { depth: 5 })
      .replace(/\n? +at .*/g, '').replace(/line: '\d+'/g, '')
    const [plain, ours] = [bare(t), observed(bare(t), { registry: new Registry() })]
    t.equal(await seen(ours), await seen(plain), name)
  }
})

t.test('it stands on public exports alone', async (t) => {
  const text = await readFile(new URL('../../examples/adapter/postgres-js.ts', import.meta.url), 'utf8')
  t.same([...text.matchAll(/ from '([^']+)'/g)].map(([, from]) => from), ['fastify-prometheus/adapter', 'postgres'])
})
