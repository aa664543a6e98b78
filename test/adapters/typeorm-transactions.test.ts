import { Registry } from 'prom-client'
import t, { type Test } from 'tap'
import { DataSource, type EntityManager } from 'typeorm'
import { modelOpsSubscriber } from '../../adapters/typeorm.js'
import { counted, initialized } from '../support/data-source.js'
import { startPostgres } from '../support/postgres.js'
import { Dog, countsOf, entities, sqljs, valueOf } from './typeorm-entities.js'

const postgres = await startPostgres()
t.teardown(() => postgres.close())

const drivers = {
  postgres: () => new DataSource({ type: 'postgres', ...postgres.config, entities, synchronize: true, dropSchema: true }),
  sqljs
}

/** Transactions of TypeORM, nested and not, committed and not. */
async function transact (t: Test, dataSource: DataSource, registry: Registry): Promise<void> {
  const inserts = (): Promise<number | undefined> => valueOf(registry, 'model_inserts_total', { model: 'dog' })
  let n = 0
  const insert = (manager: EntityManager): Promise<unknown> => manager.insert(Dog, { name: `${++n}` })
  const failure = new Error('rolled back')
  const rolledBack = async (run: Promise<unknown>): Promise<void> => { await t.rejects(run, failure) }

  await insert(dataSource.manager)
  t.equal(await inserts(), 1, 'without a transaction at once')

  await dataSource.transaction(async (manager) => {
    await insert(manager)
    await insert(manager)
    t.equal(await inserts(), 1, 'not before the commit')
  })
  t.equal(await inserts(), 3, 'at the commit')

  await rolledBack(dataSource.transaction(async (manager) => {
    await insert(manager)
    throw failure
  }))
  t.equal(await inserts(), 3, 'not when rolled back')

  await dataSource.transaction(async (manager) => {
    await insert(manager)
    await manager.transaction((nested) => insert(nested))
    t.equal(await inserts(), 3, 'a nested commit is none yet')
  })
  t.equal(await inserts(), 5, 'a nested one with the outer commit')

  await dataSource.transaction(async (manager) => {
    await insert(manager)
    await rolledBack(manager.transaction(async (nested) => {
      await insert(nested)
      await nested.transaction((deeper) => insert(deeper))
      throw failure
    }))
    await insert(manager)
    await manager.transaction((nested) => insert(nested))
  })
  t.equal(await inserts(), 8, 'a savepoint that is rolled back takes only its own')

  await rolledBack(dataSource.transaction(async (manager) => {
    await manager.transaction((nested) => insert(nested))
    throw failure
  }))
  t.equal(await inserts(), 8, 'a released savepoint goes with the outer rollback')
  t.equal(await dataSource.manager.count(Dog), 8, 'the table holds as many')
}

for (const [driver, make] of Object.entries(drivers)) {
  t.test(`${driver}: an operation counts when its transaction commits, and not at all when it is rolled back`, async (t) => {
    const { dataSource, registry } = await counted(t, make(), 'dog')
    await transact(t, dataSource, registry)
  })

  t.test(`${driver}: where a driver controls transactions without statements, its events tell`, async (t) => {
    const dataSource = await initialized(t, make())
    const registry = new Registry()
    // As SQL Server, Oracle, Spanner and the Aurora Data API have it, in part or whole.
    const { afterQuery, ...events } = modelOpsSubscriber('dog', { registry })
    dataSource.subscribers.push(events)
    await transact(t, dataSource, registry)
  })

  t.test(`${driver}: a transaction of the application's own SQL counts when it commits`, async (t) => {
    const { dataSource, registry } = await counted(t, make(), 'dog')
    const inserts = (): Promise<number | undefined> => valueOf(registry, 'model_inserts_total', { model: 'dog' })
    let n = 0
    const insert = (manager: EntityManager): Promise<unknown> => manager.insert(Dog, { name: `${++n}` })
    const runner = dataSource.createQueryRunner()
    await runner.query('BEGIN')
    await insert(runner.manager)
    await runner.query('SAVEPOINT "Mine"')
    await insert(runner.manager)
    await runner.query('ROLLBACK TO SAVEPOINT "Mine"')
    await insert(runner.manager)
    await runner.query('SAVEPOINT other')
    await insert(runner.manager)
    await runner.query('RELEASE other')
    t.equal(await inserts(), 0, 'nothing before')
    await runner.query('commit -- at last')
    t.equal(await inserts(), 3, 'and what was not rolled back then')
    await runner.query('/* again */ begin')
    await insert(runner.manager)
    await runner.query('rollback;')
    await insert(runner.manager)
    t.equal(await inserts(), 4, 'and nothing of a rollback')
    await runner.release()

    t.equal(await dataSource.manager.count(Dog), 4, 'the table holds as many')
  })

  t.test(`${driver}: operations of many runners at once are told apart`, async (t) => {
    const { dataSource, registry } = await counted(t, make(), 'dog')
    const concurrent = driver === 'sqljs' ? 1 : 8
    await Promise.all(Array.from({ length: concurrent }, (_, i) => dataSource.transaction(async (manager) => {
      await manager.insert(Dog, { name: `kept ${i}` })
      if (i % 2 === 1) throw new Error('rolled back')
    }).catch(() => {})))
    await Promise.all(Array.from({ length: 8 }, (_, i) => dataSource.manager.insert(Dog, { name: `alone ${i}` })))
    t.equal(await valueOf(registry, 'model_inserts_total', { model: 'dog' }), await dataSource.manager.count(Dog))
  })
}

t.test('postgres: an error swallowed in a transaction makes its COMMIT a rollback, and nothing counts', async (t) => {
  const { dataSource, registry } = await counted(t, drivers.postgres(), 'dog')
  await dataSource.transaction(async (manager) => {
    await manager.insert(Dog, { name: 'lost' })
    await manager.query('SELECT 1/0').catch(() => {})
  })
  t.equal(await dataSource.manager.count(Dog), 0)
  t.same(await countsOf(registry, 'dog'), [0, 0, 0, 0, 0])
  await dataSource.transaction((manager) => manager.insert(Dog, { name: 'kept' }))
  t.same(await countsOf(registry, 'dog'), [1, 0, 0, 0, 0])
})

t.test('postgres: a COMMIT that fails counts nothing, nor does what comes after with it', async (t) => {
  const { dataSource, registry } = await counted(t, drivers.postgres(), 'dog')
  await dataSource.query('ALTER TABLE dog ADD CONSTRAINT later UNIQUE (id, name) DEFERRABLE INITIALLY DEFERRED')
  await dataSource.query('ALTER TABLE dog ADD CONSTRAINT mother_later FOREIGN KEY ("motherId") REFERENCES dog (id) DEFERRABLE INITIALLY DEFERRED')
  await dataSource.query('ALTER TABLE dog DROP CONSTRAINT IF EXISTS "FK_mother"')
  for (const { constraint_name: name } of await dataSource.query<Array<{ constraint_name: string }>>(
    "SELECT constraint_name FROM information_schema.table_constraints WHERE table_name = 'dog' AND constraint_type = 'FOREIGN KEY' AND is_deferrable = 'NO'"
  )) await dataSource.query(`ALTER TABLE dog DROP CONSTRAINT "${name}"`)

  const runner = dataSource.createQueryRunner()
  await runner.query('BEGIN')
  await runner.manager.insert(Dog, { name: 'orphan', mother: { id: 999 } })
  await t.rejects(runner.query('COMMIT'), /mother_later/)
  await runner.manager.insert(Dog, { name: 'alone' })
  t.same(await countsOf(registry, 'dog'), [1, 0, 0, 0, 0])
  await runner.release()
  t.equal(await dataSource.manager.count(Dog), 1)
})

t.test('postgres: COMMIT AND CHAIN counts, and the next transaction waits for its own', async (t) => {
  const { dataSource, registry } = await counted(t, drivers.postgres(), 'dog')
  const runner = dataSource.createQueryRunner()
  await runner.query('START TRANSACTION ISOLATION LEVEL SERIALIZABLE')
  await runner.manager.insert(Dog, { name: 'first' })
  await runner.query('COMMIT AND CHAIN')
  await runner.manager.insert(Dog, { name: 'second' })
  t.same(await countsOf(registry, 'dog'), [1, 0, 0, 0, 0])
  await runner.query('ROLLBACK AND CHAIN')
  await runner.manager.insert(Dog, { name: 'third' })
  await runner.query('END')
  await runner.release()
  t.same(await countsOf(registry, 'dog'), [2, 0, 0, 0, 0])
})

t.test('a transaction that began before the subscriber was there counts when it commits', async (t) => {
  const dataSource = await initialized(t, sqljs())
  const registry = new Registry()
  await dataSource.transaction(async (manager) => {
    dataSource.subscribers.push(modelOpsSubscriber('dog', { registry }))
    await manager.insert(Dog, { name: 'a' })
    t.same(await countsOf(registry, 'dog'), [0, 0, 0, 0, 0])
  })
  t.same(await countsOf(registry, 'dog'), [1, 0, 0, 0, 0])
})

t.test("with count: 'attempted' an operation counts when its statement has succeeded", async (t) => {
  const dataSource = await initialized(t, sqljs())
  const registry = new Registry()
  dataSource.subscribers.push(modelOpsSubscriber('dog', { registry, count: 'attempted' }))
  await t.rejects(dataSource.transaction(async (manager) => {
    await manager.insert(Dog, { name: 'a' })
    throw new Error('rolled back')
  }))
  t.same(await countsOf(registry, 'dog'), [1, 0, 0, 0, 0])
})
