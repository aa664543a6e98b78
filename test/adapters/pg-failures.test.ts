import t, { type Test } from 'tap'
import pg, { type PoolConfig } from 'pg'
import { once, type EventEmitter } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { observedPool } from '../support/pool.js'
import { freePort, startPostgres } from '../support/postgres.js'

const server = await startPostgres('-c', 'max_connections=4', '-c', 'superuser_reserved_connections=0')
t.teardown(() => server.close())

/** An observed pool, and a function that reads what its metrics say of connections, waits and errors, without zeros. */
function start (t: Pick<Test, 'teardown'>, options: PoolConfig = {}) {
  const { pool, registry } = observedPool(t, server, options)
  const numbers = async () => {
    const found: Record<string, number> = {}
    for (const [name, key] of Object.entries({
      db_connections_opened_total: 'opened',
      db_connections_closed_total: 'closed',
      db_connection_errors_total: 'connection error',
      db_pool_acquire_timeouts_total: 'timeout',
      db_query_errors_total: 'query error',
      metrics_instrumentation_errors_total: 'trouble'
    })) {
      const { values } = await (registry.getSingleMetric(name) as unknown as { get (): Promise<{ values: Array<{ value: number, labels: { type?: string } }> }> }).get()
      for (const { value, labels: { type } } of values) if (value > 0) found[type === undefined ? key : `${key} ${type}`] = value
    }
    return found
  }
  return { pool, registry, numbers }
}

/** Ends the server's side of a connection of another's. */
async function terminate (pid: number): Promise<void> {
  const client = new pg.Client(server.config)
  await client.connect()
  await client.query('SELECT pg_terminate_backend($1)', [pid])
  await client.end()
}
/** As events.once, which does not wait for an event past an 'error'. */
const emitted = (emitter: EventEmitter, event: string) => new Promise<unknown>((resolve) => emitter.once(event, resolve))
const pidOf = async (db: { query (text: string): Promise<{ rows: Array<{ pid: number }> }> }) => (await db.query('SELECT pg_backend_pid() AS pid')).rows[0]?.pid ?? 0

t.test('a connection that cannot be made is a connection error and no query error', async (t) => {
  const expected: Array<[string, PoolConfig, string]> = [
    ['refused', { port: await freePort() }, 'ECONNREFUSED'],
    ['no such database', { database: 'nowhere' }, 'invalid_catalog_name'],
    ['a wrong password', { password: 'secret' }, 'invalid_password']
  ]
  for (const [name, options, type] of expected) {
    const { pool, numbers, registry } = start(t, options)
    await t.rejects(pool.query('SELECT 1'))
    await t.rejects(pool.connect())
    t.same(await numbers(), { [`connection error ${type}`]: 2 }, name)
    t.notMatch(await registry.metrics(), 'db_pool_acquire_duration_seconds_count')
    t.notMatch(await registry.metrics(), 'secret')
  }
})

t.test('a server that never answers is a connection error', async (t) => {
  const sockets = new Set<Socket>()
  const silent = createServer((socket) => sockets.add(socket)).listen(0, '127.0.0.1')
  await once(silent, 'listening')
  t.teardown(() => {
    silent.close()
    for (const socket of sockets) socket.destroy()
  })
  const { pool, numbers } = start(t, { port: (silent.address() as AddressInfo).port, connectionTimeoutMillis: 50 })
  await t.rejects(pool.query('SELECT 1'), { message: 'Connection terminated due to connection timeout' })
  t.same(await numbers(), { 'connection error Error': 1 })
})

t.test('an exhausted pool is an acquire timeout and no connection error', async (t) => {
  const { pool, numbers, registry } = start(t, { max: 1 })
  const client = await pool.connect()
  pool.options.connectionTimeoutMillis = 20
  await t.rejects(pool.connect(), { message: 'timeout exceeded when trying to connect' })
  await t.rejects(pool.query('SELECT 1'), { message: 'timeout exceeded when trying to connect' })
  t.same(await numbers(), { opened: 1, timeout: 2 })
  client.release()
  await pool.end()
  await t.rejects(pool.connect(), { message: 'Cannot use a pool after calling end on the pool' })
  t.match(await numbers(), { timeout: 2 }, 'a pool that has ended is not exhausted')
  t.match(await registry.getSingleMetricAsString('db_pool_acquire_duration_seconds'), /_count.* 3\n?$/, 'who got none has waited as well')
})

t.test('an idle connection that is lost is a connection error', async (t) => {
  const { pool, numbers } = start(t, { max: 1 })
  const [lost] = await Promise.all([emitted(pool, 'error'), emitted(pool, 'remove'), pidOf(pool).then(terminate)])
  t.match(lost, { code: '57P01' })
  t.same(await numbers(), { opened: 1, closed: 1, 'connection error admin_shutdown': 1 })
  await pool.query('SELECT 1')
  t.same(await numbers(), { opened: 2, closed: 1, 'connection error admin_shutdown': 1 })
})

t.test('a connection that is lost in a query is a query error', async (t) => {
  const { pool, numbers, registry } = start(t, { max: 1 })
  const client = await pool.connect()
  const failed = emitted(client, 'error')
  const ended = emitted(client, 'end')
  const pid = await pidOf(client)
  const query = t.rejects(client.query('SELECT pg_sleep(60)'), { code: '57P01' })
  await Promise.all([query, failed, ended, terminate(pid)])
  await t.rejects(client.query('SELECT 1'), { message: /not queryable/ })
  client.release()
  t.same(await numbers(), { opened: 1, closed: 1, 'query error admin_shutdown': 1, 'query error Error': 1 })
  t.match(await registry.getSingleMetricAsString('db_connection_use_duration_seconds'), /_count.* 1\n?$/, 'it was in use until it was released')
})

t.test('too many connections are told by their name', async (t) => {
  const { pool, numbers } = start(t, { max: 10 })
  const results = await Promise.allSettled(Array.from({ length: 10 }, () => pool.connect()))
  const clients = results.flatMap((result) => result.status === 'fulfilled' ? [result.value] : [])
  const refused = results.length - clients.length
  t.ok(refused >= 6)
  t.same(await numbers(), { opened: clients.length, 'connection error too_many_connections': refused })
  for (const client of clients) client.release()
  await pool.end()
})

t.test('a server that stops and starts again is seen as it was', async (t) => {
  // Not the one above: the backends of the many connections outlive their clients by a moment, and hold its places.
  const server = await startPostgres()
  t.teardown(() => server.close())
  const { pool, numbers } = start(t, { ...server.config, max: 2 })
  pool.on('error', () => {})
  const clients = await Promise.all([pool.connect(), pool.connect()])
  const removed = new Promise<void>((resolve) => {
    let left = clients.length
    pool.on('remove', () => --left === 0 && resolve())
  })
  for (const client of clients) client.release()
  await Promise.all([removed, server.stop()])
  await t.rejects(pool.query('SELECT 1'), { code: 'ECONNREFUSED' })
  t.same(await numbers(), { opened: 2, closed: 2, 'connection error admin_shutdown': 2, 'connection error ECONNREFUSED': 1 })
  await server.start()
  await pool.query('SELECT 1')
  t.match(await numbers(), { opened: 3, closed: 2 })
})
