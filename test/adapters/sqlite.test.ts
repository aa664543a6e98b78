import fc from 'fast-check'
import { Registry } from 'prom-client'
import t from 'tap'
import { once } from 'node:events'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Worker } from 'node:worker_threads'
import { instrumentSqlite } from '../../adapters/sqlite.js'
import { countUsage } from '../../src/instrumentation/index.js'
import { Page } from '../support/page.js'
import { SQLITE_FAILURES } from '../support/sqlite.js'
import { sqliteDrivers } from '../support/sqlite-drivers.js'
import { temporaryFolder } from '../support/temporary-folder.js'

const TABLES = 'CREATE TABLE walker (id INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL); CREATE TABLE walk (id INTEGER PRIMARY KEY, metres INT CHECK (metres > 0), walker INT REFERENCES walker)'

for (const driver of await sqliteDrivers(t)) {
  const { name } = driver

  /** An observed database with a walker and 9 walks, and what its page says more from now on. */
  const walked = (file?: string, options?: object) => {
    const registry = new Registry()
    const database = driver.open(file, options)
    const undo = instrumentSqlite(database, { registry })
    database.exec(`${TABLES}; INSERT INTO walker (name) VALUES ('ann')`)
    for (let i = 1; i < 10; i++) database.exec(`INSERT INTO walk (metres) VALUES (${i * 100})`)
    return { database, registry, undo, ...bookkeeping(registry) }
  }

  t.test(`${name}: each way to run a statement is one query, with its operation and rows`, async (t) => {
    const { database, more } = walked()
    t.teardown(() => database.close())
    await more()
    const expect = async (what: string, run: () => unknown, expected: Record<string, number>) => {
      run()
      t.same(await more(), expected, what)
    }
    await expect('run', () => database.prepare('INSERT INTO walk (metres) VALUES (?)').run(5), { 'insert queries': 1, 'insert rows': 1 })
    await expect('run of many rows', () => database.prepare('UPDATE walk SET metres = metres + 1').run(), { 'update queries': 1, 'update rows': 10 })
    await expect('run of no row', () => database.prepare('DELETE FROM walk WHERE id = 99').run(), { 'delete queries': 1 })
    await expect('run of a WITH', () => database.prepare('WITH w AS (SELECT 5 AS id) DELETE FROM walk WHERE id IN (SELECT id FROM w)').run(), { 'delete queries': 1, 'delete rows': 1 })
    await expect('run of what changes nothing keeps the count of the last', () => database.prepare('CREATE TABLE cat (id INT)').run(), { 'ddl queries': 1 })
    await expect('get', () => database.prepare('SELECT * FROM walk').get(), { 'select queries': 1, 'select rows': 1 })
    await expect('get of nothing', () => database.prepare('SELECT * FROM walk WHERE id = 99').get(), { 'select queries': 1 })
    await expect('get with RETURNING', () => database.prepare('INSERT INTO walk (metres) VALUES (5) RETURNING id').get(), { 'insert queries': 1, 'insert rows': 1 })
    await expect('all', () => database.prepare('SELECT * FROM walk').all(), { 'select queries': 1, 'select rows': 10 })
    await expect('iterate', () => [...database.prepare('SELECT * FROM walk').iterate()], { 'select queries': 1, 'select rows': 10 })
    await expect('exec of several', () => database.exec('SELECT 1; SELECT 2'), { 'select queries': 1 })
    await expect('a statement that is prepared and never run', () => database.prepare('SELECT 1'), {})
    await expect('one that runs twice', () => { const one = database.prepare('SELECT 1'); one.get(); one.get() }, { 'select queries': 2, 'select rows': 2 })
  })

  t.test(`${name}: an iteration is under way until SQLite has ended it`, async (t) => {
    const { database, registry, more } = walked()
    await more()
    const inFlight = async () => new Page(await registry.metrics()).sum('db_queries_in_flight', { vendor: 'sqlite' })
    const walks = database.prepare('SELECT * FROM walk')

    const broken = walks.iterate()
    for (const row of broken) {
      t.equal(await inFlight(), 1)
      if (row !== undefined) break
    }
    t.same([await inFlight(), await more()], [0, { 'select queries': 1, 'select rows': 1 }], 'a loop that is left')

    t.throws(() => { for (const row of walks.iterate()) if (row !== undefined) throw new Error('rain') }, { message: 'rain' })
    t.same([await inFlight(), await more()], [0, { 'select queries': 1, 'select rows': 1 }], 'a loop that throws: the statement has not failed')

    const spent = walks.iterate()
    t.equal([...spent].length, 9)
    t.same([spent.next().done, spent.return?.().done, await more()], [true, true, { 'select queries': 1, 'select rows': 9 }], 'what is read beyond the end counts once')

    const garbled = "SELECT json(CASE WHEN metres > 200 THEN '{' ELSE '1' END) FROM walk"
    t.throws(() => [...database.prepare(garbled).iterate()], { message: 'malformed JSON' })
    const code = name === 'node:sqlite' ? 'ERR_SQLITE_ERROR' : 'SQLITE_ERROR'
    t.same([await inFlight(), await more()], [0, { 'select queries': 1, 'select rows': 2, [`errors ${code}`]: 1 }], 'an error in the middle')

    if (name === 'node:sqlite') {
      const forgotten = walks.iterate()
      forgotten.next()
      t.equal(walks.all().length, 9)
      t.same([await inFlight(), await more()], [0, { 'select queries': 2, 'select rows': 10 }], 'a statement that runs again')
      t.throws(() => forgotten.next(), { code: 'ERR_INVALID_STATE' })
      t.same(await more(), {}, 'whose old iterator is over')
      walks.iterate().next()
    } else {
      const busy = walks.iterate()
      busy.next()
      t.throws(() => walks.all(), { message: 'This statement is busy executing a query' })
      t.throws(() => database.close(), { message: 'This database connection is busy executing a query' })
      t.same([await inFlight(), await more()], [1, { 'select queries': 1, 'errors TypeError': 1 }], 'a statement that may not run again')
      t.equal(database.prepare('SELECT 1').pluck instanceof Function, true)
      t.same(database.prepare('SELECT count(*) AS n FROM walk').get(), { n: 9 }, 'the database may be read meanwhile')
      t.same(await more(), { 'select queries': 1, 'select rows': 1 })
      busy.return?.()
    }
    database.close()
    t.same([await inFlight(), await more()], [0, { 'select queries': 1, 'select rows': 1, closed: 1 }], 'a database that is closed')
  })

  t.test(`${name}: an iteration whose statement is collected is over`, async (t) => {
    setFlagsFromString('--expose-gc')
    const gc = runInNewContext('gc') as () => void
    const { database, registry } = walked()
    const begin = () => { database.prepare('SELECT * FROM walk').iterate().next() }
    begin()
    let page = new Page(await registry.metrics())
    t.equal(page.sum('db_queries_in_flight'), 1)
    for (let i = 0; i < 50 && page.sum('db_queries_in_flight') > 0; i++) {
      await new Promise((resolve) => setImmediate(resolve))
      gc()
      page = new Page(await registry.metrics())
    }
    t.same([page.sum('db_queries_in_flight'), page.sum('db_query_duration_seconds_count', { operation: 'select' })], [0, 1])
  })

  t.test(`${name}: each failed query counts once, by what it failed of`, async (t) => {
    const { database, more } = walked()
    t.teardown(() => database.close())
    database.exec('PRAGMA foreign_keys = ON')
    await more()
    for (const [type, sql] of SQLITE_FAILURES) {
      t.throws(() => database.prepare(sql).run(), sql)
      const prepared = await more()
      t.same([prepared[`errors ${type}`], queries(prepared)], [1, 1], `${sql}, prepared`)
      t.throws(() => database.exec(sql), sql)
      const executed = await more()
      t.same([executed[`errors ${type}`], queries(executed)], [1, 1], `${sql}, executed`)
    }
    t.throws(() => database.exec('INSERT INTO walk (metres) VALUES (7); SELEC 2'))
    t.same(await more(), { 'insert queries': 1, 'errors syntax_error': 1 }, 'the second of two')
    t.throws(() => database.prepare(5 as never))
    t.throws(() => database.exec(null as never))
    t.same(await more(), {}, 'what is no statement')
  })

  t.test(`${name}: functions of the application that throw, and that are slow`, async (t) => {
    const { database, more } = walked()
    t.teardown(() => database.close())
    const define = database.function as (name: string, options: object, fn: (...args: unknown[]) => unknown) => void
    define.call(database, 'bark', {}, () => { throw new RangeError('too loud') })
    await more()
    t.throws(() => database.prepare('SELECT bark()').get(), { name: 'RangeError', message: 'too loud' })
    t.same(await more(), { 'select queries': 1, 'errors RangeError': 1 })
  })

  t.test(`${name}: locked and read-only files`, async (t) => {
    const file = join(await temporaryFolder(t, 'sqlite'), 'walks.db')
    const { database, more } = walked(file, { timeout: 0 })
    const other = driver.open(file, { timeout: 0 })
    other.exec('BEGIN IMMEDIATE')
    await more()
    t.throws(() => database.prepare('INSERT INTO walk (metres) VALUES (1)').run())
    t.throws(() => database.exec('BEGIN IMMEDIATE'))
    t.same(await more(), { 'insert queries': 1, 'begin queries': 1, 'errors lock_not_available': 2 })
    other.exec('ROLLBACK')
    const reader = driver.open(file, { readonly: true })
    const registry = new Registry()
    instrumentSqlite(reader, { registry, alias: 'reader' })
    t.throws(() => reader.prepare('DELETE FROM walk').run())
    const page = new Page(await registry.metrics())
    t.equal(page.sum('db_query_errors_total', { alias: 'reader', vendor: 'sqlite', type: 'read_only_sql_transaction' }), 1)
    for (const each of [database, other, reader]) each.close()
  })

  t.test(`${name}: the connection`, async (t) => {
    const { database, registry, more } = walked()
    const counts = async () => {
      const page = new Page(await registry.metrics())
      return ['opened', 'closed'].map((what) => page.sum(`db_connections_${what}_total`, { alias: 'default', vendor: 'sqlite' }))
    }
    const open = database.prepare('SELECT * FROM walk')
    t.same(await counts(), [1, 0])
    database.close()
    t.same(await counts(), [1, 1])
    await more()
    t.throws(() => open.all())
    t.throws(() => open.iterate())
    t.throws(() => database.prepare('SELECT 1'))
    t.throws(() => database.exec('SELECT 1'))
    t.same(queries(await more()), 4, 'what is asked of a closed database fails')
    if (name === 'better-sqlite3') database.close()
    else t.throws(() => database.close(), { code: 'ERR_INVALID_STATE' })
    t.same(await counts(), [1, 1], 'it is closed once')
    const page = new Page(await registry.metrics())
    for (const of of ['connections', 'pending_requests', 'acquire_timeouts_total', 'acquire_duration_seconds_count']) t.same(page.of(`db_pool_${of}`), [], 'it has no pool')
    if (name === 'better-sqlite3') return

    const reopen = database.open as () => void
    reopen.call(database)
    t.throws(() => reopen.call(database), { code: 'ERR_INVALID_STATE' })
    t.same(await counts(), [2, 1])
    t.equal(new Page(await registry.metrics()).sum('db_connection_create_duration_seconds_count'), 1)
    await more()
    database.prepare('SELECT 1').get()
    t.same(await more(), { 'select queries': 1, 'select rows': 1 }, 'it is observed on')
    ;(database as unknown as { [Symbol.dispose] (): void })[Symbol.dispose]()
    ;(database as unknown as { [Symbol.dispose] (): void })[Symbol.dispose]()
    t.same([await counts(), driver.isOpen(database)], [[2, 2], false])
    t.same(await more(), { closed: 1 })
  })

  t.test(`${name}: queries are credited to the request of their async context`, async (t) => {
    const { database } = walked()
    t.teardown(() => database.close())
    const usages = [1, 2].map(() => ({ queries: 0, seconds: 0, requests: 0, requestSeconds: 0 }))
    const statement = database.prepare('SELECT * FROM walk')
    await Promise.all(usages.map((usage, i) => new Promise<void>((resolve) => {
      countUsage(usage, () => {
        setImmediate(() => {
          for (let n = 0; n <= i; n++) statement.get()
          database.prepare('SELECT 1').get()
          const iterator = database.prepare('SELECT * FROM walk').iterate()
          setImmediate(() => {
            t.equal([...iterator].length, 9)
            resolve()
          })
        })
      })
    })))
    statement.get()
    t.same(usages.map(({ queries }) => queries), [3, 4])
    for (const { seconds } of usages) t.ok(seconds > 0)
  })

  t.test(`${name}: the numbers of any program add up`, async (t) => {
    const step = fc.oneof(
      fc.record({ do: fc.constantFrom('run', 'exec'), sql: fc.constantFrom('INSERT INTO walk (metres) VALUES (1)', 'UPDATE walk SET metres = 2 WHERE id < 4', 'DELETE FROM walk WHERE id = 2', 'INSERT INTO walk (metres) VALUES (0)', 'nonsense', 'BEGIN', 'COMMIT', 'ROLLBACK') }),
      fc.record({ do: fc.constantFrom('get', 'all'), sql: fc.constantFrom('SELECT * FROM walk', 'SELECT 1', 'SELECT * FROM cat', 'SELECT * FROM walk WHERE id > 3') }),
      fc.record({ do: fc.constant('iterate'), sql: fc.constantFrom('SELECT * FROM walk', 'SELECT 1 WHERE 0', 'SELECT * FROM cat'), take: fc.nat(12) })
    )
    await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (program) => {
      const { database, more } = walked()
      await more()
      const expected = { queries: 0, rows: 0, errors: 0 }
      for (const { do: what, sql, ...rest } of program) {
        expected.queries++
        try {
          if (what === 'exec') {
            database.exec(sql)
            continue
          }
          const statement = database.prepare(sql)
          if (what === 'run') {
            const { changes } = statement.run()
            if (/^(?:INS|UPD|DEL)/.test(sql)) expected.rows += Number(changes)
          } else if (what === 'get') expected.rows += statement.get() === undefined ? 0 : 1
          else if (what === 'all') expected.rows += statement.all().length
          else {
            let left = 'take' in rest ? rest.take : 0
            for (const row of statement.iterate()) {
              if (row !== undefined) expected.rows++
              if (left-- === 0) break
            }
          }
        } catch {
          expected.errors++
        }
      }
      const seen = await more()
      database.close()
      const sum = (pattern: RegExp) => Object.entries(seen).reduce((sum, [key, value]) => pattern.test(key) ? sum + value : sum, 0)
      return queries(seen) === expected.queries && sum(/ rows$/) === expected.rows && sum(/^errors /) === expected.errors && sum(/^trouble$/) === 0
    }), { numRuns: 60 })
  })

  t.test(`${name}: in a worker thread`, async (t) => {
    const worker = new Worker(new URL('sqlite-worker.ts', import.meta.url), { workerData: name, execArgv: process.execArgv })
    const [page] = await once(worker, 'message') as [string]
    t.equal(new Page(page).sum('db_query_duration_seconds_count', { vendor: 'sqlite' }), 1)
  })

  if (name === 'better-sqlite3') {
    t.test('better-sqlite3: pragmas, transactions, modes of statements, what is no query', async (t) => {
      const { database, more } = walked()
      t.teardown(() => database.close())
      await more()
      const db = database as unknown as {
        pragma (source: string, options?: object): unknown
        transaction <A extends unknown[], R> (fn: (...args: A) => R): ((...args: A) => R) & { immediate: (...args: A) => R }
        serialize (): Buffer
        backup (file: string): Promise<unknown>
        unsafeMode (on?: boolean): void
      }
      t.equal(db.pragma('user_version', { simple: true }), 0)
      t.same(await more(), { 'other queries': 1, 'other rows': 1 })
      t.throws(() => db.pragma('nonsense ('))
      t.same(await more(), { 'other queries': 1, 'errors syntax_error': 1 })

      const insert = database.prepare('INSERT INTO walk (metres) VALUES (?)')
      const inner = db.transaction((metres: number) => insert.run(metres))
      const outer = db.transaction((...each: number[]) => {
        for (const metres of each) try { inner(metres) } catch {}
      })
      outer.immediate(1, 0, 2)
      t.same(await more(), {
        'begin queries': 1, 'commit queries': 1, 'insert queries': 3, 'insert rows': 2, 'errors check_violation': 1, 'rollback queries': 1, 'other queries': 6
      }, 'savepoints and their releases are other')
      t.throws(() => db.transaction(() => { throw new Error('rain') })(), { message: 'rain' })
      t.same(await more(), { 'begin queries': 1, 'rollback queries': 1 })

      const walks = database.prepare('SELECT metres FROM walk') as unknown as Record<string, (on?: boolean) => { all (): unknown[] }>
      for (const mode of ['pluck', 'raw', 'expand', 'safeIntegers']) t.equal(walks[mode]?.().all().length, 11, mode)
      t.same(await more(), { 'select queries': 4, 'select rows': 44 })
      t.equal((database.prepare('SELECT NULL') as unknown as { pluck (): { get (): unknown } }).pluck().get(), null)
      t.same(await more(), { 'select queries': 1, 'select rows': 1 }, 'a NULL is a row')
      db.serialize()
      await db.backup(join(await temporaryFolder(t, 'sqlite'), 'backup.db'))
      t.same(await more(), {})
    })
  } else {
    t.test('node:sqlite: a database that cannot be opened', async (t) => {
      const registry = new Registry()
      const database = driver.open(join(await temporaryFolder(t, 'sqlite'), 'no', 'walks.db'), { open: false })
      instrumentSqlite(database, { registry })
      t.throws(() => (database.open as () => void).call(database), { code: 'ERR_SQLITE_ERROR' })
      const page = new Page(await registry.metrics())
      t.same([page.sum('db_connections_opened_total'), page.sum('db_connection_errors_total')], [0, 1])
    })

    t.test('node:sqlite: templates, big integers, what is no query', async (t) => {
      const { database, more } = walked()
      t.teardown(() => database.close())
      await more()
      const update = database.prepare('UPDATE walk SET metres = metres + 1')
      ;(update.setReadBigInts as (on: boolean) => void)(true)
      t.equal(update.run().changes, 9n)
      t.same(await more(), { 'update queries': 1, 'update rows': 9 })
      const session = (database.createSession as () => { changeset (): Uint8Array, close (): void })()
      session.changeset()
      session.close()
      t.same(await more(), {})
      if (typeof database.createTagStore !== 'function') return
      type Tag<R> = (strings: TemplateStringsArray, ...values: unknown[]) => R
      const store = (database.createTagStore as () => { run: Tag<unknown>, get: Tag<unknown>, all: Tag<unknown[]>, iterate: Tag<Iterable<unknown>>, size: number })()
      for (const id of [1, 2]) t.match(store.get`SELECT * FROM walk WHERE id = ${id}`, { id })
      store.run`WITH w AS (SELECT ${3} AS id) DELETE FROM walk WHERE id IN (SELECT id FROM w)`
      t.equal(store.all`SELECT * FROM walk`.length, 8)
      t.equal([...store.iterate`SELECT * FROM walk WHERE metres > ${0}`].length, 8)
      t.throws(() => store.get`SELEC ${1}`)
      t.same(await more(), { 'select queries': 4, 'select rows': 18, 'delete queries': 1, 'delete rows': 1, 'other queries': 1, 'errors syntax_error': 1 })
    })
  }
}

function queries (seen: Record<string, number>): number {
  return Object.entries(seen).reduce((sum, [key, value]) => key.endsWith(' queries') ? sum + value : sum, 0)
}

/** Gives a function that tells what the metrics of a registry have more than at its last call. */
function bookkeeping (registry: Registry): { more: () => Promise<Record<string, number>> } {
  let before: Record<string, number> = {}
  const read = async () => {
    const numbers: Record<string, number> = {}
    for (const { name, labels, value } of new Page(await registry.metrics()).samples) {
      if (name === 'db_query_duration_seconds_count') numbers[`${labels.operation} queries`] = value
      if (name === 'db_rows_total') numbers[`${labels.operation} rows`] = value
      if (name === 'db_query_errors_total') numbers[`errors ${labels.type}`] = value
      if (name === 'db_connections_closed_total') numbers.closed = value
      if (name === 'metrics_instrumentation_errors_total') numbers.trouble = value
    }
    return numbers
  }
  return {
    async more () {
      const now = await read()
      const more = Object.fromEntries(Object.entries(now).map(([key, value]) => [key, value - (before[key] ?? 0)] as const).filter(([, value]) => value !== 0))
      before = now
      return more
    }
  }
}
