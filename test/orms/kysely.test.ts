import t from 'tap'
import { instrumentMysql } from '../../adapters/mysql2.js'
import { instrumentPool } from '../../adapters/pg.js'
import { instrumentSqlite } from '../../adapters/sqlite.js'
import { startMariaDb } from '../support/mariadb.js'
import { startPostgres } from '../support/postgres.js'
import { loadSqlite } from '../support/sqlite.js'
import { Books, calls, ignore, installed, isQuery } from './books.js'

const modules = await installed(t, async () => ({ kysely: await import('kysely'), pg: (await import('pg')).default, mysql: (await import('mysql2')).default }))

if (modules !== undefined) {
  const { kysely: { Kysely, MysqlDialect, PostgresDialect, SqliteDialect, sql }, pg, mysql } = modules
  interface Tables { walk: { id: number, metres: number } }
  type Database = InstanceType<typeof Kysely<Tables>>

  /** What the application does: 1 + 2 + 1 + 1 + 3 + 3 queries. */
  const work = async (t: Tap, db: Database) => {
    await db.schema.createTable('walk').addColumn('id', 'integer', (column) => column.primaryKey()).addColumn('metres', 'integer').execute()
    for (const id of [1, 2]) await db.insertInto('walk').values({ id, metres: 5 }).execute()
    t.equal((await db.selectFrom('walk').selectAll().execute()).length, 2)
    await t.rejects(db.insertInto('walk').values({ id: 1, metres: 5 }).execute())
    await db.transaction().execute((trx) => trx.updateTable('walk').set({ metres: 6 }).execute())
    await t.rejects(db.transaction().execute(async (trx) => {
      await sql`SELECT 1`.execute(trx)
      throw new Error('rain')
    }), { message: 'rain' })
  }
  const QUERIES = 11

  t.test('Kysely on a pool of pg', async (t) => {
    const server = await startPostgres()
    t.teardown(() => server.close())
    const sent = calls(t, pg.Client.prototype, 'query')
    const books = new Books()
    const pool = new pg.Pool({ ...server.config, max: 3 })
    pool.on('error', ignore)
    instrumentPool(pool, books)
    const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) })
    await work(t, db)
    t.same(await books.totals(), { queries: QUERIES, rows: 2 + 2 + 2 + 1, errors: { unique_violation: 1 }, opened: 1, closed: 0, waits: 7, trouble: 0 })
    t.equal(sent.count, QUERIES)
    t.same(await books.pool(), { idle: 1, used: 0, max: 3, pending: 0 })
    await db.destroy()
    t.equal((await books.totals()).closed, 1)
  })

  t.test('Kysely on a pool of mysql2', async (t) => {
    const server = await startMariaDb(t)
    if (server === undefined) return
    const books = new Books()
    const pool = mysql.createPool({ ...server.config, connectionLimit: 3 })
    instrumentMysql(pool, books)
    const sent = calls(t, (mysql as unknown as { Connection: { prototype: object } }).Connection.prototype, 'addCommand', isQuery)
    const db = new Kysely<Tables>({ dialect: new MysqlDialect({ pool }) })
    await work(t, db)
    const { queries, errors, opened, waits, trouble } = await books.totals()
    t.same({ queries, errors, opened, waits, trouble }, { queries: QUERIES, errors: { unique_violation: 1 }, opened: 1, waits: 7, trouble: 0 })
    t.equal(sent.count, QUERIES)
    t.match(await books.pool(), { idle: 1, used: 0, max: 3, pending: 0 })
    await db.destroy()
  })

  const Sqlite = await loadSqlite(t)
  if (Sqlite !== undefined) {
    t.test('Kysely on better-sqlite3', async (t) => {
      const sent: string[] = []
      const database = new Sqlite(':memory:', { verbose: (text: string) => sent.push(text) })
      const books = new Books()
      instrumentSqlite(database, books)
      const db = new Kysely<Tables>({ dialect: new SqliteDialect({ database: database as never }) })
      await work(t, db)
      const { queries, errors, opened, waits } = await books.totals()
      t.same({ queries, errors, opened, waits }, { queries: QUERIES, errors: { unique_violation: 1 }, opened: 1, waits: 0 })
      t.equal(sent.length, QUERIES)
      t.same(await books.pool(), {})
      await db.destroy()
      t.equal((await books.totals()).closed, 1)
    })
  }
}

type Tap = Pick<typeof t, 'equal' | 'rejects'>
