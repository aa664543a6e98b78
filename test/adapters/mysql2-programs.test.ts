import { once } from 'node:events'
import fc from 'fast-check'
import mysql, { type Pool, type PoolConnection, type PoolOptions } from 'mysql2'
import promised from 'mysql2/promise'
import { Registry } from 'prom-client'
import t from 'tap'
import { instrumentMysql } from '../../adapters/mysql2.js'
import { databaseNumbers, samplesOf, underWay } from '../support/database.js'
import { startMariaDb, type MariaDb } from '../support/mariadb.js'

const started = await startMariaDb(t)
if (started === undefined) process.exit(0)
const server: MariaDb = started
const killer = await promised.createConnection(server.config)
t.teardown(() => killer.end())

/** What an application was told. */
interface Told {
  succeeded: number
  failed: number
  /** Requests for a connection that got one. */
  acquired: number
}

/** These are told to who asks for a connection: no statement was sent. */
const NO_CONNECTION = new Set(['Queue limit reached.', 'No connections available.', 'Pool is closed.'])

/** A pool, the connections that are out of it, and what was told of them. */
class Stage {
  readonly told: Told = { succeeded: 0, failed: 0, acquired: 0 }
  readonly held: PoolConnection[] = []
  readonly pool: Pool

  constructor (pool: Pool) {
    this.pool = pool
  }

  /** Sends a statement through the pool, or on a connection that is held, and notes what is told of it. */
  async send (statement: () => Promise<unknown>, throughPool: boolean): Promise<void> {
    try {
      await statement()
      this.told.succeeded++
      if (throughPool) this.told.acquired++
    } catch (error) {
      if (NO_CONNECTION.has((error as Error).message)) return
      this.told.failed++
      if (throughPool) this.told.acquired++
    }
  }

  async take (): Promise<PoolConnection | undefined> {
    try {
      const connection = await new Promise<PoolConnection>((resolve, reject) => this.pool.getConnection((error, connection) => error ? reject(error) : resolve(connection)))
      this.told.acquired++
      return connection
    } catch {
      return undefined
    }
  }
}

type Operation = (stage: Stage, n: number) => Promise<void> | void

const onHeld = (then: (stage: Stage, connection: PoolConnection) => Promise<void> | void): Operation => async (stage, n) => {
  // Nobody else may take it meanwhile.
  const [connection] = stage.held.splice(n % Math.max(stage.held.length, 1), 1)
  if (connection !== undefined) await then(stage, connection)
}

const operations: Record<string, Operation> = {
  query: (stage, n) => stage.send(() => stage.pool.promise().query('SELECT ?', [n]), true),
  callback: (stage) => stage.send(() => new Promise((resolve, reject) => stage.pool.query('SELECT 1', (error, rows) => error ? reject(error) : resolve(rows))), true),
  'failing query': (stage) => stage.send(() => stage.pool.promise().query('nonsense'), true),
  execute: (stage, n) => stage.send(() => stage.pool.promise().execute('SELECT ?', [n]), true),
  'failing execute': (stage) => stage.send(() => stage.pool.promise().execute('SELECT * FROM nowhere'), true),
  several: (stage) => stage.send(() => stage.pool.promise().query('SELECT 1; SELECT 2'), true),
  'several of which one fails': (stage) => stage.send(() => stage.pool.promise().query('SELECT 1; nonsense'), true),
  stream: (stage) => stage.send(() => stage.pool.query('SELECT 1 UNION SELECT 2').stream().toArray(), true),
  'failing stream': (stage) => stage.send(() => stage.pool.query('nonsense').stream().toArray(), true),
  'without a callback': (stage) => stage.send(async () => { await once(stage.pool.query('SELECT 1'), 'end') }, true),
  take: async (stage) => {
    const connection = await stage.take()
    if (connection !== undefined) stage.held.push(connection)
  },
  release: onHeld((_stage, connection) => { connection.release() }),
  'release twice': onHeld((_stage, connection) => {
    connection.release()
    connection.release()
  }),
  dispose: onHeld((_stage, connection) => { (connection as unknown as Disposable)[Symbol.dispose]() }),
  destroy: onHeld((_stage, connection) => { connection.destroy() }),
  'statement on one': onHeld(async (stage, connection) => {
    await stage.send(() => connection.promise().query('SELECT 1'), false)
    connection.release()
  }),
  'prepare by hand': onHeld(async (stage, connection) => {
    const statement = await connection.promise().prepare('SELECT ? + 1')
    await stage.send(() => statement.execute([1]), false)
    await statement.close()
    connection.release()
  }),
  transaction: onHeld(async (stage, connection) => {
    await stage.send(() => connection.promise().beginTransaction(), false)
    await stage.send(() => connection.promise().query('nonsense'), false)
    await stage.send(() => connection.promise().rollback(), false)
    connection.release()
  }),
  'ping, reset and change the user': onHeld(async (_stage, connection) => {
    await connection.promise().ping()
    await (connection.promise() as unknown as { reset (): Promise<void> }).reset()
    await connection.promise().changeUser({ database: 'mysql' })
    connection.release()
  }),
  'a timeout': onHeld(async (stage, connection) => {
    await stage.send(() => connection.promise().query({ sql: 'SELECT SLEEP(5)', timeout: 1 }), false)
    connection.destroy()
  }),
  'killed in a statement': onHeld(async (stage, connection) => {
    const lost = Promise.all([1, 2].map(() => stage.send(() => connection.promise().query('SELECT SLEEP(60)'), false)))
    await killer.query(`KILL ${connection.threadId}`)
    await lost
    connection.release()
  }),
  'on a closed one': onHeld(async (stage, connection) => {
    connection.destroy()
    await stage.send(() => connection.promise().query('SELECT 1'), false)
    await stage.send(() => connection.promise().execute('SELECT 1'), false)
  })
}

const program = fc.array(fc.tuple(fc.constantFrom(...Object.keys(operations)), fc.nat(9), fc.boolean()), { minLength: 5, maxLength: 40, size: 'max' })
const settings: fc.Arbitrary<PoolOptions> = fc.record({
  connectionLimit: fc.integer({ min: 2, max: 4 }),
  queueLimit: fc.constantFrom(0, 0, 2),
  waitForConnections: fc.constantFrom(true, true, true, false),
  resetOnRelease: fc.boolean(),
  gracefulEnd: fc.boolean()
})

async function run (options: PoolOptions, steps: ReadonlyArray<readonly [name: string, n: number, waits: boolean]>): Promise<void> {
  const pool = mysql.createPool({ ...server.config, ...options, multipleStatements: true })
  const registry = new Registry()
  instrumentMysql(pool, { registry })
  const stage = new Stage(pool)
  const running = new Set<Promise<void>>()
  for (const [name, n, waits] of steps) {
    const operation = Promise.resolve((operations[name] as Operation)(stage, n)).finally(() => running.delete(operation))
    running.add(operation)
    // One that waits for a connection may wait for one that is held.
    if (waits) await Promise.race([operation, new Promise(setImmediate)])
  }
  while (running.size > 0) {
    for (const connection of stage.held.splice(0)) connection.release()
    await Promise.race([...running, new Promise(setImmediate)])
  }
  for (const connection of stage.held.splice(0)) connection.release()
  const { _allConnections, _freeConnections } = pool as unknown as Record<string, { length: number }>
  while (_freeConnections?.length !== _allConnections?.length) await new Promise(setImmediate)

  const { told } = stage
  const { opened, closed, queries, queryErrors, waits, timeouts, uses, inFlight, trouble } = await databaseNumbers(registry)
  same({ open: opened - closed, queries, queryErrors, acquired: waits - timeouts, uses, inFlight, trouble },
    { open: _allConnections?.length, queries: told.succeeded + told.failed, queryErrors: told.failed, acquired: told.acquired, uses: told.acquired, inFlight: 0, trouble: 0 })
  same(await underWay(registry), { queries: 0, query: 0, wait: 0, use: 0 })
  same(await samplesOf(registry, 'db_pool_connections'), { idle: _allConnections?.length, used: 0 })
  await pool.promise().end()
  const after = await databaseNumbers(registry)
  same(after.opened, after.closed)
}

function same (found: unknown, wanted: unknown): void {
  const [a, b] = [JSON.stringify(found), JSON.stringify(wanted)]
  if (a !== b) throw new Error(`found  ${a}\nwanted ${b}`)
}

t.test('whatever an application does, the numbers add up', async () => {
  await fc.assert(fc.asyncProperty(settings, program, run), { numRuns: Number(process.env.PROGRAMS ?? 60) })
})
