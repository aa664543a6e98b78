import { Registry } from 'prom-client'
import t from 'tap'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { inspect } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { instrumentSqlite } from '../../adapters/sqlite.js'
import { Page } from '../support/page.js'
import { sqliteDrivers, type SqliteDatabase, type SqliteDriver, type SqliteStatement } from '../support/sqlite-drivers.js'
import { temporaryFolder } from '../support/temporary-folder.js'

// A call that is observed has a frame of ours. Of the ten that Node keeps, it would push out one of the application's.
Error.stackTraceLimit = 50

type Call = (...args: unknown[]) => unknown
/** What an application does with a database, and gives or notes of it. */
type Scene = (database: SqliteDatabase, note: (...seen: unknown[]) => void, folder: string) => unknown

const WALKS = 'SELECT * FROM walk'
/** A method by its name, called as a method. */
const call = (object: object, name: PropertyKey, ...args: unknown[]) => (Reflect.get(object, name) as Call).apply(object, args)
const attempt = (note: (...seen: unknown[]) => void, run: () => unknown) => {
  try {
    note(run())
  } catch (error) {
    note(sight(error))
  }
}

const SCENES: Record<string, Scene> = {
  'results of all methods': (db) => [
    db.prepare('INSERT INTO walk (metres) VALUES (?)').run(5), db.prepare(WALKS).get(), db.prepare(WALKS).all(), [...db.prepare(WALKS).iterate()],
    db.prepare('SELECT 1 WHERE 0').get(), db.prepare('SELECT 1 WHERE 0').all(), db.prepare('SELECT NULL AS n').get(), db.prepare('SELECT @a AS a').get({ a: 1 }), db.prepare('SELECT ? AS a, ? AS b').get(1, 'x')
  ],
  'exec': (db) => [db.exec('SELECT 1; SELECT 2') === db, db.exec('SELECT 1') === undefined, db.exec('')],
  'errors of prepare': (db, note) => { for (const text of ['SELEC 1', 'SELECT * FROM cat', '', ' -- nothing', 'SELECT 1; SELECT 2', undefined, null, 5, {}]) attempt(note, () => typeof db.prepare(text as string)) },
  'errors of exec': (db, note) => { for (const text of ['SELEC 1', 'INSERT INTO walk (metres) VALUES (0)', undefined, null, 5]) attempt(note, () => typeof db.exec(text as string)) },
  'errors of run, get, all and iterate': (db, note) => {
    for (const text of ['INSERT INTO walk (metres) VALUES (?)', 'SELECT ? AS n']) {
      for (const name of ['run', 'get', 'all', 'iterate']) for (const values of [[], [1], [1, 2], [{}], [Symbol('s')], [undefined], [null]]) attempt(note, () => typeof call(db.prepare(text), name, ...values))
    }
    for (const name of ['run', 'get', 'all']) attempt(note, () => call(db.prepare('INSERT INTO walk (metres) VALUES (0)'), name))
  },
  'methods without their object': (db, note) => {
    const { run, get, all, iterate } = db.prepare(WALKS)
    const { prepare, exec } = db
    for (const method of [run, get, all, iterate, prepare, exec]) for (const self of [undefined, null, 5, {}, db]) attempt(note, () => typeof Reflect.apply(method as Call, self, ['SELECT 1']))
    attempt(note, () => typeof Reflect.apply(get, db.prepare('SELECT 2 AS other'), []))
  },
  'the shape of a database and its methods': (db) => ['prepare', 'exec', 'close', 'open'].map((name) => {
    const method = Reflect.get(db, name) as unknown
    return typeof method === 'function' ? [method.name, method.length, inspect(method)] : method
  }).concat([Object.keys(db), Object.getPrototypeOf(db).constructor.name, db.constructor.name, JSON.stringify(db), inspect(db)]),
  'the shape of a statement': (db) => {
    const statement = db.prepare(WALKS)
    return [Reflect.ownKeys(statement), statement.constructor.name, inspect(statement), Object.keys(statement), ...['run', 'get', 'all', 'iterate'].map((name) => {
      const method = Reflect.get(statement, name) as Call
      return [method.name, method.length, name in statement, Object.hasOwn(statement, name)]
    })]
  },
  'the shape of an iterator': (db) => {
    const iterator = db.prepare(WALKS).iterate()
    const seen = [Reflect.ownKeys(iterator), iterator.constructor.name, iterator[Symbol.iterator]() === iterator, iterator.next.name, iterator.next.length, iterator.return?.name, iterator.return?.length]
    iterator.return?.()
    return seen
  },
  'iterations': (db, note) => {
    const broken = db.prepare(WALKS).iterate()
    for (const row of broken) {
      note(row)
      if (row !== undefined) break
    }
    note(broken.next(), broken.next(), broken.return?.(), broken.return?.(7))
    attempt(note, () => { for (const row of db.prepare(WALKS).iterate()) if (row !== undefined) throw new Error(inspect(row)) })
    const [first, ...others] = db.prepare(WALKS).iterate()
    note(first, others)
    const [alone] = db.prepare(WALKS).iterate()
    note(alone)
    attempt(note, () => [...db.prepare('SELECT json(CASE WHEN id > 1 THEN \'{\' ELSE \'1\' END) FROM walk').iterate()])
    const { next, return: end } = db.prepare(WALKS).iterate()
    for (const self of [undefined, {}, db]) for (const method of [next, end]) attempt(note, () => Reflect.apply(method as Call, self, []))
  },
  'the database in a loop over it': (db, note) => {
    for (const row of db.prepare(WALKS).iterate()) {
      note(row, db.prepare(WALKS).all())
      attempt(note, () => typeof db.prepare('DELETE FROM walk WHERE id = 99').run())
      attempt(note, () => typeof db.exec('DELETE FROM walk WHERE id = 99'))
    }
  },
  'a statement that runs again while it is read': (db, note) => {
    const statement = db.prepare(WALKS)
    const iterator = statement.iterate()
    note(iterator.next())
    for (const name of ['get', 'all', 'iterate']) attempt(note, () => typeof call(statement, name))
    attempt(note, () => iterator.next())
    attempt(note, () => iterator.return?.())
  },
  'functions of the application': (db, note) => {
    call(db, 'function', 'bark', (n: unknown) => {
      if (n === 2) throw new RangeError('too loud')
      return n
    })
    attempt(note, () => db.prepare('SELECT bark(1) AS n').get())
    attempt(note, () => db.prepare('SELECT bark(2) AS n').get())
    attempt(note, () => db.exec('SELECT bark(2)'))
    attempt(note, () => [...db.prepare('SELECT bark(id) AS n FROM walk').iterate()])
    call(db, 'function', 'nested', () => JSON.stringify(db.prepare('SELECT 3 AS n').get()))
    attempt(note, () => db.prepare('SELECT nested() AS n').get())
    call(db, 'aggregate', 'total_of', { start: 0, step: (sum: number, n: number) => { if (n > 400) throw new Error('too far'); return sum + n } })
    attempt(note, () => db.prepare('SELECT total_of(metres) AS n FROM walk WHERE id < 3').get())
    attempt(note, () => db.prepare('SELECT total_of(metres) AS n FROM walk').get())
  },
  'close, and what is left': (db, note) => {
    const [statement, iterated] = [db.prepare(WALKS), db.prepare(WALKS)]
    const iterator = iterated.iterate()
    iterator.next()
    attempt(note, () => db.close() === db)
    attempt(note, () => iterator.next())
    attempt(note, () => iterator.return?.())
    attempt(note, () => db.close() === db)
    attempt(note, () => db.close() === db)
    for (const name of ['run', 'get', 'all', 'iterate']) attempt(note, () => typeof call(statement, name))
    attempt(note, () => db.prepare('SELECT 1'))
    attempt(note, () => db.exec('SELECT 1'))
  }
}

const SCENES_OF: Record<SqliteDriver['name'], Record<string, Scene>> = {
  'better-sqlite3': {
    'chains': (db) => {
      const statement = db.prepare('SELECT id, metres FROM walk WHERE id < ?') as SqliteStatement
      return [
        ...['pluck', 'expand', 'raw', 'safeIntegers'].map((name) => [call(statement, name) === statement, statement.all(3), call(statement, name, false) === statement]),
        call(statement, 'bind', 3) === statement, statement.all(), statement.get(), call(statement, 'columns'), statement.busy, statement.reader, statement.readonly, statement.source, statement.database === db,
        call(db, 'defaultSafeIntegers') === db, db.prepare(WALKS).get(), call(db, 'defaultSafeIntegers', false) === db, call(db, 'unsafeMode') === db, call(db, 'unsafeMode', false) === db
      ]
    },
    'busy': (db) => {
      const statement = db.prepare(WALKS)
      const iterator = statement.iterate() as IterableIterator<unknown> & { statement?: unknown }
      const seen = [statement.busy, iterator.statement === statement]
      iterator.return?.()
      return [...seen, statement.busy]
    },
    'modes that do not fit': (db, note) => {
      for (const name of ['pluck', 'raw', 'columns', 'bind']) attempt(note, () => typeof call(db.prepare('DELETE FROM walk WHERE id = 99'), name, 1))
      attempt(note, () => call(call(db.prepare(WALKS), 'bind') as SqliteStatement, 'bind'))
    },
    'pragma': (db, note) => {
      note(call(db, 'pragma', 'user_version'), call(db, 'pragma', 'user_version', { simple: true }), call(db, 'pragma', 'user_version = 4'))
      for (const text of ['nonsense (', 5, undefined]) attempt(note, () => call(db, 'pragma', text))
    },
    'transactions': (db, note) => {
      const insert = db.prepare('INSERT INTO walk (metres) VALUES (?)')
      const inner = call(db, 'transaction', function (this: unknown, metres: number) { note(this === db, db.inTransaction); return insert.run(metres) }) as Call & Record<string, Call>
      const outer = call(db, 'transaction', (...all: number[]) => { for (const metres of all) attempt(note, () => inner.call(db, metres)) }) as Call
      note(outer(1, 0, 2), db.inTransaction, db.prepare('SELECT count(*) FROM walk').get(), (inner as { database?: unknown }).database === db, Reflect.ownKeys(inner))
      for (const kind of ['deferred', 'immediate', 'exclusive']) attempt(note, () => inner[kind]?.(3))
      attempt(note, () => (call(db, 'transaction', () => { throw new Error('rain') }) as Call)())
      attempt(note, () => (call(db, 'transaction', async () => 1) as Call)())
      attempt(note, () => (call(db, 'transaction', () => db.exec('ROLLBACK')) as Call)())
      note(db.inTransaction, db.prepare('SELECT count(*) FROM walk').get())
    },
    'unsafe mode': (db, note) => {
      call(db, 'unsafeMode')
      for (const row of db.prepare(WALKS).iterate()) note(row, db.prepare('UPDATE walk SET metres = metres + 1').run())
      call(db, 'unsafeMode', false)
    },
    'tables of the application': (db, note) => {
      call(db, 'table', 'dogs', { columns: ['name'], * rows () { yield ['rex']; throw new Error('no more') } })
      attempt(note, () => db.prepare('SELECT * FROM dogs LIMIT 1').all())
      attempt(note, () => db.prepare('SELECT * FROM dogs').all())
    },
    'backup and serialize': async (db, note, folder) => {
      note((call(db, 'serialize') as Buffer).length)
      note(await (call(db, 'backup', join(folder, 'backup.db')) as Promise<unknown>))
      await (call(db, 'backup', join(folder, 'no', 'backup.db')) as Promise<unknown>).catch((error: unknown) => { note(sight(error)) })
      rmSync(join(folder, 'backup.db'), { force: true })
    }
  },
  'node:sqlite': {
    'settings of statements': (db, note) => {
      const statement = db.prepare('SELECT id, metres FROM walk WHERE id < :id')
      for (const name of ['setReadBigInts', 'setReturnArrays', 'setAllowBareNamedParameters', 'setAllowUnknownNamedParameters']) {
        if (typeof statement[name] === 'function') attempt(note, () => [call(statement, name, true), statement.all({ id: 3 }), call(statement, name, false)])
      }
      note(call(statement, 'columns'), statement.sourceSQL, statement.expandedSQL)
    },
    'options of prepare': (db, note) => {
      for (const options of [{}, { readBigInts: true }, { returnArrays: true }, { readBigInts: 5 }, 5]) attempt(note, () => db.prepare(WALKS, options as object).get())
    },
    'helpers of iterators': (db, note) => {
      const iterator = db.prepare(WALKS).iterate() as unknown as { take?: (n: number) => { toArray (): unknown } }
      note(iterator.take?.(2).toArray())
    },
    'templates': (db, note) => {
      if (typeof db.createTagStore !== 'function') return
      const store = call(db, 'createTagStore', 10) as { get: Call, all: Call, run: Call, iterate: (...args: unknown[]) => Iterable<unknown>, clear (): unknown, size: number, capacity: number, db: unknown }
      const id = 2
      note(store.get`SELECT * FROM walk WHERE id = ${id}`, store.all`SELECT * FROM walk`, store.run`DELETE FROM walk WHERE id = ${id}`, [...store.iterate`SELECT * FROM walk WHERE id < ${9}`])
      for (const name of ['get', 'all', 'run', 'iterate'] as const) for (const args of [[], ['SELECT 1'], [['SELEC 1']]]) attempt(note, () => typeof store[name](...args))
      note(store.size, store.capacity, store.db === db, Reflect.ownKeys(store), store.get.name, store.get.length, store.constructor.name, store.clear(), store.size)
    },
    'sessions': (db, note) => {
      const session = call(db, 'createSession') as { changeset (): Uint8Array, close (): unknown }
      db.exec('INSERT INTO walk (metres) VALUES (5)')
      note(session.changeset().length > 0, session.close())
    },
    'open again, and dispose': (db, note) => {
      attempt(note, () => call(db, 'open'))
      db.close()
      attempt(note, () => call(db, 'open'))
      attempt(note, () => db.prepare('SELECT 1 AS n').get())
      note(call(db, Symbol.dispose), db.isOpen, call(db, Symbol.dispose))
    }
  }
}

/** What can be seen of an error: of its stack the frames of this file. */
function sight (value: unknown): unknown {
  if (!(value instanceof Error)) return value
  const frames = value.stack?.split('\n').filter((line) => line.includes('sqlite-invisible.test.ts')).map((line) => line.trim())
  return { ...value, text: String(value), constructor: value.constructor.name, keys: Reflect.ownKeys(value), frames }
}

const HOW = ['bare', 'observed', 'observed later', 'undone', 'undone and observed again']

for (const driver of await sqliteDrivers(t)) {
  const { name } = driver

  t.test(`${name}: an application sees the same with and without`, async (t) => {
    const folder = await temporaryFolder(t, 'sqlite')
    for (const [scene, play] of Object.entries({ ...SCENES, ...SCENES_OF[name] })) {
      const sights: string[] = []
      for (const how of HOW) {
        const database = driver.open()
        const registry = new Registry()
        const observe = () => instrumentSqlite(database, { registry })
        if (how.startsWith('observed') && how !== 'observed later') observe()
        if (how.startsWith('undone')) observe()()
        if (how.endsWith('again')) observe()
        database.exec('CREATE TABLE walk (id INTEGER PRIMARY KEY, metres INT CHECK (metres > 0))')
        for (let i = 1; i < 5; i++) database.exec(`INSERT INTO walk (metres) VALUES (${i * 200})`)
        if (how === 'observed later') observe()
        const seen: unknown[] = []
        attempt((back) => { seen.push(back) }, () => play(database, (...notes) => { seen.push(...notes) }, folder))
        seen[seen.length - 1] = await seen.at(-1)
        sights.push(inspect(seen, { depth: 8, maxArrayLength: null, maxStringLength: null, breakLength: 120 }))
        const page = new Page(await registry.metrics())
        t.equal(page.sum('metrics_instrumentation_errors_total'), 0, `${scene}: no trouble, ${how}`)
        if (how === 'observed') t.ok(page.sum('db_query_duration_seconds_count') > 4, `${scene}: it was observed`)
      }
      const [bare, ...others] = sights
      others.forEach((other, i) => { t.equal(other, bare, `${scene}: ${HOW[i + 1]}`) })
    }
  })

  t.test(`${name}: undo puts everything back exactly, and twice is once`, async (t) => {
    const database = driver.open()
    t.teardown(() => database.close())
    const parts = (object: object): object[] => [object, ...Object.getOwnPropertySymbols(object).map((symbol) => Reflect.get(object, symbol) as unknown).filter((value) => typeof value === 'object' && value !== null) as object[]]
    const state = () => parts(database).map((object) => [Reflect.ownKeys(object).map((key) => [key, Object.getOwnPropertyDescriptor(object, key)]), Object.getPrototypeOf(object) as object])
    const before = state()
    const earlier = database.prepare('SELECT 1')
    const prototype = Object.getPrototypeOf(earlier) as object
    const registry = new Registry()
    const undo = instrumentSqlite(database, { registry })
    for (const options of [undefined, {}, { registry }, { registry, alias: 'default', exemplars: true }]) {
      t.equal(instrumentSqlite(database, options), undo, 'a second call without options, or with the same, gives the same undo')
    }
    const count = async () => new Page(await registry.metrics()).sum('db_query_duration_seconds_count')
    const statement = database.prepare('SELECT 1 AS n UNION SELECT 2')
    const iterator = database.prepare('SELECT 1 AS n UNION SELECT 2').iterate()
    iterator.next()
    statement.get()
    earlier.get()
    const { get, all, iterate } = statement
    const creating = database.prepare('CREATE TABLE IF NOT EXISTS walk (id)')
    const { run } = creating
    t.equal(await count(), 1, 'a statement that was there before is not observed')
    t.equal(new Page(await registry.metrics()).sum('db_queries_in_flight'), 1)

    undo()
    undo()
    t.same(state(), before)
    for (const [i, [, is]] of state().entries()) t.equal(is, before[i]?.[1])
    for (const of of [statement, database.prepare('SELECT 3')]) {
      for (const method of ['run', 'get', 'all', 'iterate']) t.equal(of[method], Reflect.get(prototype, method), `${method} is the driver's`)
    }
    t.equal([...iterator].length, 1)
    statement.get()
    for (const method of [get, all]) Reflect.apply(method, statement, [])
    Reflect.apply(run, creating, [])
    t.equal([...Reflect.apply(iterate, statement, []) as Iterable<unknown>].length, 2)
    database.exec('SELECT 1')
    database.prepare('SELECT 3').get()
    t.equal(await count(), 1, 'nothing more is counted')
    t.equal(new Page(await registry.metrics()).of('db_queries_in_flight').length, 0)

    const again = instrumentSqlite(database, { registry })
    t.not(again, undo, 'it can be observed again')
    statement.get()
    database.prepare('SELECT 3').get()
    t.equal(await count(), 3, 'with the statements that were observed before')
    again()
  })

  t.test(`${name}: undo leaves alone what others have put on top since`, async (t) => {
    const database = driver.open()
    t.teardown(() => database.close())
    const undo = instrumentSqlite(database, { registry: new Registry() })
    const { prepare } = database
    const calls: unknown[] = []
    database.prepare = function (...args: [string]) {
      calls.push(...args)
      return Reflect.apply(prepare, this, args) as SqliteStatement
    }
    undo()
    t.ok(database.prepare('SELECT 1').get())
    t.same(calls, ['SELECT 1'])
  })

  t.test(`${name}: a patch of the prototype of statements that comes later is met, once`, async (t) => {
    const database = driver.open()
    const registry = new Registry()
    instrumentSqlite(database, { registry })
    const statement = database.prepare('SELECT 1 AS n')
    let prototype = statement as object
    while (!Object.hasOwn(prototype, 'get') || Reflect.get(prototype, 'get') === statement.get) prototype = Object.getPrototypeOf(prototype) as object
    const get = Reflect.get(prototype, 'get') as Call
    t.teardown(() => { Object.assign(prototype, { get }) })
    let calls = 0
    Object.assign(prototype, { get (...args: unknown[]) { calls++; return Reflect.apply(get, this, args) } })
    statement.get()
    t.same([calls, new Page(await registry.metrics()).sum('db_query_duration_seconds_count')], [1, 1])
    database.close()
  })

  t.test(`${name}: two databases are two, and other databases are left alone`, async (t) => {
    const [one, other, bare] = [driver.open(), driver.open(), driver.open()]
    const registry = new Registry()
    instrumentSqlite(one, { registry, alias: 'one' })
    const undo = instrumentSqlite(other, { registry, alias: 'other' })
    for (const database of [one, other, bare]) for (const times of [1, 2]) t.equal(database.prepare(`SELECT ${times}`).all().length, 1)
    undo()
    one.prepare('SELECT 3').all()
    other.prepare('SELECT 3').all()
    const page = new Page(await registry.metrics())
    t.same(['one', 'other'].map((alias) => page.sum('db_query_duration_seconds_count', { alias })), [3, 2])
    for (const database of [one, other, bare]) database.close()
  })

  t.test(`${name}: instrumentation that fails is counted and reaches nobody`, async (t) => {
    const database = driver.open()
    const registry = new Registry()
    instrumentSqlite(database, { registry })
    const prepared = database.prepare('SELECT 1 AS n')
    for (const metric of registry.getMetricsAsArray() as unknown as Array<{ name: string, reset (): void, resolve: unknown }>) {
      if (!metric.name.startsWith('db_')) continue
      metric.reset()
      metric.resolve = () => { throw new Error('sabotage') }
    }
    const warned = once(process, 'warning') as Promise<[Error]>
    t.same([prepared.get(), prepared.all().length, [...prepared.iterate()].length], [{ n: 1 }, 1, 1])
    database.exec('CREATE TABLE walk (id)')
    t.equal(database.prepare('INSERT INTO walk VALUES (1)').run().changes, 1)
    t.throws(() => database.prepare('nonsense'), { message: /syntax error/ })
    database.close()
    t.match((await warned)[0].message, 'fastify-prometheus: sqlite failed')
    t.match(await registry.getSingleMetricAsString('metrics_instrumentation_errors_total'), /source="sqlite"} [1-9]/)
  })

  t.test(`${name}: a database that nobody holds is not kept, and its connection is closed`, async (t) => {
    setFlagsFromString('--expose-gc')
    const gc = runInNewContext('gc') as () => void
    const registry = new Registry()
    const references = [true, false].map((closing) => {
      const database = driver.open()
      instrumentSqlite(database, { registry })
      database.prepare('SELECT 1').get()
      if (closing) database.close()
      return new WeakRef(database)
    })
    const closed = async () => new Page(await registry.metrics()).sum('db_connections_closed_total')
    for (let i = 0; i < 50 && (references.some((reference) => reference.deref() !== undefined) || await closed() < 2); i++) {
      await new Promise((resolve) => setImmediate(resolve))
      gc()
    }
    t.same(references.map((reference) => reference.deref()), [undefined, undefined])
    t.equal(await closed(), 2)
    t.equal(new Page(await registry.metrics()).of('db_queries_in_flight').length, 0)
  })

  t.test(`${name}: a process that ends by an error says the same`, async (t) => {
    const [bare, observed] = await Promise.all(['bare', 'observed'].map(async (how) => {
      const child = spawn(process.execPath, [...process.execArgv, fileURLToPath(new URL('sqlite-process.ts', import.meta.url)), name, how], { stdio: ['ignore', 'pipe', 'pipe'] })
      const [stdout, stderr, code] = await Promise.all([child.stdout.toArray(), child.stderr.toArray(), new Promise((resolve) => child.on('close', resolve))])
      // Our frames are in the stack, and Node shows the line of the one that threw.
      const said = stderr.join('').split('\n').filter((line) => /^\S*Error|sqlite-process/.test(line))
      return { stdout: stdout.join(''), said, code }
    }))
    t.match(bare, { code: 1, stdout: 'before\n' })
    t.match(bare?.said.join('\n'), 'UNIQUE constraint failed')
    t.same({ ...observed, said: observed?.said.filter((line) => !bare?.said.includes(line)) }, { ...bare, said: [] })
  })
}

t.test('what is no database is refused', async (t) => {
  for (const [value, message] of [[undefined, /got undefined/], ['walks.db', /a string of 8 characters/], [{ prepare () {} }, /got an object/], [Promise.resolve(), /'await' missing/]] as const) {
    t.throws(() => instrumentSqlite(value as never), { code: 'FP_ERR_INVALID_TARGET', message })
  }
  t.throws(() => instrumentSqlite({ prepare () {}, exec () {}, close () {} }, { alais: 'x' } as never), { code: 'FP_ERR_INVALID_OPTION' })
})
