import t from 'tap'
import { instrumentMysql } from '../../adapters/mysql2.js'
import { instrumentPg } from '../../adapters/pg.js'
import { startMariaDb } from '../support/mariadb.js'
import { startPostgres } from '../support/postgres.js'
import { Books, calls, installed, isQuery } from './books.js'

const modules = await installed(t, async () => ({ ...(await import('sequelize')).default, pg: (await import('pg')).default, mysql: (await import('mysql2')).default }))

if (modules !== undefined) {
  const { Sequelize, DataTypes, pg, mysql } = modules

  /** What the application does. */
  const work = async (t: Tap, sequelize: InstanceType<typeof Sequelize>) => {
    const Walk = sequelize.define('walk', { id: { type: DataTypes.INTEGER, primaryKey: true }, metres: DataTypes.INTEGER }, { timestamps: false, freezeTableName: true })
    await Walk.sync()
    for (const id of [1, 2]) await Walk.create({ id, metres: 5 })
    t.equal((await Walk.findAll()).length, 2)
    await t.rejects(Walk.create({ id: 1, metres: 5 }), { name: 'SequelizeUniqueConstraintError' })
    await sequelize.transaction((transaction) => Walk.update({ metres: 6 }, { where: {}, transaction }))
    await t.rejects(sequelize.transaction(() => Promise.reject(new Error('rain'))), { message: 'rain' })
  }

  t.test('Sequelize on pg, whose clients it pools itself', async (t) => {
    const server = await startPostgres()
    t.teardown(() => server.close())
    const sent = calls(t, pg.Client.prototype, 'query')
    const books = new Books()
    const { host, port, user, password, database } = server.config
    const sequelize = new Sequelize(database, user, password, { host, port, dialect: 'postgres', dialectModule: instrumentPg(pg, books), logging: false, pool: { max: 3 } })
    await work(t, sequelize)
    const { queries, errors, opened, waits, trouble } = await books.totals()
    t.same({ queries, errors, waits, trouble }, { queries: sent.count, errors: { unique_violation: 1 }, waits: 0, trouble: 0 })
    t.ok(queries >= 11)
    t.same(await books.pool(), {}, 'its pool is not of pg')
    await sequelize.close()
    t.equal((await books.totals()).closed, opened)
  })

  t.test('Sequelize on mysql2, whose connections it pools itself', async (t) => {
    const server = await startMariaDb(t)
    if (server === undefined) return
    const sent = calls(t, (mysql as unknown as { Connection: { prototype: object } }).Connection.prototype, 'addCommand', isQuery)
    const books = new Books()
    const { host, port, user, password, database } = server.config
    const sequelize = new Sequelize(database, user, password, { host, port, dialect: 'mysql', dialectModule: mysql, logging: false, pool: { max: 3 } })
    sequelize.addHook('afterConnect', (connection) => { instrumentMysql(connection as never, books) })
    await work(t, sequelize)
    const { queries, errors, opened, waits, trouble } = await books.totals()
    t.same({ queries, errors, waits, trouble }, { queries: sent.count - opened, errors: { unique_violation: 1 }, waits: 0, trouble: 0 }, 'all but the time zone of each connection, which is set before the hook')
    t.ok(queries >= 11)
    await sequelize.close()
    t.equal((await books.totals()).closed, opened)
  })
}

type Tap = Pick<typeof t, 'equal' | 'rejects'>
