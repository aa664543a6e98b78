import { once } from 'node:events'
import type { Readable } from 'node:stream'
import mysql from 'mysql2/promise'
import { Registry } from 'prom-client'
import t, { type Test } from 'tap'
import type { DataSource, QueryRunner } from 'typeorm'
import { instrumentDataSource } from '../../adapters/typeorm.js'
import { newDataSource, oldDataSource } from '../support/data-source.js'
import { startMariaDb, type MariaDb } from '../support/mariadb.js'
import { Page } from '../support/page.js'

const mariadb = await startMariaDb(t) as MariaDb
if (mariadb === undefined) t.bailout('without a MariaDB there is nothing to test here')

const { user: username, ...address } = mariadb.config
const VERSIONS: Record<string, (options?: object) => DataSource> = {
  1: (options) => newDataSource({ type: 'mariadb', username, ...address, ...options }),
  '0.3.20': (options) => oldDataSource({ type: 'mysql', username, ...address, ...options })
}

const root = await mysql.createConnection({ ...mariadb.config, multipleStatements: true })
t.teardown(() => root.destroy())
await root.query(`CREATE TABLE walker (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(20) UNIQUE NOT NULL) ENGINE=InnoDB;
  CREATE TABLE walk (id INT PRIMARY KEY AUTO_INCREMENT, metres INT CHECK (metres > 0), walker INT, FOREIGN KEY (walker) REFERENCES walker (id)) ENGINE=InnoDB;
  INSERT INTO walker (id, name) VALUES (1, 'ann'), (2, 'bob');
  CREATE TABLE step (n INT) ENGINE=InnoDB; INSERT INTO step SELECT seq FROM seq_1_to_5000;
  CREATE USER bob@'127.0.0.1' IDENTIFIED BY 's3cr3t'; GRANT SELECT ON walks.walker TO bob@'127.0.0.1';
  CREATE DATABASE replica_one; CREATE DATABASE replica_two;`)

interface Watched {
  readonly dataSource: DataSource
  readonly registry: Registry
  readonly undo: () => void
  page (): Promise<Page>
}

function watched (t: Test, dataSource: DataSource): Watched {
  const registry = new Registry()
  const undo = instrumentDataSource(dataSource, { registry, migrations: false })
  t.teardown(async () => {
    if (dataSource.isInitialized) await dataSource.destroy()
  })
  const page = async (): Promise<Page> => {
    const now = new Page(await registry.metrics())
    if (now.sum('metrics_instrumentation_errors_total') > 0) throw new Error('something of ours failed')
    return now
  }
  return { dataSource, registry, undo, page }
}

const counted = (page: Page, labels?: Record<string, string>): number => page.sum('db_query_duration_seconds_count', labels)
/** Kills the connections of everyone else, as an administrator or a failing network does. */
async function killAll (database = 'walks'): Promise<void> {
  const [rows] = await root.query('SELECT id FROM information_schema.processlist WHERE db = ? AND id <> CONNECTION_ID()', [database])
  for (const { id } of rows as Array<{ id: number }>) await root.query(`KILL ${id}`)
}

const FAILING: ReadonlyArray<readonly [type: string, sql: string]> = [
  ['unique_violation', "INSERT INTO walker (name) VALUES ('ann')"], ['unique_violation', "INSERT INTO walker (id, name) VALUES (1, 'cid')"],
  ['not_null_violation', 'INSERT INTO walker (name) VALUES (NULL)'], ['not_null_violation', 'INSERT INTO walker () VALUES ()'],
  ['foreign_key_violation', 'INSERT INTO walk (metres, walker) VALUES (1, 99)'], ['check_violation', 'INSERT INTO walk (metres) VALUES (0)'],
  ['undefined_table', 'SELECT * FROM cat'], ['undefined_column', 'SELECT tail FROM walker'], ['syntax_error', 'SELEC 1'], ['undefined_function', 'SELECT walks.bark(1)'],
  ['string_data_right_truncation', `INSERT INTO walker (name) VALUES ('${'x'.repeat(99)}')`], ['duplicate_table', 'CREATE TABLE walker (id INT)'],
  ['invalid_catalog_name', 'USE nowhere'], ['query_canceled', 'SET STATEMENT max_statement_time=0.05 FOR SELECT SLEEP(9), COUNT(*) FROM step'],
  ['raise_exception', "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'no'"], ['invalid_savepoint_specification', 'ROLLBACK TO SAVEPOINT nowhere'],
  ['read_only_sql_transaction', 'SET STATEMENT tx_read_only=1 FOR UPDATE walker SET name = 1']
]

for (const [version, make] of Object.entries(VERSIONS)) {
  const vendor = version === '1' ? 'mariadb' : 'mysql'

  t.test(`TypeORM ${version}: each query counts once, with its rows, or as what it failed of`, async (t) => {
    const { dataSource, page } = watched(t, make())
    await dataSource.initialize()
    const before = await page()
    await dataSource.query('SELECT * FROM walker')
    await dataSource.query('SELECT * FROM walker WHERE id = 0')
    await dataSource.query('UPDATE walker SET name = name WHERE id < 3')
    await dataSource.query('INSERT INTO walk (metres, walker) VALUES (1, 1), (2, 1), (3, 2)')
    await dataSource.createQueryBuilder().delete().from('walk').where('metres > 0').execute()
    await Promise.all(Array.from({ length: 30 }, () => dataSource.query('SELECT 1')))
    await dataSource.transaction((manager) => manager.query('SELECT 2'))
    const after = await page()
    const more = (name: string, operation: string): number => after.sum(name, { operation, vendor, alias: 'default' }) - before.sum(name, { operation, vendor, alias: 'default' })
    t.same(['select', 'update', 'insert', 'delete', 'begin', 'commit'].map((operation) => [more('db_query_duration_seconds_count', operation), more('db_rows_total', operation)]),
      [[33, 33], [1, 2], [1, 3], [1, 3], [1, 0], [1, 0]])
    for (const [, sql] of FAILING) if (!sql.includes('tx_read_only')) await t.rejects(dataSource.query(sql), sql)
    const failed = await page()
    for (const type of new Set(FAILING.map(([type]) => type))) {
      if (type !== 'read_only_sql_transaction') t.equal(failed.sum('db_query_errors_total', { type }), FAILING.filter(([each]) => each === type).length, type)
    }
    t.equal(counted(failed) - counted(after), FAILING.length - 1)
    t.equal(failed.sum('db_queries_in_flight'), 0)
    t.equal(failed.sum('db_connection_errors_total'), 0)
  })

  t.test(`TypeORM ${version}: locks`, async (t) => {
    const { dataSource, page } = watched(t, make())
    await dataSource.initialize()
    const [one, other] = [dataSource.createQueryRunner(), dataSource.createQueryRunner()]
    await one.startTransaction()
    await other.startTransaction()
    await one.query('SELECT * FROM walker WHERE id = 1 FOR UPDATE')
    await other.query('SELECT * FROM walker WHERE id = 2 FOR UPDATE')
    await t.rejects(other.query('SELECT * FROM walker WHERE id = 1 FOR UPDATE NOWAIT'))
    const waiting = one.query('SELECT * FROM walker WHERE id = 2 FOR UPDATE').catch(() => {})
    const meeting = other.query('SELECT * FROM walker WHERE id = 1 FOR UPDATE').catch(() => {})
    await Promise.all([waiting, meeting])
    await Promise.allSettled([one.rollbackTransaction(), other.rollbackTransaction()])
    await one.query('START TRANSACTION READ ONLY')
    await t.rejects(one.query('UPDATE walker SET name = 1'))
    await one.query('ROLLBACK')
    await Promise.all([one.release(), other.release()])
    for (const type of ['lock_not_available', 'deadlock_detected', 'read_only_sql_transaction']) t.equal((await page()).sum('db_query_errors_total', { type }), 1, type)
  })

  t.test(`TypeORM ${version}: a query begins with its connection, and is seen while it runs`, async (t) => {
    const { dataSource, page } = watched(t, make({ extra: { connectionLimit: 1 } }))
    await dataSource.initialize()
    const before = await page()
    const runner = dataSource.createQueryRunner()
    const began = performance.now()
    /** Seconds from then on that a query has taken when its caller has its answer. */
    const taken = async (query: Promise<unknown>, from = began) => await query.then(() => (performance.now() - from) / 1000)
    const first = taken(runner.query("SELECT GET_LOCK('walk', 0), SLEEP(0.3)"))
    const [second, sameRunner] = [dataSource.query('SELECT 1'), taken(runner.query('SELECT 2'))]
    while ((await page()).sum('db_queries_in_flight') < 2) await new Promise((resolve) => setImmediate(resolve))
    t.equal((await page()).sum('db_queries_in_flight'), 2, 'what waits for a connection is under way at no database')
    const most = await first + await sameRunner
    const released = performance.now()
    await runner.release()
    const rest = await taken(second, released)
    const after = await page()
    t.equal(counted(after) - counted(before), 3)
    t.ok(after.sum('db_query_duration_seconds_sum', { operation: 'select' }) - before.sum('db_query_duration_seconds_sum', { operation: 'select' }) <= most + rest, 'nor is its wait its duration')
    t.equal(after.sum('db_queries_in_flight'), 0)
  })

  t.test(`TypeORM ${version}: connections that cannot be made, and those that are lost, are counted`, async (t) => {
    const errors = async ({ page }: Watched): Promise<Record<string, number>> => {
      return Object.fromEntries((await page()).of('db_connection_errors_total', { vendor, alias: 'default' }).map(({ labels, value }) => [labels.type as string, value]))
    }
    const denied = watched(t, make({ username: 'bob', password: 'wrong' }))
    await t.rejects(denied.dataSource.initialize())
    t.same(await errors(denied), { invalid_authorization_specification: 1 })
    const nowhere = watched(t, make({ database: 'nowhere' }))
    await t.rejects(nowhere.dataSource.initialize())
    t.same(await errors(nowhere), { invalid_catalog_name: 1 })

    const { dataSource, ...rest } = watched(t, make())
    await dataSource.initialize()
    const runner = dataSource.createQueryRunner()
    await runner.connect()
    await root.query('SET GLOBAL max_connections = 10')
    const others = await Promise.all(Array.from({ length: 9 }, () => mysql.createConnection(mariadb.config).catch(() => undefined)))
    const extra = await mysql.createConnection(mariadb.config).catch(() => undefined)
    await t.rejects(dataSource.query('SELECT 1'), { code: 'ER_CON_COUNT_ERROR' })
    await Promise.all([...others, extra].map((other) => other?.end()))
    await root.query('SET GLOBAL max_connections = 151')
    t.same(await errors({ dataSource, ...rest }), { too_many_connections: 1 })

    const before = counted(await rest.page())
    const running = t.rejects(runner.query('SELECT SLEEP(20)'))
    await runs('SELECT SLEEP(20)')
    await killAll()
    await running
    await runner.release()
    t.match((await rest.page()).of('db_query_errors_total'), [{ labels: { type: /^(?:connection_failure|admin_shutdown)$/ }, value: 1 }], "what a query meets is the query's")
    t.equal(counted(await rest.page()), before + 1)
    t.same(await errors({ dataSource, ...rest }), { too_many_connections: 1 })

    await dataSource.query('SELECT 1')
    const idle = (dataSource.driver as unknown as { pool: { _freeConnections: { get (i: number): NodeJS.EventEmitter } } }).pool._freeConnections.get(0)
    const lost = new Promise((resolve) => { idle.once('error', resolve) })
    await killAll()
    await lost
    const { too_many_connections: _, ...after } = await errors({ dataSource, ...rest })
    t.same(Object.values(after), [1], 'one that was idle')
    t.match(Object.keys(after), [/^(?:connection_failure|admin_shutdown)$/])

    await root.query('SELECT 1')
    await mariadb.stop()
    const [failures, refused] = [5, async () => (await errors({ dataSource, ...rest })).ECONNREFUSED ?? 0]
    const [queries, had] = [counted(await rest.page()), await refused()]
    for (let i = 0; i < failures; i++) await t.rejects(dataSource.query('SELECT 1'), { code: 'ECONNREFUSED' })
    const both = dataSource.createQueryRunner()
    await Promise.allSettled([both.query('SELECT 1'), both.query('SELECT 2'), both.stream('SELECT 3'), dataSource.createQueryRunner().query('SELECT 4')])
    t.equal(await refused(), had + failures + 2)
    t.equal(counted(await rest.page()), queries, 'no query was')
    const away = watched(t, make())
    await t.rejects(away.dataSource.initialize())
    t.same(await errors(away), { ECONNREFUSED: 1 })
    await mariadb.start()
    Object.assign(root, await mysql.createConnection({ ...mariadb.config, multipleStatements: true }))
    await dataSource.query('SELECT 1')
    t.equal(counted(await rest.page()), queries + 1, 'and back again')
  })

  t.test(`TypeORM ${version}: a stream is one query, read whole, given up or failed`, async (t) => {
    const { dataSource, page } = watched(t, make())
    await dataSource.initialize()
    const before = await page()
    const more = async (): Promise<number[]> => {
      const now = await page()
      return [counted(now) - counted(before), now.sum('db_rows_total', { operation: 'select' }) - before.sum('db_rows_total', { operation: 'select' }), now.sum('db_query_errors_total'), now.sum('db_queries_in_flight')]
    }
    const ended = async (): Promise<void> => { // nothing tells when a stream that was given up is closed
      while ((await page()).sum('db_queries_in_flight') > 0) await new Promise((resolve) => setImmediate(resolve))
    }
    const runner = dataSource.createQueryRunner()
    const stream = await runner.stream('SELECT n FROM step ORDER BY n') as Readable
    t.same(await more(), [0, 0, 0, 1], 'under way while it is read')
    const listeners = stream.eventNames().map(String)
    t.notOk(listeners.includes('error'), 'no listener of ours keeps an error from crashing')
    let rows = 0
    for await (const row of stream) rows += (row as { n: number }).n > 0 ? 1 : 0
    t.equal(rows, 5000)
    t.same(await more(), [1, 5000, 0, 0])
    t.notOk(Object.hasOwn(stream, 'push'))
    await runner.release()

    const rest = (await dataSource.createQueryBuilder().select('n').from('step', 'step').stream() as Readable).iterator()
    t.ok((await rest.next()).value)
    await rest.return?.()
    await ended()
    const [count, read] = await more()
    t.same([count, (read ?? 0) > 5000 && (read ?? 0) < 10_001], [2, true], 'given up')

    const left = dataSource.createQueryRunner()
    const abandoned = await left.stream('SELECT n FROM step') as Readable
    const closed = once(abandoned, 'close').catch(() => {})
    abandoned.on('error', () => {}).destroy(new Error('the client is gone'))
    await closed
    await ended()
    await left.release()
    t.same((await more()).filter((_, i) => i !== 1), [3, 0, 0], 'given up with an error of its own')

    const failing = dataSource.createQueryRunner()
    const broken = await failing.stream('SELECT * FROM cat') as Readable
    const [error] = await once(broken, 'error') as [Error]
    t.match(error, { code: 'ER_NO_SUCH_TABLE' })
    await failing.release()
    t.same((await page()).values('db_query_errors_total', 'type'), ['undefined_table'])
    t.same((await more()).filter((_, i) => i !== 1), [4, 1, 0])

    const lost = dataSource.createQueryRunner()
    const killed = await lost.stream('SELECT n, SLEEP(0.01) FROM step') as Readable
    killed.on('error', () => {}).resume()
    await runs('SELECT n, SLEEP(0.01) FROM step')
    await killAll()
    // mysql2 does not tell the stream.
    await ended()
    await lost.release()
    t.same((await more()).filter((_, i) => i !== 1), [5, 2, 0], 'whose connection was lost')
    t.equal((await page()).sum('db_connection_errors_total'), 0)
  })

  t.test(`TypeORM ${version}: replicas have aliases of their own`, async (t) => {
    const of = (database: string): object => ({ username, ...address, database })
    const replication = { master: of('walks'), slaves: [of('replica_one'), of('replica_two')], removeNodeErrorCount: 2 }
    for (const when of ['before', 'after'] as const) {
      const dataSource = make({ replication })
      if (when === 'after') await dataSource.initialize()
      const registry = new Registry()
      const undo = instrumentDataSource(dataSource, { registry, migrations: false, alias: 'walks' })
      t.teardown(async () => { if (dataSource.isInitialized) await dataSource.destroy() })
      if (when === 'before') await dataSource.initialize()
      const page = async (): Promise<Page> => new Page(await registry.metrics())
      const before = await page()
      const databases: Record<string, number> = {}
      for (let i = 0; i < 4; i++) {
        const runner = dataSource.createQueryRunner('slave')
        const [{ name }] = await runner.query('SELECT DATABASE() AS name') as [{ name: string }]
        databases[name] = (databases[name] ?? 0) + 1
        await runner.release()
      }
      await dataSource.query('SELECT 1')
      const replica = dataSource.createQueryRunner('slave')
      const stream = await replica.stream('SELECT DATABASE() AS name') as Readable
      const [{ name }] = await stream.toArray() as [{ name: string }]
      databases[name] = (databases[name] ?? 0) + 1
      await replica.release()
      const after = await page()
      t.same(['walks', 'walks-replica-1', 'walks-replica-2'].map((alias) => counted(after, { alias }) - counted(before, { alias })),
        [1, databases.replica_one, databases.replica_two], `instrumented ${when} initialize`)

      await mariadb.stop()
      const away = async (mode: 'master' | 'slave'): Promise<unknown> => {
        const runner: QueryRunner = dataSource.createQueryRunner(mode)
        return runner.query('SELECT 1').catch((error: Error) => error)
      }
      for (let i = 0; i < 4; i++) t.type(await away('slave'), Error)
      for (let i = 0; i < 3; i++) t.type(await away('master'), Error)
      const gone = await page()
      for (const alias of ['walks', 'walks-replica-1', 'walks-replica-2']) t.ok(gone.sum('db_connection_errors_total', { alias, type: 'ECONNREFUSED' }) >= 2, alias)
      t.ok(gone.sum('db_connection_errors_total', { alias: 'walks', type: 'POOL_NOEXIST' }) >= 1, 'a cluster that has no pool left')
      t.equal(counted(gone), counted(after), 'no query was')
      t.equal(gone.sum('metrics_instrumentation_errors_total'), 0)
      await dataSource.destroy()
      undo()
      await mariadb.start()
    }
    Object.assign(root, await mysql.createConnection({ ...mariadb.config, multipleStatements: true }))
  })

  t.test(`TypeORM ${version}: undo puts all back, and callers see what they see without us`, async (t) => {
    const dataSource = make()
    await dataSource.initialize()
    const { driver } = dataSource as unknown as { driver: { pool: { _freeConnections: { get (i: number): NodeJS.EventEmitter } }, mysql: object } }
    const connection = driver.pool._freeConnections.get(0)
    const prints = (): unknown[] => [dataSource, driver, driver.pool, connection].flatMap((object) => [Reflect.ownKeys(object).map(String).sort(), Reflect.getPrototypeOf(object)])
      .concat(connection.eventNames().map(String).sort(), [dataSource.subscribers, driver.mysql])
    await dataSource.query('SELECT 1')
    const bare = prints()
    const { undo, page } = watched(t, dataSource)
    const runner = dataSource.createQueryRunner()
    await runner.query('SELECT 1')
    t.equal(counted(await page()), 1)
    t.same(Object.keys(runner), Object.keys(make().driver.createQueryRunner('master')).concat(Object.keys(runner).filter((key) => ['databaseConnectionPromise', 'databaseConnection', 'manager'].includes(key))).filter((key, i, all) => all.indexOf(key) === i))
    undo()
    await runner.query('SELECT 1')
    await runner.release()
    await dataSource.query('SELECT 1')
    t.equal(counted(await page()), 1)
    t.same(prints(), bare)
    t.equal(driver.mysql, (await import('mysql2')).default)
  })
}

/** Waits until the server runs a statement. */
async function runs (sql: string): Promise<void> {
  for (;;) {
    const [rows] = await root.query('SELECT info FROM information_schema.processlist')
    if ((rows as Array<{ info: string | null }>).some(({ info }) => info === sql)) return
  }
}
