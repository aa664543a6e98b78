import pg, { type PoolClient } from 'pg'
import { Registry } from 'prom-client'
import t from 'tap'
import { once, type EventEmitter } from 'node:events'
import { connect, createServer, type AddressInfo } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { instrumentPool } from '../../adapters/pg.js'
import { databaseNumbers, underWay } from '../support/database.js'
import { observedPool } from '../support/pool.js'
import { startPostgres } from '../support/postgres.js'

const server = await startPostgres()
t.teardown(() => server.close())

/** Ways in which an application takes listeners away. */
const removals: Record<string, (emitter: EventEmitter) => void> = {
  'all': (emitter) => emitter.removeAllListeners(),
  'all of each event': (emitter) => { for (const event of emitter.eventNames()) emitter.removeAllListeners(event) },
  'each one, with off': (emitter) => {
    for (const event of emitter.eventNames()) for (const listener of emitter.listeners(event)) emitter.off(event, listener as () => void)
  },
  'each one, with removeListener': (emitter) => {
    for (const event of emitter.eventNames()) for (const listener of emitter.listeners(event)) emitter.removeListener(event, listener as () => void)
  }
}

t.test('a connection is opened, used and closed once, whatever listeners are taken away', async (t) => {
  for (const [way, remove] of Object.entries(removals)) {
    for (const whose of ['the client', 'the pool']) {
      for (const madeBefore of [false, true]) {
        const pool = new pg.Pool({ ...server.config, max: 1 })
        if (madeBefore) await pool.query('SELECT 1')
        const registry = new Registry()
        instrumentPool(pool, { registry })
        const client = await pool.connect()
        remove(whose === 'the pool' ? pool : client)
        await client.query('SELECT 1')
        client.release()
        const again = await pool.connect()
        again.release()
        await pool.end()
        const what = `${way} of ${whose}${madeBefore ? ', made before' : ''}`
        t.match(await databaseNumbers(registry), { opened: 1, closed: 1, queries: 1, uses: 2, waits: 2, trouble: 0 }, what)
        t.same(await underWay(registry), { queries: 0, query: 0, wait: 0, use: 0 }, what)
      }
    }
  }
})

t.test('an error of an idle connection is counted whatever listeners were taken away, and crashes no less', async (t) => {
  const { pool, registry } = observedPool(t, server, { max: 1 })
  const { rows: [row] } = await pool.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
  pool.removeAllListeners()
  t.equal(pool.listenerCount('error'), 0, 'no listener of ours hides that there is none')
  const failed = once(pool, 'error')
  const other = new pg.Client(server.config)
  await other.connect()
  await other.query('SELECT pg_terminate_backend($1)', [row?.pid])
  await other.end()
  await failed
  t.match(await databaseNumbers(registry), { connectionErrors: 1, closed: 1 })
})

t.test('a client that is used after its release is counted once', async (t) => {
  const { pool, registry } = observedPool(t, server, { max: 1 })
  const client = await pool.connect()
  client.release()
  await client.query('SELECT 1')
  t.match(await databaseNumbers(registry), { opened: 1, queries: 1, uses: 1 })
  t.same(await underWay(registry), { queries: 0, query: 0, wait: 0, use: 0 })

  await (client as unknown as pg.Client).end()
  t.match(await databaseNumbers(registry), { opened: 1, closed: 1 })
  const dead = await pool.connect()
  t.equal(dead, client, 'the pool does not know that it is dead')
  await t.rejects(dead.query('SELECT 1'))
  t.match(await databaseNumbers(registry), { opened: 1, closed: 1, queries: 2, queryErrors: 1, uses: 1 }, 'it is no new connection')
  dead.release()
  await pool.end()
  t.match(await databaseNumbers(registry), { opened: 1, closed: 1, queries: 2, uses: 2, trouble: 0 })

  const destroyed = observedPool(t, server, { max: 1 })
  const gone = await destroyed.pool.connect()
  gone.release(true)
  await t.rejects(gone.query('SELECT 1'))
  t.throws(() => gone.release(), /Release called on client/)
  await destroyed.pool.end()
  t.match(await databaseNumbers(destroyed.registry), { opened: 1, closed: 1, queries: 1, queryErrors: 1, uses: 1 })
})

t.test('a dead client is not kept', async (t) => {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as () => void
  const { pool, registry } = observedPool(t, server, { max: 2 })
  const references = await Promise.all([false, true].map(async (leaked) => {
    const client = await pool.connect()
    client.removeAllListeners()
    await client.query('SELECT 1')
    if (leaked) await (client as unknown as pg.Client).end()
    client.release(true)
    return new WeakRef<PoolClient>(client)
  }))
  for (let i = 0; i < 100 && references.some((reference) => reference.deref() !== undefined); i++) {
    await new Promise((resolve) => setImmediate(resolve))
    gc()
  }
  t.same(references.map((reference) => reference.deref()), [undefined, undefined])
  t.match(await databaseNumbers(registry), { opened: 2, closed: 2 })
})

/** A server in front of PostgreSQL that lets a connection through when it is told to. */
async function gate (): Promise<{ port: number, open: () => void, arrived: Promise<void>, close: () => void }> {
  let open = () => {}
  const opened = new Promise<void>((resolve) => { open = resolve })
  let come = () => {}
  const arrived = new Promise<void>((resolve) => { come = resolve })
  let waits = false
  const proxy = createServer((socket) => {
    const up = connect(server.port, '127.0.0.1')
    const join = () => { socket.pipe(up).pipe(socket) }
    for (const each of [socket, up]) each.on('error', () => { socket.destroy(); up.destroy() })
    // The first comes through at once.
    if (waits) opened.then(join, () => {})
    else join()
    if (waits) come()
    waits = true
  }).listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  return { port: (proxy.address() as AddressInfo).port, open, arrived, close: () => proxy.close() }
}

t.test('a connection that comes for a caller who has given up is no use of it', async (t) => {
  const door = await gate()
  t.teardown(door.close)
  const { pool, registry } = observedPool(t, server, { port: door.port, max: 1 })
  const first = await pool.connect()
  pool.options.connectionTimeoutMillis = 300
  const late = t.rejects(pool.connect(), { message: 'timeout exceeded when trying to connect' })
  pool.options.connectionTimeoutMillis = 0
  const acquired = once(pool, 'acquire')
  first.release(true)
  await door.arrived
  await late
  t.match(await databaseNumbers(registry), { opened: 1, uses: 1, waits: 2, timeouts: 1 }, 'it has waited')
  door.open()
  await acquired
  t.match(await databaseNumbers(registry), { opened: 2, uses: 1, waits: 2, timeouts: 1 })
  t.same(await underWay(registry), { queries: 0, query: 0, wait: 0, use: 0 })
  await pool.query('SELECT 1')
  t.match(await databaseNumbers(registry), { opened: 2, uses: 2, waits: 3, queries: 1 }, 'who comes later uses it')
  await pool.end()
  t.match(await databaseNumbers(registry), { opened: 2, closed: 2, trouble: 0 })
})

t.test('the time that a caller waited for nothing is observed', async (t) => {
  const { pool, registry } = observedPool(t, server, { max: 1 })
  const client = await pool.connect()
  // From now on: it would hold for making the first connection, too.
  pool.options.connectionTimeoutMillis = 120
  const waitedAtLeast = async () => {
    const { values } = await (registry.getSingleMetric('db_pool_acquire_duration_seconds') as unknown as { get (): Promise<{ values: Array<{ metricName: string, value: number }> }> }).get()
    return values.find(({ metricName }) => metricName.endsWith('_sum'))?.value ?? 0
  }
  const before = await waitedAtLeast()
  await t.rejects(pool.connect(), { message: /timeout exceeded/ })
  await t.rejects(new Promise((resolve, reject) => { pool.connect((error) => error ? reject(error) : resolve(undefined)) }), { message: /timeout exceeded/ })
  await t.rejects(pool.query('SELECT 1'), { message: /timeout exceeded/ })
  const waited = await waitedAtLeast() - before
  t.ok(waited > 0.3 && waited < 60, `three that waited 0.12 s each: ${waited}`)
  t.match(await databaseNumbers(registry), { waits: 4, timeouts: 3, uses: 0 })
  client.release()
})
