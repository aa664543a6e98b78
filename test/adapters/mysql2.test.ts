import { once } from 'node:events'
import mysql, { type Pool, type PoolConnection } from 'mysql2'
import promised from 'mysql2/promise'
import { Registry } from 'prom-client'
import t from 'tap'
import { instrumentMysql } from '../../adapters/mysql2.js'
import { databaseNumbers, samplesOf, underWay } from '../support/database.js'
import { startMariaDb, type MariaDb } from '../support/mariadb.js'

const started = await startMariaDb(t, '--local-infile=1')
if (started === undefined) process.exit(0)
const server: MariaDb = started
const setUp = await promised.createConnection(server.config)
await setUp.query('CREATE TABLE dog (id INT PRIMARY KEY AUTO_INCREMENT, name TEXT UNIQUE)')
t.teardown(() => setUp.end())

function observedPool (test: Pick<typeof t, 'teardown'>, options: mysql.PoolOptions = {}) {
  const pool = mysql.createPool({ ...server.config, ...options })
  const registry = new Registry()
  const undo = instrumentMysql(pool, { registry })
  test.teardown(() => new Promise<void>((resolve) => { pool.end(() => resolve()) }))
  return { pool, registry, undo, numbers: () => databaseNumbers(registry) }
}

function connectionOf (pool: Pool): Promise<PoolConnection> {
  return new Promise((resolve, reject) => pool.getConnection((error, connection) => error ? reject(error) : resolve(connection)))
}

t.test('connections are opened, acquired, used and closed', async (t) => {
  const { pool, registry, numbers } = observedPool(t, { connectionLimit: 2 })
  const [a, b] = await Promise.all([connectionOf(pool), connectionOf(pool)])
  const waits = connectionOf(pool)
  t.same(await samplesOf(registry, 'db_pool_connections'), { idle: 0, used: 2 })
  t.same(await samplesOf(registry, 'db_pool_connections_max'), { default: 2 })
  t.same(await samplesOf(registry, 'db_pool_pending_requests'), { default: 1 })
  t.match(await numbers(), { opened: 2, waits: 2, uses: 0 })
  t.ok((await underWay(registry)).wait > 0)
  a.release()
  t.equal(await waits, a)
  t.match(await numbers(), { waits: 3, uses: 1 })
  a.release()
  a.release()
  b.destroy()
  t.match(await numbers(), { opened: 2, closed: 1, waits: 3, uses: 3 })
  t.same(await samplesOf(registry, 'db_pool_connections'), { idle: 1, used: 0 })
  t.equal((await underWay(registry)).use, 0)
})

t.test('a caller whose connection is gone before its turn waits once', async (t) => {
  const { pool, numbers } = observedPool(t, { connectionLimit: 1 })
  const first = await connectionOf(pool)
  const second = connectionOf(pool)
  first.destroy()
  ;(await second).release()
  t.match(await numbers(), { opened: 2, closed: 1, waits: 2, uses: 2, timeouts: 0 })
})

t.test('a pool that has none to give is exhausted', async (t) => {
  const { pool, numbers } = observedPool(t, { connectionLimit: 1, queueLimit: 1 })
  const first = await connectionOf(pool)
  const waits = connectionOf(pool)
  await t.rejects(connectionOf(pool), /Queue limit reached/)
  t.match(await numbers(), { timeouts: 1, waits: 2 })
  first.release()
  ;(await waits).release()
  t.match(await numbers(), { timeouts: 1, waits: 3 })
})

t.test('statements of every kind are counted once, by what they do', async (t) => {
  const { pool, registry, numbers } = observedPool(t, { connectionLimit: 1, multipleStatements: true })
  const p = pool.promise()
  await p.query('SELECT 1 UNION SELECT 2')
  await p.execute('SELECT ?', [1])
  await p.execute('SELECT ?', [2])
  await p.query("INSERT INTO dog (name) VALUES ('Rex'), ('Fido')")
  await p.query('SELECT 1; SELECT 2, 3; DELETE FROM dog')
  await p.query({ sql: 'SELECT 1, 2', rowsAsArray: true })
  const connection = await p.getConnection()
  await connection.beginTransaction()
  await connection.rollback()
  const statement = await connection.prepare('SELECT ? + 1')
  await statement.execute([1])
  await statement.close()
  await connection.ping()
  connection.release()
  t.same(await samplesOf(registry, 'db_query_duration_seconds'), { select: 6, insert: 1, begin: 1, rollback: 1 })
  t.same(await samplesOf(registry, 'db_rows_total'), { select: 2 + 1 + 1 + 4 + 1 + 1, insert: 2, begin: 0, rollback: 0 })
  t.match(await numbers(), { queryErrors: 0, inFlight: 0, trouble: 0 })
})

t.test('streams are one statement, with their rows', async (t) => {
  const { pool, registry, numbers } = observedPool(t, { connectionLimit: 1 })
  const rows: unknown[] = []
  for await (const row of pool.query('SELECT 1 n UNION SELECT 2').stream()) rows.push(row)
  t.equal(rows.length, 2)
  const failing = pool.query('nonsense')
  const [error] = await once(failing, 'error')
  t.equal((error as { code: string }).code, 'ER_PARSE_ERROR')
  t.same(await samplesOf(registry, 'db_query_duration_seconds'), { select: 1, other: 1 })
  t.same(await samplesOf(registry, 'db_rows_total'), { select: 2 })
  t.match(await numbers(), { queryErrors: 1, inFlight: 0 })
})

t.test('errors are named by their condition', async (t) => {
  const { pool, registry, numbers } = observedPool(t, { connectionLimit: 1 })
  const p = pool.promise()
  await p.query("INSERT INTO dog (name) VALUES ('Rex')")
  await t.rejects(p.query("INSERT INTO dog (name) VALUES ('Rex')"))
  await t.rejects(p.query('nonsense'))
  await t.rejects(p.execute('SELECT * FROM nowhere'))
  const connection = await p.getConnection()
  await t.rejects(connection.prepare('SELECT * FROM nowhere'))
  connection.release()
  await t.rejects(p.query({ sql: 'SELECT SLEEP(1)', timeout: 20 }), { code: 'PROTOCOL_SEQUENCE_TIMEOUT' })
  t.same(await samplesOf(registry, 'db_query_errors_total'), { unique_violation: 1, syntax_error: 1, undefined_table: 2, PROTOCOL_SEQUENCE_TIMEOUT: 1 })
  t.match(await numbers(), { queries: 6, queryErrors: 5, inFlight: 0 })
  await setUp.query('DELETE FROM dog')
})

t.test('a connection that is lost: in a statement, in a stream, while idle, and one that is refused', async (t) => {
  const { pool, registry, numbers } = observedPool(t, { connectionLimit: 1 })
  const p = pool.promise()
  const kill = async () => {
    const connection = await connectionOf(pool)
    const { threadId } = connection
    return { connection, kill: () => setUp.query(`KILL ${threadId}`) }
  }
  const inStatement = await kill()
  const slow = t.rejects(inStatement.connection.promise().query('SELECT SLEEP(60)'), { code: 'PROTOCOL_CONNECTION_LOST' })
  await inStatement.kill()
  await slow
  t.match(await numbers(), { opened: 1, closed: 1, connectionErrors: 0, queryErrors: 1, inFlight: 0, uses: 1 })

  const inStream = await kill()
  const stream = inStream.connection.query('SELECT SLEEP(60)')
  const lost = once(inStream.connection, 'error')
  stream.on('error', () => {})
  inStream.connection.on('error', () => {})
  await inStream.kill()
  await lost
  t.match(await numbers(), { opened: 2, queryErrors: 2, inFlight: 0 })

  const idle = await kill()
  const closed = once((idle.connection as unknown as { stream: NodeJS.ReadableStream }).stream, 'close')
  idle.connection.release()
  await idle.kill()
  await closed
  t.match(await numbers(), { opened: 3, closed: 3, connectionErrors: 1, queryErrors: 2 })
  t.same(await samplesOf(registry, 'db_pool_connections'), { idle: 0, used: 0 })
  await p.query('SELECT 1')

  const refused = observedPool(t, { password: 'no', user: 'nobody' })
  await t.rejects(connectionOf(refused.pool), { code: 'ER_ACCESS_DENIED_ERROR' })
  t.match(await refused.numbers(), { opened: 0, closed: 0, connectionErrors: 1, waits: 0, uses: 0 })
  const nobody = observedPool(t, { port: 1 })
  await t.rejects(connectionOf(nobody.pool), { code: 'ECONNREFUSED' })
  t.same(await samplesOf(nobody.registry, 'db_connection_errors_total'), { ECONNREFUSED: 1 })
})

t.test('single connections, of both faces', async (t) => {
  const registry = new Registry()
  const connection = await promised.createConnection(server.config)
  instrumentMysql(connection, { registry, alias: 'one' })
  await connection.query('SELECT 1')
  await connection.end()
  const early = mysql.createConnection(server.config)
  instrumentMysql(early, { registry, alias: 'early' })
  await early.promise().query('SELECT 1')
  await early.promise().end()
  t.same(await samplesOf(registry, 'db_connections_opened_total'), { one: 1, early: 1 })
  t.same(await samplesOf(registry, 'db_connections_closed_total'), { one: 1, early: 1 })
})
