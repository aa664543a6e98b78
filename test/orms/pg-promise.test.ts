import pgPromise from 'pg-promise'
import t from 'tap'
import { instrumentPool } from '../../adapters/pg.js'
import { startPostgres } from '../support/postgres.js'
import { Books, calls, ignore } from './books.js'

t.test('pg-promise, by the pool of its database', async (t) => {
  const server = await startPostgres()
  t.teardown(() => server.close())
  const library = pgPromise()
  const sent = calls(t, library.pg.Client.prototype, 'query')
  const books = new Books()
  const db = library({ ...server.config, max: 3 })
  db.$pool.on('error', ignore)
  instrumentPool(db.$pool, books)
  await db.none('CREATE TABLE walk (id INT PRIMARY KEY, metres INT)')
  for (const id of [1, 2]) await db.none('INSERT INTO walk VALUES ($1, 5)', id)
  t.equal((await db.any('SELECT * FROM walk')).length, 2)
  await t.rejects(db.none('INSERT INTO walk VALUES (1, 5)'))
  await db.tx((tx) => tx.batch([tx.none('UPDATE walk SET metres = 6'), tx.one('SELECT 1')]))
  await t.rejects(db.tx(() => { throw new Error('rain') }), { message: 'rain' })
  t.same(await books.totals(), { queries: 11, rows: 2 + 2 + 2 + 1, errors: { unique_violation: 1 }, opened: 1, closed: 0, waits: 7, trouble: 0 })
  t.equal(sent.count, 11)
  t.same(await books.pool(), { idle: 1, used: 0, max: 3, pending: 0 })
  await db.$pool.end()
  t.equal((await books.totals()).closed, 1)
})
