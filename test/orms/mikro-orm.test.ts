import t from 'tap'
import { instrumentPool } from '../../adapters/pg.js'
import { startPostgres } from '../support/postgres.js'
import { Books, calls, installed } from './books.js'

const modules = await installed(t, async () => ({ ...await import('@mikro-orm/postgresql'), pg: (await import('pg')).default }))

if (modules !== undefined) {
  const { MikroORM, EntitySchema, pg } = modules

  t.test('MikroORM, by the pool that it makes', async (t) => {
    const server = await startPostgres()
    t.teardown(() => server.close())
    const sent = calls(t, pg.Client.prototype, 'query')
    const books = new Books()
    const { host, port, user, password, database: dbName } = server.config
    const Walk = new EntitySchema<{ id: number, metres: number }>({ name: 'Walk', properties: { id: { type: 'number', primary: true }, metres: { type: 'number' } } })
    const orm = await MikroORM.init({
      host,
      port,
      user,
      password,
      dbName,
      entities: [Walk],
      pool: { max: 3 },
      driverOptions: { onPoolCreated: (pool: InstanceType<typeof pg.Pool>) => { instrumentPool(pool, books) } }
    })
    await orm.schema.create()
    const em = orm.em.fork()
    for (const id of [1, 2]) em.persist(em.create(Walk, { id, metres: 5 }))
    await em.flush()
    t.equal((await orm.em.fork().find(Walk, {})).length, 2)
    await t.rejects(orm.em.fork().insert(Walk, { id: 1, metres: 5 }), { name: 'UniqueConstraintViolationException' })
    await t.rejects(orm.em.fork().transactional(async (em) => {
      await em.find(Walk, {})
      throw new Error('rain')
    }), { message: 'rain' })
    const { queries, errors, opened, waits, trouble } = await books.totals()
    t.same({ queries, errors, trouble }, { queries: sent.count, errors: { unique_violation: 1 }, trouble: 0 })
    t.ok(queries >= 9 && waits >= 6)
    t.match(await books.pool(), { used: 0, max: 3, pending: 0 })
    await orm.close()
    t.equal((await books.totals()).closed, opened)
  })
}
