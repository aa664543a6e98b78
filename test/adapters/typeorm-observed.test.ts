import { install } from '@sinonjs/fake-timers'
import { Gauge, Registry } from 'prom-client'
import t, { type Test } from 'tap'
import { DataSource } from 'typeorm'
import { EntitySchema as OldEntitySchema } from 'typeorm-0.3'
import { instrumentDataSource, modelOpsSubscriber, type DataSourceLike, type InstrumentDataSourceOptions } from '../../adapters/typeorm.js'
import { oldDataSource } from '../support/data-source.js'
import { Page } from '../support/page.js'
import { loadSqlite } from '../support/sqlite.js'
import { countsOf, Dog, sqljs } from './typeorm-entities.js'

const sqlite = await loadSqlite(t)

/** The process warnings of ours that come meanwhile. */
async function warnings (during: () => unknown): Promise<Array<{ code: string, message: string }>> {
  const seen: Array<{ code: string, message: string }> = []
  const listener = (warning: Error & { code?: string }): void => { if (warning.code?.startsWith('FP_')) seen.push({ code: warning.code, message: warning.message }) }
  process.on('warning', listener)
  await during()
  await new Promise((resolve) => setImmediate(resolve))
  process.removeListener('warning', listener)
  return seen
}

/** What instrumentDataSource sees of a data source of any driver. */
function pretended (type: string, driver: object): DataSourceLike {
  return {
    options: { type },
    driver,
    isInitialized: false,
    subscribers: [],
    entityMetadatas: [],
    migrations: [],
    async initialize () { return this },
    createQueryRunner: () => (driver as { createQueryRunner: () => object }).createQueryRunner()
  }
}

t.test('a driver whose queries cannot be observed says so once', async (t) => {
  const mongo = new DataSource({ type: 'mongodb', url: 'mongodb://bob:s3cr3t@localhost/walks', driver: {} })
  const told = await warnings(() => {
    const undo = instrumentDataSource(mongo, { registry: new Registry(), models: '*' })
    instrumentDataSource(mongo)
    undo()
  })
  t.match(told, [{ code: 'FP_WARN_NOT_OBSERVED', message: /type 'mongodb'/ }])
  t.equal(told.length, 1)
  t.notMatch(told[0]?.message, /s3cr3t/)
  for (const driver of [{}, { createQueryRunner: () => ({}) }, { createQueryRunner: () => Object.freeze({ query () {} }) }]) {
    const dataSource = pretended('carrier-pigeon', driver)
    const told = await warnings(() => {
      instrumentDataSource(dataSource, { registry: new Registry(), migrations: false })
      if ('createQueryRunner' in driver) for (let i = 0; i < 3; i++) dataSource.createQueryRunner()
    })
    t.match(told, [{ code: 'FP_WARN_NOT_OBSERVED', message: /type 'carrier-pigeon'/ }])
    t.equal(told.length, 1)
  }
  const [long] = await warnings(() => instrumentDataSource(pretended('postgres://bob:s3cr3t@db', {}), { registry: new Registry() }))
  t.notMatch(long?.message, /s3cr3t/)
  t.same(await warnings(() => instrumentDataSource(sqljs(), { registry: new Registry() })), [], 'and one that can says nothing')
})

t.test('a driver that nobody knows is observed through its query runners', async (t) => {
  const registry = new Registry()
  class Runner {
    async query (sql: string): Promise<unknown> {
      if (sql === 'broken') throw new RangeError('no')
      return [{ a: 1 }, { a: 2 }]
    }
  }
  const dataSource = pretended('carrier-pigeon', { createQueryRunner: () => new Runner() })
  instrumentDataSource(dataSource, { registry, migrations: false })
  const runner = dataSource.createQueryRunner() as Runner
  t.same(await runner.query('SELECT 1'), [{ a: 1 }, { a: 2 }])
  await t.rejects(runner.query('broken'), RangeError)
  const page = new Page(await registry.metrics())
  t.equal(page.sum('db_query_duration_seconds_count', { vendor: 'other' }), 2)
  t.equal(page.sum('db_rows_total', { vendor: 'other', operation: 'select' }), 2)
  t.equal(page.sum('db_query_errors_total', { vendor: 'other', type: 'RangeError' }), 1)
})

t.test('a second call with other options says so, and takes nothing back', async (t) => {
  const registry = new Registry()
  const dataSource = sqljs()
  const undo = instrumentDataSource(dataSource, { registry, migrations: false, models: ['dog', 'walk'], buckets: [1, 2] })
  for (const options of [undefined, {}, { registry }, { models: ['walk', 'dog'] }, { buckets: [1, 2], migrations: false, alias: 'default', count: 'committed' as const }] as InstrumentDataSourceOptions[]) {
    const told = await warnings(() => t.equal(instrumentDataSource(dataSource, options), undo, Object.keys(options ?? {}).join()))
    t.same(told, [])
  }
  for (const [options, names] of [
    [{ alias: 'p4ssw0rd' }, 'alias'], [{ registry: new Registry(), buckets: [1, 3], migrations: true }, 'registry, buckets, migrations'],
    [{ models: 'walk' }, 'models'], [{ models: 'dog', count: 'attempted' }, 'models, count'], [{ prefix: 'p4ssw0rd_' }, 'prefix']
  ] as Array<[InstrumentDataSourceOptions, string]>) {
    const told = await warnings(() => {
      const other = instrumentDataSource(dataSource, options)
      t.not(other, undo)
      other()
    })
    t.equal(told.length, 1)
    t.equal(told[0]?.code, 'FP_WARN_OBSERVED_ALREADY')
    t.ok(told[0]?.message.split(/[()]/)[1]?.split(', ').sort().join() === names.split(', ').sort().join(), names)
    t.notMatch(told[0]?.message, /p4ssw0rd/)
  }
  t.throws(() => instrumentDataSource(dataSource, { alias: '' }), { code: 'FP_ERR_INVALID_OPTION' }, 'wrong options are wrong the second time, too')
  await dataSource.initialize()
  await dataSource.query('SELECT 1')
  t.ok(new Page(await registry.metrics()).sum('db_query_duration_seconds_count', { operation: 'select' }) > 0, 'the first is in force')
  undo()
  const again = instrumentDataSource(dataSource, { registry: new Registry(), alias: 'another' })
  t.not(again, undo)
  again()
  await dataSource.destroy()
})

t.test('an alias that may hold a password is refused without being shown', async (t) => {
  for (const alias of ['postgres://user:s3cr3t@host/db', 'host=db password=s3cr3t']) {
    t.throws(() => instrumentDataSource(sqljs(), { alias }), { code: 'FP_ERR_INVALID_OPTION', message: /^((?!s3cr3t).)*$/ })
  }
  for (const target of ['postgres://user:s3cr3t@host/db', { options: { type: 'mysql', password: 's3cr3t' } }, { url: 's3cr3t' }]) {
    t.throws(() => instrumentDataSource(target as never), { code: 'FP_ERR_INVALID_TARGET', message: /^((?!s3cr3t).)*$/ })
  }
})

t.test('where a metric has no place in the registry, nothing is begun', async (t) => {
  for (const [name, models] of [['db_query_duration_seconds', undefined], ['db_migrations_applied', undefined], ['model_inserts_total', '*']] as const) {
    const registry = new Registry()
    const dataSource = sqljs()
    const prints = (): unknown[] => [dataSource, dataSource.driver].map((object) => Reflect.ownKeys(object).map(String).sort())
    const bare = prints()
    const taken = new Gauge({ name, help: 'taken', registers: [registry] })
    t.throws(() => instrumentDataSource(dataSource, { registry, models }), { code: 'FP_ERR_METRIC_CONFLICT' }, name)
    t.same(prints(), bare)
    t.equal(registry.getSingleMetric(name), taken)
  }
})

/** An application that has subscribers of its own, and a model. */
const APPLICATIONS: Record<string, () => DataSource> = {
  sqljs,
  'sqljs on TypeORM 0.3.20': () => old({ type: 'sqljs' }),
  ...sqlite !== undefined && { 'better-sqlite3 on TypeORM 0.3.20': () => old({ type: 'better-sqlite3', database: ':memory:' }) }
}

function old (options: object): DataSource {
  const dogs = new OldEntitySchema<Dog>({ name: 'Dog', target: Dog, columns: { id: { type: 'int', primary: true, generated: true }, name: { type: String, unique: true } } })
  return oldDataSource({ entities: [dogs], synchronize: true, ...options })
}

for (const [name, make] of Object.entries(APPLICATIONS)) {
  t.test(`${name}: models are counted without a subscriber among those of the application`, async (t: Test) => {
    const registry = new Registry()
    const dataSource = make()
    const undo = instrumentDataSource(dataSource, { registry, migrations: false, models: 'dog' })
    await dataSource.initialize()
    t.same(dataSource.subscribers, [])
    const events: string[] = []
    dataSource.subscribers.push({ afterInsert () { events.push('insert') } } as object)
    await dataSource.manager.save(Dog, { name: 'a' })
    t.same(events, ['insert'])
    t.same((await countsOf(registry, 'dog'))[0], 1)

    dataSource.subscribers.push({ afterInsert () { throw new Error('theirs') } } as object)
    await t.rejects(dataSource.manager.save(Dog, { name: 'b' }), /theirs/)
    t.same((await countsOf(registry, 'dog'))[0], 1, 'rolled back')
    await t.rejects(dataSource.manager.insert(Dog, { name: 'c' }), /theirs/)
    t.same((await countsOf(registry, 'dog'))[0], 2, 'written, and not hidden by a subscriber that throws')
    t.equal(dataSource.subscribers.length, 2)
    dataSource.subscribers.length = 0

    await dataSource.transaction(async (manager) => {
      await manager.insert(Dog, { name: 'd' })
      throw new Error('no')
    }).catch(() => {})
    await dataSource.transaction((manager) => manager.insert(Dog, { name: 'e' }))
    const runner = dataSource.createQueryRunner()
    await runner.query('BEGIN')
    await runner.manager.insert(Dog, { name: 'f' })
    t.same((await countsOf(registry, 'dog'))[0], 3)
    await runner.query('COMMIT')
    t.same((await countsOf(registry, 'dog'))[0], 4, 'a transaction that TypeORM does not know')

    dataSource.subscribers.push(modelOpsSubscriber('dog', { registry }))
    await dataSource.manager.insert(Dog, { name: 'g' })
    t.same((await countsOf(registry, 'dog'))[0], 5, 'once, with one that was pushed')
    dataSource.subscribers.length = 0
    undo()
    await dataSource.manager.insert(Dog, { name: 'h' })
    t.same((await countsOf(registry, 'dog'))[0], 5)
    t.equal(new Page(await registry.metrics()).sum('metrics_instrumentation_errors_total'), 0)
    await dataSource.destroy()
  })
}

t.test('a clock that is set back makes no negative duration', async (t) => {
  const registry = new Registry()
  const dataSource = await sqljs().initialize()
  instrumentDataSource(dataSource, { registry, migrations: false })
  const clock = install({ toFake: ['performance'] })
  clock.tick(60_000)
  const running = dataSource.query('SELECT 1')
  clock.uninstall()
  const later = install({ toFake: ['performance'] })
  await running
  later.uninstall()
  const page = new Page(await registry.metrics())
  t.equal(page.sum('db_query_duration_seconds_count'), 1)
  t.equal(page.sum('db_query_duration_seconds_sum'), 0)
  await dataSource.destroy()
})
