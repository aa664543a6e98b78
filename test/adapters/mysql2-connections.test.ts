import { once, type EventEmitter } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import mysql, { type Pool, type PoolConnection, type PoolOptions } from 'mysql2'
import promised from 'mysql2/promise'
import { Registry } from 'prom-client'
import t from 'tap'
import { instrumentMysql } from '../../adapters/mysql2.js'
import { countUsage, newUsage } from '../../src/instrumentation/index.js'
import { databaseNumbers, samplesOf, underWay } from '../support/database.js'
import { startMariaDb, type MariaDb } from '../support/mariadb.js'

const started = await startMariaDb(t)
if (started === undefined) process.exit(0)
const server: MariaDb = started

function observedPool (test: Pick<typeof t, 'teardown'>, options: PoolOptions = {}) {
  const pool = mysql.createPool({ ...server.config, ...options })
  const registry = new Registry()
  instrumentMysql(pool, { registry })
  test.teardown(() => new Promise<void>((resolve) => { pool.end(() => resolve()) }))
  return { pool, registry, numbers: () => databaseNumbers(registry) }
}

function connectionOf (pool: Pool): Promise<PoolConnection> {
  return new Promise((resolve, reject) => pool.getConnection((error, connection) => error ? reject(error) : resolve(connection)))
}

const closeOf = (connection: object) => once((connection as { stream: EventEmitter }).stream, 'close')

t.test('connections made before the pool was observed: one idle, one in use', async (t) => {
  const pool = mysql.createPool({ ...server.config, connectionLimit: 2 })
  const [idle, out] = await Promise.all([connectionOf(pool), connectionOf(pool)])
  idle.release()
  const registry = new Registry()
  instrumentMysql(pool, { registry })
  t.match(await databaseNumbers(registry), { opened: 2, closed: 0, uses: 0 })
  await out.promise().query('SELECT 1')
  out.release()
  t.match(await databaseNumbers(registry), { queries: 1, uses: 0 }, 'it is not known since when it was in use')
  await Promise.all([1, 2].map(() => pool.promise().query('SELECT 1')))
  await pool.promise().end()
  t.match(await databaseNumbers(registry), { opened: 2, closed: 2, queries: 3, waits: 2, uses: 2, trouble: 0 })
})

t.test('a connection whose first statements are queued behind a handshake that fails', async (t) => {
  const registry = new Registry()
  const connection = mysql.createConnection({ ...server.config, user: 'nobody', password: 'no' })
  instrumentMysql(connection, { registry })
  const [error] = await new Promise<unknown[]>((resolve) => connection.query('SELECT 1', (...results) => resolve(results)))
  t.equal((error as { code: string }).code, 'ER_ACCESS_DENIED_ERROR')
  t.same(await samplesOf(registry, 'db_connection_errors_total'), { invalid_authorization_specification: 1 })
  t.match(await databaseNumbers(registry), { opened: 0, queries: 1, queryErrors: 1, inFlight: 0 })
})

t.test('a server that never answers', async (t) => {
  const sockets: Socket[] = []
  const silent = createServer((socket) => { sockets.push(socket) }).listen(0, '127.0.0.1')
  await once(silent, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    silent.close()
  })
  const { pool, registry, numbers } = observedPool(t, { port: (silent.address() as AddressInfo).port, connectTimeout: 50 })
  await t.rejects(connectionOf(pool), { code: 'ETIMEDOUT' })
  t.same(await samplesOf(registry, 'db_connection_errors_total'), { ETIMEDOUT: 1 })
  t.match(await numbers(), { opened: 0, closed: 0, waits: 1, timeouts: 0, uses: 0 })
  t.same(await underWay(registry), { queries: 0, query: 0, wait: 0, use: 0 })
})

t.test('a pool that ends tells those who wait, and closes what is in use', async (t) => {
  const { pool, numbers } = observedPool(t, { connectionLimit: 1 })
  const connection = await connectionOf(pool)
  const waits = t.rejects(connectionOf(pool), /Pool is closed/)
  const running = connection.promise().query('SELECT 1')
  const ended = pool.promise().end()
  await Promise.all([waits, running, ended])
  connection.release()
  t.match(await numbers(), { opened: 1, closed: 1, waits: 1, uses: 1, queries: 1, inFlight: 0, timeouts: 0 })
})

t.test('what the application ends, in each of its ways', async (t) => {
  for (const gracefulEnd of [false, true]) {
    const { pool, numbers } = observedPool(t, { connectionLimit: 1, gracefulEnd })
    const { warn } = console
    console.warn = () => {}
    const ended = await connectionOf(pool)
    ended.end()
    console.warn = warn
    t.match(await numbers(), { opened: 1, closed: gracefulEnd ? 1 : 0, uses: 1 }, 'end() of a connection of a pool releases it, unless it is graceful')
    const closed = await connectionOf(pool)
    closed.destroy()
    closed.destroy()
    t.match(await numbers(), { opened: gracefulEnd ? 2 : 1, closed: gracefulEnd ? 2 : 1, uses: 2, connectionErrors: 0 })
  }
})

t.test('idle connections that the pool removes', async (t) => {
  const { pool, numbers } = observedPool(t, { connectionLimit: 2, maxIdle: 1, idleTimeout: 60_000 })
  const connections = await Promise.all([connectionOf(pool), connectionOf(pool)])
  const closed = Promise.race(connections.map(closeOf))
  for (const connection of connections) connection.release()
  await closed
  t.match(await numbers(), { opened: 2, closed: 1, connectionErrors: 0, uses: 2 })
})

t.test('a connection that was made alone and is lost while idle', async (t) => {
  const registry = new Registry()
  const connection = await promised.createConnection(server.config)
  const killer = await promised.createConnection(server.config)
  instrumentMysql(connection, { registry })
  connection.on('error', () => {})
  const closed = closeOf((connection as unknown as { connection: object }).connection)
  await killer.query(`KILL ${connection.threadId}`)
  await closed
  await killer.end()
  t.match(await databaseNumbers(registry), { opened: 1, closed: 1, connectionErrors: 1, queries: 0 })
  await t.rejects(connection.query('SELECT 1'), /closed state/)
  t.match(await databaseNumbers(registry), { queries: 1, queryErrors: 1, inFlight: 0 })
})

t.test('statements are counted for the request that made them, whatever it waited for', async (t) => {
  const { pool, registry } = observedPool(t, { connectionLimit: 1 })
  const requests = Array.from({ length: 4 }, newUsage)
  await Promise.all(requests.map((usage, i) => new Promise<void>((resolve, reject) => {
    countUsage(usage, () => {
      const promises = Promise.all(Array.from({ length: i }, () => pool.promise().query('SELECT 1'))).then(() => pool.promise().getConnection()).then(async (connection) => {
        await connection.execute('SELECT 1')
        await t.rejects(connection.query('nonsense'))
        connection.release()
      })
      const callbacks = new Promise<void>((resolve) => pool.query('SELECT 1', () => pool.getConnection((_error, connection) => {
        connection.query('SELECT 1', () => connection.execute('SELECT 1', () => {
          connection.release()
          pool.execute('SELECT 1', () => resolve())
        }))
      })))
      Promise.all([promises, callbacks]).then(() => resolve(), reject)
    })
  })))
  await pool.promise().query('SELECT 1')
  t.same(requests.map(({ queries }) => queries), [6, 7, 8, 9])
  t.ok(requests.every(({ seconds }) => seconds > 0))
  t.match(await databaseNumbers(registry), { queries: 31, inFlight: 0 })
})

t.test('a server that is restarted in a statement', async (t) => {
  const { pool, registry, numbers } = observedPool(t, { connectionLimit: 2 })
  const [idle, busy] = await Promise.all([connectionOf(pool), connectionOf(pool)])
  idle.release()
  const closed = Promise.all([idle, busy].map(closeOf))
  const lost = t.rejects(busy.promise().query('SELECT SLEEP(60)'))
  await Promise.all([server.stop(), lost, closed])
  t.match(await numbers(), { opened: 2, closed: 2, queries: 1, queryErrors: 1, uses: 2, connectionErrors: 1, inFlight: 0 })
  await t.rejects(pool.promise().query('SELECT 1'), { code: 'ECONNREFUSED' })
  t.match(await numbers(), { opened: 2, queries: 1, waits: 2, connectionErrors: 2 })
  await server.start()
  await pool.promise().query('SELECT 1')
  t.match(await numbers(), { opened: 3, closed: 2, queries: 2, queryErrors: 1, waits: 3, uses: 3, trouble: 0 })
  t.same(await samplesOf(registry, 'db_pool_connections'), { idle: 1, used: 0 })
})

t.test('what is no pool, connection or cluster of mysql2', async (t) => {
  const pool = mysql.createPool(server.config)
  const connection = await connectionOf(pool)
  const broken = (name: string) => Object.create(pool, { [name]: { value: undefined } }) as Pool
  const cluster = mysql.createPoolCluster()
  cluster.add('a', server.config)
  Object.assign((cluster as unknown as { _nodes: { a: { pool: object } } })._nodes.a, { pool: {} })
  const wrong: Array<[unknown, RegExp]> = [
    [undefined, /got undefined/], ['mysql://me:secret@host', /not its address or name/], [{}, /got/], [Promise.resolve(), /await the connection first/],
    [connection, /connection of a pool: pass the pool/], [connection.promise(), /connection of a pool: pass the pool/], [cluster, /expects/],
    ...['_allConnections', '_freeConnections', '_connectionQueue', 'config'].map((name): [unknown, RegExp] => [broken(name), /mysql2 3 only/])
  ]
  for (const [target, message] of wrong) {
    t.throws(() => instrumentMysql(target as never), { code: 'FP_ERR_INVALID_TARGET', message })
    t.throws(() => instrumentMysql(target as never), { message: /^(?!.*secret)/ })
  }
  t.throws(() => instrumentMysql(pool, { alias: '' }), { code: 'FP_ERR_INVALID_OPTION' })
  connection.release()
  await pool.promise().end()
})
