import t from 'tap'
import type { DataSource } from 'typeorm'
import { refreshMigrations } from '../../adapters/typeorm.js'
import { instrumented, newDataSource } from '../support/data-source.js'
import { startPostgres } from '../support/postgres.js'
import { entities, migrations, migrationsOf, sqljs, valueOf } from './typeorm-entities.js'

const postgres = await startPostgres()
t.teardown(() => postgres.close())

const postgresql = (options: object = {}): DataSource => newDataSource({ type: 'postgres', ...postgres.config, entities, ...options })

for (const [driver, make] of Object.entries({
  sqljs: (options: object) => sqljs({ synchronize: false, ...options }),
  postgres: (options: object) => postgresql({ dropSchema: true, ...options })
})) {
  t.test(`${driver}: the migrations are counted when initialized, run and reverted, and on request`, async (t) => {
    const { dataSource, registry } = instrumented(t, make({ migrations }), { migrations: true })
    await dataSource.initialize()
    t.same(await migrationsOf(registry), [0, 2])
    const runner = dataSource.createQueryRunner()
    t.notOk(await runner.hasTable('migrations'), 'the table is not made')
    await runner.release()

    await dataSource.runMigrations()
    t.same(await migrationsOf(registry), [2, 0])
    await dataSource.undoLastMigration()
    t.same(await migrationsOf(registry), [1, 1])

    await dataSource.query("INSERT INTO migrations (timestamp, name) VALUES (1700000000002, 'AddBowls1700000000002'), (1, 'Unknown0000000000001')")
    t.same(await migrationsOf(registry), [1, 1])
    await refreshMigrations(dataSource)
    t.same(await migrationsOf(registry), [3, 0], 'another process may have run more than this one knows')
  })

  t.test(`${driver}: migrations run by initialize are counted, and none are none`, async (t) => {
    const { dataSource, registry } = instrumented(t, make({ migrations, migrationsRun: true, migrationsTableName: 'steps' }), { migrations: true, alias: 'one' })
    await dataSource.initialize()
    t.same(await migrationsOf(registry, 'one'), [2, 0])
    const none = instrumented(t, make({ migrationsTableName: 'other' }), { migrations: true, alias: 'two' })
    await none.dataSource.initialize()
    t.same(await migrationsOf(none.registry, 'two'), [0, 0])
    const after = await make({ migrations, dropSchema: false, migrationsTableName: 'later' }).initialize()
    const late = instrumented(t, after, { migrations: true })
    await refreshMigrations(after)
    t.same(await migrationsOf(late.registry), [0, 2], 'initialized before')
    const without = instrumented(t, make({ migrations, dropSchema: false }))
    await without.dataSource.initialize()
    t.same(await migrationsOf(without.registry), [undefined, undefined], 'migrations: false')
  })
}

t.test('a reading of the migrations that fails is reported and leaves initialize and the gauges as they are', async (t) => {
  const { dataSource, registry } = instrumented(t, postgresql({ migrations, dropSchema: true }), { migrations: true })
  await dataSource.initialize()
  await dataSource.query('CREATE TABLE migrations (id int)')
  await refreshMigrations(dataSource)
  t.equal(await valueOf(registry, 'metrics_instrumentation_errors_total', { source: 'typeorm migrations' }), 1)
  t.same(await migrationsOf(registry), [0, 2])
  await dataSource.destroy()
  await refreshMigrations(dataSource)
  t.same(await migrationsOf(registry), [0, 2], 'closed: nothing to read')
})

t.test('an undo while the migrations are being read leaves no gauges', async (t) => {
  const { dataSource, registry, undo } = instrumented(t, await sqljs({ migrations }).initialize(), { migrations: true })
  const reading = refreshMigrations(dataSource)
  undo()
  await reading
  t.same(await migrationsOf(registry), [undefined, undefined])
})
