import { Registry } from 'prom-client'
import t from 'tap'
import { DataSource, type DataSourceOptions } from 'typeorm'
import { instrumentSqlite, type SqliteLike } from '../../adapters/sqlite.js'
import { instrumentDataSource } from '../../adapters/typeorm.js'
import { countUsage, newUsage } from '../../src/instrumentation/index.js'
import { oldDataSource } from '../support/data-source.js'
import { Page } from '../support/page.js'
import { loadSqlite, SQLITE_FAILURES } from '../support/sqlite.js'

const sqlite = await loadSqlite(t)

/** Both versions of TypeORM, with each driver of SQLite: what they tell of queries differs. */
const MAKES: Record<string, () => DataSource> = {
  ...sqlite !== undefined && {
    'better-sqlite3': () => new DataSource({ type: 'better-sqlite3', database: ':memory:' }),
    'better-sqlite3 on TypeORM 0.3.20': () => oldDataSource({ type: 'better-sqlite3', database: ':memory:' })
  },
  sqljs: () => new DataSource({ type: 'sqljs' }),
  'sqljs on TypeORM 0.3.20': () => oldDataSource({ type: 'sqljs' })
}

const TABLES = ['CREATE TABLE walker (id INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL)', 'CREATE TABLE walk (id INTEGER PRIMARY KEY, metres INT CHECK (metres > 0), walker INT REFERENCES walker)']

for (const [driver, make] of Object.entries(MAKES)) {
  /** An initialized data source with the tables, and what its page says more from now on. */
  const walked = async (): Promise<{ dataSource: DataSource, more: (...series: Array<[name: string, labels?: Record<string, string>]>) => Promise<number[]>, undo: () => void, registry: Registry }> => {
    const registry = new Registry()
    const dataSource = make()
    const undo = instrumentDataSource(dataSource, { registry, migrations: false })
    await dataSource.initialize()
    for (const sql of [...TABLES, "INSERT INTO walker (id, name) VALUES (1, 'ann')"]) await dataSource.query(sql)
    const page = new Page(await registry.metrics())
    const more = async (...series: Array<[string, Record<string, string>?]>): Promise<number[]> => {
      const now = new Page(await registry.metrics())
      return series.map(([name, labels = {}]) => now.sum(name, labels) - page.sum(name, labels))
    }
    return { dataSource, more, undo, registry }
  }

  t.test(`${driver}: each failed query counts once, by what it failed of`, async (t) => {
    const { dataSource, more } = await walked()
    for (const [, sql] of SQLITE_FAILURES) await t.rejects(dataSource.query(sql), sql)
    const types = [...new Set(SQLITE_FAILURES.map(([type]) => type))]
    const counts = types.map((type) => SQLITE_FAILURES.filter(([each]) => each === type).length)
    t.same(await more(...types.map((type): [string, Record<string, string>] => ['db_query_errors_total', { type, vendor: 'sqlite' }])), counts)
    t.same(await more(['db_query_errors_total'], ['db_query_duration_seconds_count'], ['metrics_instrumentation_errors_total'], ['db_queries_in_flight']), [SQLITE_FAILURES.length, SQLITE_FAILURES.length, 0, 0])
    await dataSource.destroy()
  })

  t.test(`${driver}: rows that are returned or changed are counted, of raw statements and of TypeORM's own`, async (t) => {
    const { dataSource, more } = await walked()
    await dataSource.query("INSERT INTO walker (name) VALUES ('bob'), ('cid')")
    await dataSource.query("INSERT OR IGNORE INTO walker (name) VALUES ('bob'), ('dan')")
    await dataSource.query('UPDATE walker SET name = name || 1 WHERE id < 3')
    await dataSource.query('SELECT * FROM walker')
    await dataSource.query('SELECT * FROM walker WHERE id = 77')
    await dataSource.query("INSERT INTO walker (name) VALUES ('eve') RETURNING id")
    await dataSource.createQueryBuilder().delete().from('walker').where('id > 2').execute()
    await dataSource.query('DELETE FROM walker WHERE id = 77')
    await dataSource.transaction(async (manager) => { await manager.query('SELECT 1') })
    t.same(await more(...['insert', 'update', 'select', 'delete', 'begin', 'commit'].map((operation): [string, Record<string, string>] => ['db_rows_total', { operation }])), [4, 2, 5, 3, 0, 0])
    await dataSource.destroy()
  })

  t.test(`${driver}: callers get what they get without us`, async (t) => {
    const seen = async (instrument: boolean): Promise<unknown[]> => {
      const dataSource = make()
      const registry = new Registry()
      if (instrument) instrumentDataSource(dataSource, { registry, migrations: false })
      await dataSource.initialize()
      const runner = dataSource.createQueryRunner()
      const out: unknown[] = [Object.keys(runner), runner.constructor.name, Reflect.ownKeys(runner).map(String), runner.query.name, runner.query.length, dataSource.subscribers]
      for (const sql of [...TABLES, "INSERT INTO walker (name) VALUES ('ann'), ('bob')", 'UPDATE walker SET id = id + 1', 'SELECT * FROM walker', 'PRAGMA user_version', 'BEGIN', 'COMMIT', 'SELEC', "INSERT INTO walker (name) VALUES ('ann')"]) {
        for (const structured of [undefined, false, true] as const) out.push(await outcome(runner.query(sql, undefined, structured as never)))
      }
      out.push(await outcome(runner.query('SELECT ? AS a', [7])), await outcome(runner.query('SELECT ?', { a: 7 } as never)), await outcome(dataSource.query('SELECT 1 AS one')))
      try {
        out.push(await runner.stream('SELECT 1'))
      } catch (error) {
        out.push((error as Error).message)
      }
      await dataSource.destroy()
      if (instrument) t.equal(new Page(await registry.metrics()).sum('metrics_instrumentation_errors_total'), 0)
      return out
    }
    t.same(await seen(true), await seen(false))
  })

  t.test(`${driver}: what never reaches the database is no query`, async (t) => {
    const { dataSource, more } = await walked()
    const runner = dataSource.createQueryRunner()
    if (!driver.endsWith('0.3.20')) await t.rejects(runner.query('SELECT :a', { a: 1 } as never), { name: 'NamedPlaceholdersNotSupportedError' })
    t.throws(() => runner.stream('SELECT 1'), /not supported/)
    t.same(await more(['db_query_duration_seconds_count'], ['db_query_errors_total'], ['db_queries_in_flight']), [0, 0, 0])
    await dataSource.destroy()
  })

  t.test(`${driver}: the subscribers of the application are its own, and what they do is no query's`, async (t) => {
    const { dataSource, more } = await walked()
    t.same(dataSource.subscribers, [])
    if (driver === 'better-sqlite3 on TypeORM 0.3.20') return dataSource.destroy()
    for (const [subscriber, ran] of [
      [{ beforeQuery () { throw new Error('before') } }, 0], [{ afterQuery () { throw new Error('after') } }, 1],
      // Before 1.0 TypeORM does not wait for these before it sends the query.
      ...driver.endsWith('0.3.20') ? [] : [[{ async beforeQuery () { throw new Error('before') } }, 0]] as const,
      [{ async afterQuery () { throw new Error('after') } }, 1]
    ] as const) {
      const [before] = await more(['db_query_duration_seconds_count'])
      dataSource.subscribers.push(subscriber as object)
      await t.rejects(dataSource.query('SELECT 1'), /before|after/)
      dataSource.subscribers.pop()
      t.same(await more(['db_query_duration_seconds_count'], ['db_query_errors_total'], ['db_queries_in_flight']), [(before ?? 0) + ran, 0, 0], Object.keys(subscriber).join())
    }
    const slow = { afterQuery: () => new Promise((resolve) => setTimeout(resolve, 300)) } as object
    dataSource.subscribers.push(slow)
    await dataSource.query('SELECT 1')
    const [seconds] = await more(['db_query_duration_seconds_sum', { operation: 'select' }])
    t.ok((seconds ?? 1) < 0.25, 'nor the time of theirs')
    await dataSource.destroy()
  })

  t.test(`${driver}: a query counts in the usage of the request that made it, and many at once each`, async (t) => {
    const { dataSource, more } = await walked()
    const usage = newUsage()
    await new Promise<void>((resolve, reject) => {
      countUsage(usage, () => {
        const failing = dataSource.query('SELECT broken').catch(() => {})
        Promise.all([...Array.from({ length: 5 }, () => dataSource.query('SELECT 1')), failing]).then(() => resolve(), reject)
      })
    })
    await dataSource.query('SELECT 2')
    t.equal(usage.queries, 6)
    t.ok(usage.seconds > 0)
    t.same(await more(['db_query_duration_seconds_count', { operation: 'select' }], ['db_query_errors_total'], ['db_queries_in_flight']), [7, 1, 0])
    await dataSource.destroy()
  })

  t.test(`${driver}: a runner that is there already is observed, and given back`, async (t) => {
    const registry = new Registry()
    const dataSource = await make().initialize()
    const runner = dataSource.createQueryRunner()
    const broadcaster = (runner as unknown as { broadcaster: object }).broadcaster
    const shapes = (): unknown[] => [dataSource, dataSource.driver, runner, broadcaster].flatMap((object) => [Reflect.getPrototypeOf(object), Reflect.ownKeys(object)])
    const bare = shapes()
    const undo = instrumentDataSource(dataSource, { registry, migrations: false, models: '*' })
    await runner.query('SELECT 1')
    const count = async (): Promise<number> => new Page(await registry.metrics()).sum('db_query_duration_seconds_count')
    t.equal(await count(), 1)
    undo()
    t.same(shapes().map((shape, i) => shape === bare[i] || i % 2 === 1), bare.map(() => true), 'the prototypes')
    t.same(shapes().filter((_, i) => i % 2 === 1), bare.filter((_, i) => i % 2 === 1), 'the properties')
    await runner.query('SELECT 1')
    t.equal(await count(), 1)

    const stub = async (): Promise<string> => 'stubbed'
    Object.assign(runner, { query: stub })
    const again = instrumentDataSource(dataSource, { registry, migrations: false })
    t.equal(await runner.query('SELECT 1'), 'stubbed')
    t.equal(await count(), 2, "where the application has put its own over the runner's, too")
    again()
    t.equal(runner.query, stub)
    await dataSource.destroy()
  })
}

async function outcome (settling: Promise<unknown>): Promise<unknown> {
  return settling.then((value) => [value, (value as object | undefined)?.constructor.name], (error: Error & { driverError?: Error, code?: unknown }) =>
    [error.name, error.message, error.constructor.name, error.code, error.driverError?.message, Object.keys(error), frames(error)])
}

/** The functions of an error's stack, without ours. */
function frames (error: Error): string[] {
  return (error.stack ?? '').split('\n').slice(1).filter((line) => !line.includes('/adapters/'))
    .map((line) => line.trim().replace(/:\d+:\d+\)?$/, ''))
}

t.test('a statement of SQLite that waits in vain for a lock, and one that may not write, say so', { skip: sqlite === undefined }, async (t) => {
  const registry = new Registry()
  const database = `${t.testdir()}/walks.db`
  const options = { type: 'better-sqlite3', database, timeout: 1 } as DataSourceOptions
  const [writer, waiter] = [await new DataSource(options).initialize(), new DataSource(options)] as const
  instrumentDataSource(waiter, { registry, migrations: false })
  await waiter.initialize()
  await writer.query('CREATE TABLE walk (id INT)')
  await writer.query('BEGIN IMMEDIATE')
  await t.rejects(waiter.query('INSERT INTO walk VALUES (1)'), /locked/)
  await writer.query('COMMIT')
  await waiter.query('PRAGMA query_only = ON')
  await t.rejects(waiter.query('INSERT INTO walk VALUES (1)'), /readonly/)
  const page = new Page(await registry.metrics())
  t.equal(page.sum('db_query_errors_total', { type: 'lock_not_available' }), 1)
  t.equal(page.sum('db_query_errors_total', { type: 'read_only_sql_transaction' }), 1)
  await writer.destroy()
  await waiter.destroy()
})

t.test('a database that the application observes itself counts once', { skip: sqlite === undefined }, async (t) => {
  for (const make of [(options: object) => new DataSource(options as DataSourceOptions), oldDataSource]) {
    const registry = new Registry()
    const dataSource = make({ type: 'better-sqlite3', database: ':memory:' })
    instrumentDataSource(dataSource, { registry, migrations: false })
    await dataSource.initialize()
    const selects = async (alias: string): Promise<number> => new Page(await registry.metrics()).sum('db_query_duration_seconds_count', { alias, vendor: 'sqlite', operation: 'select' })
    const before = await selects('default')
    const end = instrumentSqlite((dataSource.driver as unknown as { databaseConnection: SqliteLike }).databaseConnection, { registry, alias: 'own' })
    t.same(await dataSource.query('SELECT 1 AS one'), [{ one: 1 }])
    t.same([await selects('default'), await selects('own')], [before, 1])
    end()
    t.same(await dataSource.query('SELECT 2 AS two'), [{ two: 2 }])
    t.same([await selects('default'), await selects('own')], [before + 1, 1], 'and is observed here again afterwards')
    await dataSource.destroy()
  }
})
