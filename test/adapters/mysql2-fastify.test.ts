import fastifyMysql, { type MySQLConnection, type MySQLPool, type MySQLPromiseConnection, type MySQLPromisePool } from '@fastify/mysql'
import Fastify from 'fastify'
import { Registry } from 'prom-client'
import t from 'tap'
import { instrumentMysql } from '../../adapters/mysql2.js'
import metricsPlugin from '../../src/index.js'
import { databaseNumbers } from '../support/database.js'
import { startMariaDb, type MariaDb } from '../support/mariadb.js'
import { Page } from '../support/page.js'

const started = await startMariaDb(t)
if (started === undefined) process.exit(0)
const server: MariaDb = started

/** Two statements, of which the second is sent once the first is answered. */
const twice: Record<string, (db: unknown) => Promise<unknown>> = {
  'promise, pool': async (db) => {
    const { pool, query } = db as MySQLPromisePool
    await query('SELECT 1')
    const connection = await pool.getConnection()
    await connection.execute('SELECT 2')
    connection.release()
  },
  'promise, connection': async (db) => {
    const { query, execute } = db as MySQLPromiseConnection
    await query('SELECT 1')
    await execute('SELECT 2')
  },
  'callbacks, pool': (db) => new Promise<void>((resolve, reject) => {
    const { query, getConnection } = db as MySQLPool
    query('SELECT 1', (error) => {
      if (error) return reject(error)
      // @fastify/mysql has bound it before the pool was observed.
      getConnection((error, connection) => {
        if (error) return reject(error)
        connection.query('SELECT 2', (error) => {
          connection.release()
          if (error) reject(error)
          else resolve()
        })
      })
    })
  }),
  'callbacks, connection': (db) => new Promise<void>((resolve, reject) => {
    const { query, execute } = db as MySQLConnection
    query('SELECT 1', (error) => {
      if (error) return reject(error)
      execute('SELECT 2', [], (error) => error ? reject(error) : resolve())
    })
  })
}

for (const [way, send] of Object.entries(twice)) {
  t.test(`@fastify/mysql: ${way}`, async (t) => {
    const registry = new Registry()
    const app = Fastify()
    const type = way.endsWith('connection') ? 'connection' as const : 'pool' as const
    await app.register(metricsPlugin, { registry, metrics: { http_request_db_queries: true } })
    await app.register(fastifyMysql, { ...server.config, type, promise: way.startsWith('promise'), connectionLimit: 2 } as never)
    const { mysql: db } = app as unknown as { mysql: unknown }
    const undo = instrumentMysql(db as never, { registry })
    const { pool, connection } = db as { pool?: never, connection?: never }
    t.equal(instrumentMysql(pool ?? connection as never), undo, 'the decorator and what it holds are one thing')
    app.get('/', async () => {
      await send(db)
      return 'ok'
    })
    await app.ready()
    for (let i = 0; i < 3; i++) t.equal((await app.inject('/')).statusCode, 200)
    const { queries, queryErrors, rows, opened, uses, inFlight, trouble } = await databaseNumbers(registry)
    t.same({ queries, queryErrors, rows, inFlight, trouble }, { queries: 6, queryErrors: 0, rows: 6, inFlight: 0, trouble: 0 })
    t.equal(opened, 1)
    t.equal(uses, type === 'pool' ? 6 : 0)
    const page = new Page(await registry.metrics())
    t.equal(page.sum('http_request_db_queries_sum', { route: '/' }), way === 'callbacks, pool' ? 3 : 6, 'the requests that made them, but those of a bound getConnection')
    await app.close()
    const after = await databaseNumbers(registry)
    t.equal(after.opened, after.closed)
  })
}
