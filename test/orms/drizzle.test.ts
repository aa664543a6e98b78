import t from 'tap'
import { instrumentMysql } from '../../adapters/mysql2.js'
import { instrumentPool } from '../../adapters/pg.js'
import { instrumentSqlite } from '../../adapters/sqlite.js'
import { startMariaDb } from '../support/mariadb.js'
import { startPostgres } from '../support/postgres.js'
import { loadSqlite } from '../support/sqlite.js'
import { Books, calls, ignore, installed, isQuery } from './books.js'

const modules = await installed(t, async () => ({
  ...await import('drizzle-orm'),
  node: await import('drizzle-orm/node-postgres'),
  mysqlDriver: await import('drizzle-orm/mysql2'),
  sqliteDriver: await import('drizzle-orm/better-sqlite3'),
  pgCore: await import('drizzle-orm/pg-core'),
  mysqlCore: await import('drizzle-orm/mysql-core'),
  sqliteCore: await import('drizzle-orm/sqlite-core'),
  pg: (await import('pg')).default,
  mysql: (await import('mysql2')).default
}))

if (modules !== undefined) {
  const { sql, pg, mysql, node, mysqlDriver, sqliteDriver, pgCore, mysqlCore, sqliteCore } = modules
  const CREATE = 'CREATE TABLE walk (id INT PRIMARY KEY, metres INT)'

  t.test('Drizzle on a pool of pg', async (t) => {
    const server = await startPostgres()
    t.teardown(() => server.close())
    const sent = calls(t, pg.Client.prototype, 'query')
    const books = new Books()
    const db = node.drizzle({ connection: { ...server.config, max: 3 } })
    db.$client.on('error', ignore)
    instrumentPool(db.$client, books)
    const walk = pgCore.pgTable('walk', { id: pgCore.integer().primaryKey(), metres: pgCore.integer() })
    await db.execute(CREATE)
    for (const id of [1, 2]) await db.insert(walk).values({ id, metres: 5 })
    t.equal((await db.select().from(walk)).length, 2)
    await t.rejects(async () => { await db.insert(walk).values({ id: 1, metres: 5 }) })
    await db.transaction(async (tx) => { await tx.update(walk).set({ metres: 6 }) })
    await t.rejects(db.transaction(async (tx) => {
      await tx.execute(sql`SELECT 1`)
      throw new Error('rain')
    }), { message: 'rain' })
    const { opened, closed, ...others } = await books.totals()
    t.same(others, { queries: 11, rows: 2 + 2 + 2 + 1, errors: { unique_violation: 1 }, waits: 7, trouble: 0 })
    t.same([opened, closed], [2, 1], 'a query that fails costs pool.query its connection')
    t.equal(sent.count, 11)
    t.same(await books.pool(), { idle: 1, used: 0, max: 3, pending: 0 })
    await db.$client.end()
  })

  t.test('Drizzle on a pool of mysql2', async (t) => {
    const server = await startMariaDb(t)
    if (server === undefined) return
    const sent = calls(t, (mysql as unknown as { Connection: { prototype: object } }).Connection.prototype, 'addCommand', isQuery)
    const books = new Books()
    const pool = mysql.createPool({ ...server.config, connectionLimit: 3 })
    instrumentMysql(pool, books)
    const db = mysqlDriver.drizzle({ client: pool })
    const walk = mysqlCore.mysqlTable('walk', { id: mysqlCore.int().primaryKey(), metres: mysqlCore.int() })
    await db.execute(CREATE)
    for (const id of [1, 2]) await db.insert(walk).values({ id, metres: 5 })
    t.equal((await db.select().from(walk)).length, 2)
    await t.rejects(async () => { await db.insert(walk).values({ id: 1, metres: 5 }) })
    await db.transaction(async (tx) => { await tx.update(walk).set({ metres: 6 }) })
    const { queries, errors, opened, waits, trouble } = await books.totals()
    t.same({ queries, errors, opened, waits, trouble }, { queries: sent.count, errors: { unique_violation: 1 }, opened: 1, waits: 6, trouble: 0 })
    t.ok(queries >= 8)
    t.match(await books.pool(), { idle: 1, used: 0, max: 3, pending: 0 })
    await new Promise((resolve) => { pool.end(resolve) })
  })

  const Sqlite = await loadSqlite(t)
  if (Sqlite !== undefined) {
    t.test('Drizzle on better-sqlite3', async (t) => {
      const sent: string[] = []
      const database = new Sqlite(':memory:', { verbose: (text: string) => sent.push(text) })
      const books = new Books()
      instrumentSqlite(database, books)
      const db = sqliteDriver.drizzle({ client: database as never })
      const walk = sqliteCore.sqliteTable('walk', { id: sqliteCore.integer().primaryKey(), metres: sqliteCore.integer() })
      db.run(sql.raw('CREATE TABLE walk (id INTEGER PRIMARY KEY, metres INT)'))
      for (const id of [1, 2]) db.insert(walk).values({ id, metres: 5 }).run()
      t.equal(db.select().from(walk).all().length, 2)
      t.equal((await db.select().from(walk)).length, 2)
      t.throws(() => db.insert(walk).values({ id: 1, metres: 5 }).run())
      db.transaction((tx) => { tx.update(walk).set({ metres: 6 }).run() })
      t.throws(() => { db.transaction(() => { throw new Error('rain') }) }, { message: 'rain' })
      const { queries, rows, errors, opened, trouble } = await books.totals()
      t.same({ queries, rows, errors, opened, trouble }, { queries: 11, rows: 2 + 2 + 2 + 2, errors: { unique_violation: 1 }, opened: 1, trouble: 0 })
      t.equal(sent.length, 11)
      database.close()
    })
  }
}
