import mysql from 'mysql2/promise'
import t from 'tap'
import { instrumentMysql } from '../../adapters/mysql2.js'
import { instrumentSqlite } from '../../adapters/sqlite.js'
import { startMariaDb } from '../support/mariadb.js'
import { sqliteDrivers } from '../support/sqlite-drivers.js'
import { Watched } from './watched.js'

t.test('SQLite has no pool, and nothing about one', async (t) => {
  for (const driver of await sqliteDrivers(t)) {
    const watched = new Watched()
    const database = driver.open()
    instrumentSqlite(database as Parameters<typeof instrumentSqlite>[0], { registry: watched.registry, alias: 'walks' })
    database.exec('CREATE TABLE walks (id INTEGER PRIMARY KEY, dog TEXT UNIQUE)')
    await watched.next()
    const insert = database.prepare('INSERT INTO walks (dog) VALUES (?)')
    insert.run('Pixel')
    for (let i = 0; i < 3; i++) database.prepare('SELECT * FROM walks').all()
    for (let i = 0; i < 6; i++) t.throws(() => insert.run('Pixel'))
    const told = await watched.next()
    t.same(told.ids('database').filter((id) => id.startsWith('db.pool') || id === 'db.acquire'), [], `${driver.name}: no pool`)
    t.ok(['db.queries', 'db.latency', 'db.errors'].every((id) => told.ids('database').includes(id)), told.ids('database').join())
    t.match(told.ratios('db.queries', 'select'), { insert: Number((7 / 3).toPrecision(6)), select: 1 })
    t.same(Object.keys(told.last('db.errors')), ['unique_violation'])
    t.same(told.numbers.summary.map(({ id }) => id).filter((id) => id.startsWith('pool')), [])
    t.same(told.numbers.problems, [], 'a broken constraint is none')
    database.close()
  }
})

t.test('a pool of MySQL', async (t) => {
  const server = await startMariaDb(t)
  if (server === undefined) return
  const watched = new Watched()
  const pool = mysql.createPool({ ...server.config, connectionLimit: 4 })
  t.teardown(() => pool.end())
  instrumentMysql(pool, { registry: watched.registry })
  await pool.query('SELECT 1')
  await watched.next()
  const held = await pool.getConnection()
  await held.query('SELECT 2')
  for (let i = 0; i < 6; i++) await t.rejects(pool.query('SELECT * FROM nowhere'))
  const told = await watched.next()
  t.match(told.last('db.pool.default'), { used: 1, max: 4, waiting: 0 })
  t.match(told.numbers.summary.find(({ id }) => id === 'pool.default'), { value: 1, max: 4 })
  t.same(Object.keys(told.last('db.errors')), ['undefined_table'])
  t.match(told.numbers.problems, [{ id: 'database-query-errors' }])
  held.release()
})
