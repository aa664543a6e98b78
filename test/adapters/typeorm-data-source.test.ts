import pg from 'pg'
import { Registry } from 'prom-client'
import t from 'tap'
import { DataSource } from 'typeorm'
import { instrumentPg, instrumentPool } from '../../adapters/pg.js'
import { instrumentDataSource, modelOpsSubscriber, refreshMigrations } from '../../adapters/typeorm.js'
import { countUsage, newUsage } from '../../src/instrumentation/index.js'
import { instrumented, newDataSource } from '../support/data-source.js'
import { startPostgres } from '../support/postgres.js'
import { Dog, countsOf, entities, migrations, migrationsOf, sqljs, valueOf } from './typeorm-entities.js'

const postgres = await startPostgres()
t.teardown(() => postgres.close())

const labels = { alias: 'default' }

const postgresql = (options: object = {}): DataSource => newDataSource({ type: 'postgres', ...postgres.config, entities, ...options })

const queries = (registry: Registry, operation: string, alias = 'default'): Promise<number | undefined> =>
  valueOf(registry, 'db_query_duration_seconds_count', { alias, operation })

/** The values of series, to take differences of. */
async function read (registry: Registry, series: Array<[name: string, labels: Record<string, string>]>): Promise<number[]> {
  return Promise.all(series.map(async ([name, wanted]) => await valueOf(registry, name, wanted) ?? 0))
}

t.test('sqljs: each query counts once with its duration, rows and errors, through every initialize', async (t) => {
  const { dataSource, registry } = instrumented(t, sqljs())
  await dataSource.initialize()
  t.ok(await queries(registry, 'ddl'), 'those of synchronize, too')
  const series: Array<[string, Record<string, string>]> = [
    ...['select', 'insert', 'begin', 'commit'].map((operation): [string, Record<string, string>] => ['db_query_duration_seconds_count', { ...labels, operation }]),
    ['db_rows_total', { ...labels, vendor: 'sqlite', operation: 'select' }],
    ['db_query_errors_total', { ...labels, vendor: 'sqlite', type: 'undefined_table' }]
  ]
  for (const round of [1, 2]) {
    await dataSource.manager.insert(Dog, [{ name: 'a' }, { name: 'b' }])
    const before = await read(registry, series)
    await Promise.all([dataSource.query('SELECT * FROM dog'), dataSource.query('SELECT * FROM dog'), dataSource.manager.find(Dog)])
    await t.rejects(dataSource.query('SELECT * FROM cat'), /no such table/)
    await dataSource.transaction((manager) => manager.query("INSERT INTO dog (name) VALUES ('c')"))
    t.same((await read(registry, series)).map((value, i) => value - (before[i] ?? 0)), [4, 1, 1, 1, 6, 1], `round ${round}`)
    await dataSource.destroy()
    await dataSource.initialize()
  }
  const seconds = await valueOf(registry, 'db_query_duration_seconds_sum', { ...labels, operation: 'select' }) ?? 0
  t.ok(seconds > 0 && seconds < 10)
  t.equal(await valueOf(registry, 'db_connections_opened_total', labels), undefined, 'nothing is said of connections')
})

t.test('sqljs: a query counts in the usage of the request that made it', async (t) => {
  const { dataSource } = instrumented(t, sqljs())
  await dataSource.initialize()
  const usage = newUsage()
  await new Promise<void>((resolve, reject) => {
    countUsage(usage, () => {
      dataSource.query('SELECT 1').then(() => dataSource.query('SELECT broken')).catch(() => {}).then(resolve, reject)
    })
  })
  await dataSource.query('SELECT 2')
  t.equal(usage.queries, 2)
  t.ok(usage.seconds > 0)
})

t.test('sqljs: another subscriber that throws hides no query, and lengthens none', async (t) => {
  const dataSource = await sqljs().initialize()
  const thrower = { afterQuery () { throw new Error('after') } } as object
  dataSource.subscribers.push(thrower)
  const { registry } = instrumented(t, dataSource)
  const seconds = async (): Promise<number> => await valueOf(registry, 'db_query_duration_seconds_sum', { ...labels, operation: 'select' }) ?? 0
  await t.rejects(dataSource.query('SELECT 1'))
  t.equal(await queries(registry, 'select'), 1, 'one that ran and was refused afterwards')
  t.equal(await valueOf(registry, 'db_query_errors_total', labels), undefined)

  dataSource.subscribers.splice(dataSource.subscribers.indexOf(thrower), 1, { beforeQuery () { throw new Error('before') } })
  await t.rejects(dataSource.query('SELECT 1'), /before/)
  dataSource.subscribers.pop()
  await new Promise((resolve) => setTimeout(resolve, 20))
  const before = await seconds()
  const start = performance.now()
  await dataSource.query('SELECT 1')
  const most = (performance.now() - start) / 1000
  t.ok(await seconds() - before <= most, 'one that was refused before it ran is not taken for the next')
  t.equal(await queries(registry, 'select'), 2)
})

t.test('postgres: the pool is instrumented before its first connection, and again at each initialize', async (t) => {
  const { dataSource, registry } = instrumented(t, postgresql({ synchronize: true, dropSchema: true }))
  for (const round of [1, 2]) {
    await dataSource.initialize()
    t.equal(await valueOf(registry, 'db_pool_connections', { ...labels, vendor: 'postgresql', state: 'idle' }), 1)
    t.equal(await valueOf(registry, 'db_connection_create_duration_seconds_count', labels), round, 'each one timed')
    await dataSource.destroy()
    t.equal(await valueOf(registry, 'db_connections_opened_total', labels), round)
  }
})

t.test('postgres: each query counts once, with its rows and errors, on many runners at once', async (t) => {
  const { dataSource, registry } = instrumented(t, postgresql({ synchronize: true, dropSchema: true }))
  await dataSource.initialize()
  await dataSource.manager.insert(Dog, { name: 'a' })
  const series: Array<[string, Record<string, string>]> = [
    ...['select', 'insert', 'begin', 'commit', 'rollback'].map((operation): [string, Record<string, string>] => ['db_query_duration_seconds_count', { ...labels, operation }]),
    ['db_rows_total', { ...labels, vendor: 'postgresql', operation: 'select' }],
    ['db_query_errors_total', { ...labels, vendor: 'postgresql', type: 'unique_violation' }]
  ]
  const before = await read(registry, series)
  await Promise.all(Array.from({ length: 8 }, () => dataSource.manager.find(Dog)))
  await Promise.all(Array.from({ length: 4 }, (_, i) => dataSource.transaction((manager) => manager.insert(Dog, { name: i < 2 ? 'a' : `${i}` })).catch(() => {})))
  t.same((await read(registry, series)).map((value, i) => value - (before[i] ?? 0)), [8, 4, 4, 2, 2, 8, 2])
})

t.test('postgres: an initialized data source is instrumented at once', async (t) => {
  const dataSource = await postgresql().initialize()
  const { registry } = instrumented(t, dataSource)
  await dataSource.query('SELECT 1')
  t.equal(await queries(registry, 'select'), 1)
  t.equal(await valueOf(registry, 'db_pool_connections', { ...labels, state: 'idle' }), 1)
})

t.test('postgres: the pools of replicas have aliases of their own', async (t) => {
  const credentials = { ...postgres.config }
  const replication = { master: credentials, slaves: [{ ...credentials }, { ...credentials, database: 'template1' }] }
  for (const when of ['before', 'after'] as const) {
    const dataSource = new DataSource({ type: 'postgres', replication, entities })
    if (when === 'after') await dataSource.initialize()
    const { registry } = instrumented(t, dataSource, { alias: 'walks' })
    if (when === 'before') await dataSource.initialize()
    const before = await queries(registry, 'select', 'walks') ?? 0
    const replica = dataSource.createQueryRunner('slave')
    const [{ current_database: database }] = await replica.query('SELECT current_database()') as [{ current_database: string }]
    await replica.release()
    const number = database === 'template1' ? 2 : 1
    await dataSource.query('SELECT 1')
    t.equal(await queries(registry, 'select', `walks-replica-${number}`), 1, `instrumented ${when} initialize`)
    t.equal(await queries(registry, 'select', `walks-replica-${3 - number}`), undefined)
    t.equal(await queries(registry, 'select', 'walks'), before + 1)
    for (const alias of ['walks', 'walks-replica-1', 'walks-replica-2']) {
      t.equal(await valueOf(registry, 'db_pool_connections', { alias, state: 'idle' }), 1, alias)
    }
    await dataSource.destroy()
  }
})

t.test('postgres: a pool that the application instrumented itself counts once, and outlives the undo', async (t) => {
  const own = new Registry()
  for (const [name, dataSource] of [
    ['instrumentPg', postgresql({ driver: instrumentPg(pg, { registry: own, alias: 'own' }) })],
    ['instrumentPool', postgresql()]
  ] as const) {
    if (name === 'instrumentPool') {
      await dataSource.initialize()
      instrumentPool((dataSource.driver as unknown as { master: pg.Pool }).master, { registry: own, alias: 'own' })
    }
    const { registry, undo } = instrumented(t, dataSource, { registry: own })
    if (!dataSource.isInitialized) await dataSource.initialize()
    const before = await queries(own, 'select', 'own') ?? 0
    await dataSource.query('SELECT 1')
    undo()
    await dataSource.query('SELECT 1')
    t.equal(await queries(own, 'select', 'own'), before + 2, name)
    t.equal(await queries(own, 'select'), undefined, 'not under this alias too')
    t.equal(await queries(registry, 'select'), undefined)
  }
})

for (const [driver, make] of Object.entries({
  sqljs: (options: object) => sqljs({ synchronize: false, ...options }),
  postgres: (options: object) => postgresql({ dropSchema: true, ...options })
})) {
  t.test(`${driver}: undo puts everything back, and a second call changes nothing`, async (t) => {
    const dataSource = make({ migrations })
    const prints = (): unknown[] => [dataSource, dataSource.driver].map((object) => Reflect.ownKeys(object).map(String).sort())
    const bare = prints()
    const { undo, registry } = instrumented(t, dataSource, { migrations: true, models: 'dog' })
    t.equal(instrumentDataSource(dataSource), undo)
    undo()
    t.same(prints(), bare)
    undo()

    const again = instrumentDataSource(dataSource, { registry, migrations: true, models: 'dog' })
    t.not(again, undo)
    await dataSource.initialize()
    const before = await queries(registry, 'select')
    t.ok(before)
    t.equal(instrumentDataSource(dataSource), again)
    const subscribers = dataSource.subscribers
    again()
    t.equal(dataSource.subscribers, subscribers)
    t.same(dataSource.subscribers, [])
    const withoutKeys = [dataSource, dataSource.driver].map((object) => Reflect.ownKeys(object).map(String).sort())
    await dataSource.destroy()
    const plain = make({ migrations })
    await plain.initialize()
    await plain.query('SELECT 1')
    t.same(withoutKeys, [plain, plain.driver].map((object) => Reflect.ownKeys(object).map(String).sort()))
    await plain.destroy()
    await dataSource.initialize()
    await dataSource.query('SELECT 1')
    t.equal(await queries(registry, 'select'), before)
    t.same(await migrationsOf(registry), [undefined, undefined])
  })
}

t.test('models are counted through every initialize, and wrong ones are refused as soon as they can be known', async (t) => {
  const { dataSource, registry } = instrumented(t, sqljs(), { models: ['dog', 'wlak'] })
  t.same(await countsOf(registry, 'dog'), [0, 0, 0, 0, 0])
  await dataSource.initialize()
  t.equal(await valueOf(registry, 'metrics_instrumentation_errors_total', { source: 'model wlak' }), 1)
  await dataSource.manager.insert(Dog, { name: 'a' })
  await dataSource.destroy()
  await dataSource.initialize()
  dataSource.subscribers.push(modelOpsSubscriber('dog', { registry }))
  await dataSource.manager.insert(Dog, { name: 'b' })
  t.same(await countsOf(registry, 'dog'), [2, 0, 0, 0, 0])

  const initialized = await sqljs().initialize()
  t.teardown(() => initialized.destroy())
  const keys = Reflect.ownKeys(initialized)
  t.throws(() => instrumentDataSource(initialized, { models: 'wlak', registry: new Registry() }), {
    code: 'FP_ERR_UNKNOWN_MODEL', message: /is called 'wlak'; its entities are Dog, NightWalk, Walk, Walker/
  })
  t.same(Reflect.ownKeys(initialized), keys, 'and nothing was begun')
})

t.test('entities are known to a subscriber as soon as the data source is instrumented', async (t) => {
  const dataSource = await sqljs().initialize()
  const registry = new Registry()
  dataSource.subscribers.push(modelOpsSubscriber('*', { registry }))
  instrumented(t, dataSource)
  t.same(await countsOf(registry, 'Dog'), [0, 0, 0, 0, 0])
})

t.test('what the application sees is the same instrumented as bare', async (t) => {
  const makes = { sqljs, postgres: () => postgresql({ synchronize: true, dropSchema: true }), broken: () => postgresql({ database: 'nowhere' }) }
  for (const [name, make] of Object.entries(makes)) {
    const seen = async (instrument: boolean): Promise<unknown[]> => {
      const dataSource = make()
      if (instrument) instrumented(t, dataSource, { models: '*' })
      const out: unknown[] = [Object.keys(dataSource), Object.keys(dataSource.driver), dataSource.initialize.name, dataSource.initialize.length]
      try {
        out.push(await dataSource.initialize() === dataSource)
      } catch (error) {
        return [...out, error]
      }
      const events: string[] = []
      dataSource.subscribers.push(Object.fromEntries(['beforeQuery', 'afterQuery', 'afterInsert', 'afterLoad', 'afterTransactionCommit']
        .map((event) => [event, ({ query = '' }: { query?: string }) => { events.push(`${event} ${query}`) }])))
      out.push(await dataSource.manager.save(Dog, { name: 'a' }), await dataSource.query('SELECT id, name FROM dog'))
      out.push(await dataSource.manager.insert(Dog, { name: 'a' }).catch((error: Error & { driverError?: Error }) =>
        [error.name, error.message, error.constructor.name, error.driverError?.message, frames(error)]))
      out.push(await dataSource.initialize().catch((error: Error) => [error.message, frames(error)]))
      out.push(await dataSource.runMigrations(), events)
      const { master } = dataSource.driver as unknown as { master?: pg.Pool }
      out.push(master?.constructor === pg.Pool, master?.listenerCount('error'))
      await dataSource.destroy()
      return out
    }
    t.same(await seen(true), await seen(false), name)
  }

  /** The functions of an error's stack, without ours. */
  function frames (error: Error): string[] {
    return (error.stack ?? '').split('\n').slice(1).filter((line) => !line.includes('/adapters/'))
      .map((line) => line.trim().replace(/:\d+:\d+\)?$/, ''))
  }
})

t.test('a rejected initialize that nobody handles stays one', async (t) => {
  const unhandled: unknown[] = []
  const listener = (error: unknown): void => { unhandled.push(error) }
  const others = process.listeners('unhandledRejection')
  process.removeAllListeners('unhandledRejection')
  process.on('unhandledRejection', listener)
  t.teardown(() => {
    process.removeListener('unhandledRejection', listener)
    for (const other of others) process.on('unhandledRejection', other)
  })
  const { dataSource } = instrumented(t, await sqljs().initialize())
  void dataSource.initialize() // eslint-disable-line no-void
  await new Promise((resolve) => setImmediate(resolve))
  t.equal(unhandled.length, 1)
  t.match(unhandled[0], /already/)
})

t.test('a recorder that fails is counted and the application does not notice', async (t) => {
  const { dataSource, registry } = instrumented(t, sqljs())
  await dataSource.initialize()
  const family = registry.getSingleMetric('db_query_duration_seconds') as unknown as { reset (): void, resolve (): never }
  family.reset()
  family.resolve = () => { throw new Error('sabotage') }
  t.same(await dataSource.query('SELECT 1 AS one'), [{ one: 1 }])
  t.equal(await valueOf(registry, 'metrics_instrumentation_errors_total', { source: 'typeorm queries' }), 1)
})

t.test('what is no data source, and bad options, are refused', async (t) => {
  const registry = new Registry()
  for (const target of [undefined, null, 42, {}, { options: { type: 'postgres' } }, new pg.Pool()]) {
    t.throws(() => instrumentDataSource(target as unknown as DataSource), { code: 'FP_ERR_INVALID_TARGET', message: /needs a TypeORM DataSource, got/ })
    await t.rejects(refreshMigrations(target as unknown as DataSource), { code: 'FP_ERR_INVALID_TARGET' })
  }
  const dataSource = sqljs()
  await t.rejects(refreshMigrations(dataSource), { code: 'FP_ERR_INVALID_TARGET', message: /instrumentDataSource was given/ })
  for (const [options, message] of [
    [null, /options must be an object, got null/],
    [{ migrations: 'yes' }, /instrumentDataSource option 'migrations' must be true or false, got a string of 3 characters/],
    [{ alias: '' }, /instrumentDataSource option 'alias' must be/],
    [{ models: 42 }, /option 'models' must be/],
    [{ models: 'dog', count: 'often' }, /option 'count' must be/],
    [{ pool: true }, /option 'pool' must be left out/]
  ] as const) {
    t.throws(() => instrumentDataSource(dataSource, options as object), { code: 'FP_ERR_INVALID_OPTION', message })
  }
  t.doesNotThrow(instrumentDataSource(dataSource, { registry }))
})
