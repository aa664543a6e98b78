import t from 'tap'
import { instrumentMysql } from '../../adapters/mysql2.js'
import { instrumentPg, instrumentPool } from '../../adapters/pg.js'
import { instrumentSqlite } from '../../adapters/sqlite.js'
import { startMariaDb } from '../support/mariadb.js'
import { startPostgres } from '../support/postgres.js'
import { loadSqlite } from '../support/sqlite.js'
import { Books, calls, ignore, installed, isQuery } from './books.js'

const modules = await installed(t, async () => ({ knex: (await import('knex')).default, pg: (await import('pg')).default, mysql: (await import('mysql2')).default }))

if (modules !== undefined) {
  const { knex, pg, mysql } = modules
  type Knex = ReturnType<typeof knex>

  /** What the application does. */
  const work = async (t: Tap, db: Knex) => {
    await db.schema.createTable('walk', (table) => {
      table.integer('id').primary()
      table.integer('metres')
    })
    for (const id of [1, 2]) await db('walk').insert({ id, metres: 5 })
    t.equal((await db('walk')).length, 2)
    await t.rejects(db('walk').insert({ id: 1, metres: 5 }))
    await db.transaction((trx) => trx('walk').update({ metres: 6 }))
    await t.rejects(db.transaction(async (trx) => {
      await trx.raw('SELECT 1')
      throw new Error('rain')
    }), { message: 'rain' })
  }

  t.test('Knex on a pool of pg', async (t) => {
    const server = await startPostgres()
    t.teardown(() => server.close())
    const sent = calls(t, pg.Client.prototype, 'query')
    const books = new Books()
    const pool = new pg.Pool({ ...server.config, max: 3 })
    pool.on('error', ignore)
    instrumentPool(pool, books)
    const db = knex({ client: 'pg', connectionPool: pool })
    await work(t, db)
    t.match(await books.totals(), { errors: { unique_violation: 1 }, opened: 1, closed: 0, waits: 7, trouble: 0 })
    t.equal((await books.totals()).queries, sent.count)
    t.ok(sent.count >= 12, 'knex asks for the version too')
    t.same(await books.pool(), { idle: 1, used: 0, max: 3, pending: 0 })
    await db.destroy()
    await pool.end()
    t.equal((await books.totals()).closed, 1)
  })

  t.test('Knex on connections of pg that it pools itself', async (t) => {
    const server = await startPostgres()
    t.teardown(() => server.close())
    const sent = calls(t, pg.Client.prototype, 'query')
    const books = new Books()
    const { default: Postgres } = await import('knex/lib/dialects/postgres/index.js' as string) as { default: new (config: object) => object }
    const observed = instrumentPg(pg, books)
    class ObservedPostgres extends Postgres {
      _driver () { return observed }
    }
    const db = knex({ client: ObservedPostgres as never, connection: server.config, pool: { min: 0, max: 3 } })
    await work(t, db)
    t.match(await books.totals(), { errors: { unique_violation: 1 }, opened: 1, closed: 0, waits: 0, trouble: 0 })
    t.equal((await books.totals()).queries, sent.count)
    t.same(await books.pool(), {})
    await db.destroy()
    t.equal((await books.totals()).closed, 1)
  })

  t.test('Knex on mysql2', async (t) => {
    const server = await startMariaDb(t)
    if (server === undefined) return
    const sent = calls(t, (mysql as unknown as { Connection: { prototype: object } }).Connection.prototype, 'addCommand', isQuery)
    await t.test('a pool of mysql2', async (t) => {
      const books = new Books()
      const pool = mysql.createPool({ ...server.config, connectionLimit: 3 })
      instrumentMysql(pool, books)
      const db = knex({ client: 'mysql2', connectionPool: pool as never })
      await work(t, db)
      t.match(await books.totals(), { queries: sent.count, errors: { unique_violation: 1 }, opened: 1, closed: 0, waits: 7, trouble: 0 })
      t.match(await books.pool(), { idle: 1, used: 0, max: 3, pending: 0 })
      await db.schema.dropTable('walk')
      await db.destroy()
      await new Promise((resolve) => { pool.end(resolve) })
    })
    await t.test('connections that Knex pools itself', async (t) => {
      sent.count = 0
      const books = new Books()
      const afterCreate = (connection: never, done: (error: Error | null, connection: unknown) => void) => {
        instrumentMysql(connection, books)
        done(null, connection)
      }
      const db = knex({ client: 'mysql2', connection: server.config, pool: { min: 0, max: 3, afterCreate } })
      await work(t, db)
      t.match(await books.totals(), { queries: sent.count - 1, errors: { unique_violation: 1 }, opened: 1, closed: 0, waits: 0, trouble: 0 }, 'all but the version, which Knex asks for before afterCreate')
      await db.destroy()
      t.equal((await books.totals()).closed, 1)
    })
  })

  const Sqlite = await loadSqlite(t)
  if (Sqlite !== undefined) {
    t.test('Knex on better-sqlite3', async (t) => {
      const books = new Books()
      const afterCreate = (database: never, done: (error: Error | null, database: unknown) => void) => {
        instrumentSqlite(database, books)
        done(null, database)
      }
      const db = knex({ client: 'better-sqlite3', connection: { filename: ':memory:' }, useNullAsDefault: true, pool: { afterCreate } })
      await work(t, db)
      t.match(await books.totals(), { queries: 11, errors: { unique_violation: 1 }, opened: 1, closed: 0, waits: 0, trouble: 0 })
      await db.destroy()
      t.equal((await books.totals()).closed, 1)
    })
  }
}

type Tap = Pick<typeof t, 'equal' | 'rejects'>
