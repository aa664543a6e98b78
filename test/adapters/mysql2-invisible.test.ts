import { spawn } from 'node:child_process'
import diagnostics from 'node:diagnostics_channel'
import { once, type EventEmitter } from 'node:events'
import { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { inspect } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import mysql, { type Pool, type PoolConnection, type PoolOptions } from 'mysql2'
import promised from 'mysql2/promise'
import { Registry } from 'prom-client'
import t from 'tap'
import { instrumentMysql } from '../../adapters/mysql2.js'
import { databaseNumbers, samplesOf } from '../support/database.js'
import { startMariaDb, type MariaDb } from '../support/mariadb.js'

const started = await startMariaDb(t, '--local-infile=1')
if (started === undefined) process.exit(0)
const server: MariaDb = started
const setUp = await promised.createConnection(server.config)
await setUp.query('CREATE TABLE dog (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(20))')
await setUp.query('CREATE PROCEDURE both_of () BEGIN SELECT 1 AS a; SELECT 2 AS b UNION SELECT 3; END')
t.teardown(() => setUp.end())

const settings: PoolOptions = { ...server.config, connectionLimit: 1, multipleStatements: true, infileStreamFactory: () => Readable.from([Buffer.from('1\tRex\n')]) }

/** Any method of a pool or a connection, called however a careless application calls it. */
type Anything = Record<string, (...args: unknown[]) => unknown> & EventEmitter
type Note = (...seen: unknown[]) => void
type Form = (target: Anything, note: Note) => unknown

/** Calls with a callback, and notes what that gets, and with which `this`. */
const calling = (name: string, ...args: unknown[]): Form => (target, note) => new Promise<void>((resolve) => {
  const back = target[name]?.(...args, function (this: object | undefined, ...results: unknown[]) {
    note(this?.constructor.name, results.length, ...results)
    resolve()
  })
  note(typeof back, back?.constructor.name)
})
const awaiting = (name: string, ...args: unknown[]): Form => (target) => (target.promise?.() as Anything)[name]?.(...args)

/** What a call gives back, what its callback gets, and how it fails: everything that an application can see of it. */
const forms: Record<string, Form> = {
  'query, a callback': calling('query', 'SELECT 1 AS n'),
  'query, values and a callback': calling('query', 'SELECT ? AS n', [1]),
  'query, options': calling('query', Object.freeze({ sql: 'SELECT ? AS n', values: Object.freeze([1]), rowsAsArray: true })),
  'query, named placeholders': calling('query', { sql: 'SELECT :n AS n', namedPlaceholders: true }, { n: 1 }),
  'query, nested tables': calling('query', { sql: 'SELECT 1 AS n', nestTables: true }),
  'query, an error': calling('query', 'nonsense'),
  'query, several': calling('query', 'SELECT 1 AS n; INSERT INTO dog (name) VALUES (NULL); SELECT 2 AS m'),
  'query, several of which one fails': calling('query', 'SELECT 1 AS n; nonsense'),
  'query, a procedure': calling('query', 'CALL both_of()'),
  'query, a timeout that is long enough': calling('query', { sql: 'SELECT 1 AS n', timeout: 60_000 }),
  'query, a file': calling('query', "LOAD DATA LOCAL INFILE 'dogs' REPLACE INTO TABLE dog"),
  'query, a promise': awaiting('query', 'SELECT 1 AS n'),
  'query, a promise that rejects': awaiting('query', 'nonsense'),
  'query, rows as arrays': awaiting('query', { sql: 'SELECT 1, 2', rowsAsArray: true }),
  'query, a promise and a callback': awaiting('query', 'SELECT 1', () => {}),
  'query, null': awaiting('query', null),
  'query, nothing': awaiting('query'),
  'execute, a callback': calling('execute', 'SELECT ? AS n', [1]),
  'execute, again': calling('execute', 'SELECT ? AS n', [2]),
  'execute, options': calling('execute', { sql: 'SELECT ? AS n', values: [1], rowsAsArray: true }),
  'execute, an error of the preparation': calling('execute', 'SELECT * FROM nowhere'),
  'execute, an error of the execution': calling('execute', 'SELECT JSON_VALUE(?, ?) + (SELECT 1 UNION SELECT 2)', ['a', 'b']),
  'execute, a procedure': calling('execute', 'CALL both_of()'),
  'execute, a promise': awaiting('execute', 'SELECT ? AS n', [1]),
  'execute, a promise that rejects': awaiting('execute', 'SELECT * FROM nowhere'),
  'execute, undefined values': awaiting('execute', 'SELECT ?', [undefined]),
  'execute, values that are none': awaiting('execute', 'SELECT ?', 'Rex'),
  'a stream': (target) => (target.query?.('SELECT 1 AS n UNION SELECT 2') as { stream (): Readable }).stream().toArray(),
  'a stream that fails': (target) => (target.query?.('nonsense') as { stream (): Readable }).stream().toArray(),
  'a stream that is given up': async (target, note) => {
    for await (const row of (target.query?.('SELECT 1 AS n UNION SELECT 2 UNION SELECT 3') as { stream (options: object): Readable }).stream({ highWaterMark: 1 })) {
      note(row)
      if (row !== undefined) break
    }
  },
  events: (target, note) => new Promise<void>((resolve) => {
    const query = target.query?.('SELECT 1 AS n; DELETE FROM dog; SELECT 2 AS m UNION SELECT 3') as EventEmitter
    for (const event of ['fields', 'result', 'error']) query.on(event, (...args) => note(event, ...args))
    query.on('end', (...args) => {
      note('end', ...args, query.constructor.name)
      resolve()
    })
  }),
  'events of an error': (target, note) => new Promise<void>((resolve) => {
    const query = target.query?.('nonsense') as EventEmitter
    query.on('error', (error) => note('error', error))
    query.on('end', () => {
      note('end')
      resolve()
    })
  }),
  'a query that is awaited': async (target) => await (target.query?.('SELECT 1') as Promise<unknown>)
}
/** Those that only a connection has. */
const connectionForms: Record<string, Form> = {
  'execute, events': (target, note) => new Promise<void>((resolve) => {
    const query = target.execute?.('SELECT 1 AS n') as EventEmitter
    query.on('result', (...args) => note('result', ...args))
    query.on('end', () => { resolve() })
  }),
  'execute, events of an error': (target, note) => new Promise<void>((resolve) => {
    const query = target.execute?.('SELECT * FROM nowhere') as EventEmitter
    query.on('error', (error) => note('error', error))
    query.on('end', () => { resolve() })
  }),
  'a prepared statement': async (target, note) => {
    const statement = await (target.promise?.() as promised.PoolConnection).prepare('SELECT ? + 1 AS n')
    note(statement.constructor.name, await statement.execute([1]), await statement.execute([2]))
    await statement.close()
  },
  'another user': calling('changeUser', { database: 'walks' }),
  'a preparation that fails': calling('prepare', 'SELECT * FROM nowhere'),
  'a transaction': async (target, note) => {
    const connection = target.promise?.() as Anything
    note(await connection.beginTransaction?.(), await connection.rollback?.(), await connection.ping?.(), await connection.commit?.())
  },
  'query, a number, which ends the connection': calling('query', 5),
  'another user that is refused': async (target, note) => {
    await calling('changeUser', { user: 'nobody', password: 'wrong' })(target, note)
    target.destroy?.()
  },
  'a closed connection': async (target, note) => {
    target.destroy?.()
    note(target.query?.length, Object.keys(target).filter((key) => typeof target[key] === 'function').sort())
    await calling('query', 'SELECT 1')(target, note)
    const failed = once(target, 'error')
    failed.catch(() => {})
    target.on('error', (error) => note('error', error))
    target.query?.('SELECT 1')
  }
}

/** Of those with events mysql2 itself does not always release the connection while anybody traces. */
const TRACED = /^(query|execute), (?!events)|^a (preparation|transaction|prepared)/

// A stack has ten frames, and ours are among them where an error is made while the application calls.
Error.stackTraceLimit = 40

/** What can be seen of a value: of an error all but what differs from run to run, and of its stack the frames of this file. */
function sight (value: unknown): unknown {
  if (!(value instanceof Error)) return value
  const frames = value.stack?.split('\n').filter((line) => line.includes('mysql2-invisible.test.ts')).map((line) => line.trim())
  return { ...value, text: String(value), constructor: value.constructor.name, keys: Reflect.ownKeys(value), frames }
}

async function run (form: Form, target: Anything): Promise<unknown[]> {
  const seen: unknown[] = []
  const note: Note = (...args) => { seen.push(...args.map(sight)) }
  if (process.env.SHOW !== undefined) console.error(form)
  async function application () {
    note(await form(target, note))
  }
  try {
    await application()
  } catch (error) {
    note(error)
  }
  return seen
}

function connectionOf (pool: Pool): Promise<PoolConnection> {
  return new Promise((resolve, reject) => pool.getConnection((error, connection) => error ? reject(error) : resolve(connection)))
}

/** Writes down what an emitter emits from now on, and with how many arguments. */
function follow (emitter: EventEmitter, who: string, emitted: string[]): () => void {
  const { emit } = emitter
  emitter.emit = function (event, ...args) {
    if (typeof event === 'string' && event !== 'newListener' && event !== 'removeListener') emitted.push(`${who} ${event} ${args.length}`)
    return Reflect.apply(emit, this, [event, ...args]) as boolean
  }
  return () => { Reflect.deleteProperty(emitter, 'emit') }
}

const log = console.log
t.before(() => { console.log = () => {} })
t.after(() => { console.log = log })

t.test('an application sees the same with and without', async (t) => {
  const sights: Record<string, unknown[]> = {}
  const events: Record<string, string[]> = {}
  for (const how of ['bare', 'observed', 'observed later', 'undone', 'traced', 'traced and observed']) {
    const isTraced = how.startsWith('traced')
    const stop = isTraced ? trace() : () => {}
    const played = (those: Record<string, Form>) => Object.entries(those).filter(([name]) => !isTraced || TRACED.test(name))
    const pool = mysql.createPool(settings)
    const emitted: string[] = []
    follow(pool, 'pool', emitted)
    const registry = new Registry()
    let undo: (() => void) | undefined
    if (how.endsWith('observed') || how === 'undone') undo = instrumentMysql(pool, { registry })
    if (how === 'undone') undo?.()
    const seen: unknown[] = []
    await setUp.query('TRUNCATE dog')
    for (const [name, form] of played(forms)) seen.push(`pool, ${name}`, await run(form, pool as unknown as Anything))
    const connection = await connectionOf(pool)
    follow(connection, 'connection', emitted)
    connection.release()
    if (how === 'observed later') instrumentMysql(pool, { registry })
    const again = await connectionOf(pool)
    t.equal(again, connection)
    await setUp.query('TRUNCATE dog')
    seen.push(again.constructor.name, pool.constructor.name, Object.keys(pool), Object.keys(again).sort())
    for (const target of [pool, again]) for (const name of ['getConnection', 'query', 'release', 'destroy', 'end', 'addCommand']) seen.push((target as never)[name] && [(target as unknown as Anything)[name]?.name, (target as unknown as Anything)[name]?.length])
    for (const [name, form] of [...played(forms), ...played(connectionForms)]) {
      if (/number/.test(name)) again.release()
      const target = /number|refused|closed/.test(name) ? await connectionOf(pool) : again
      seen.push(`connection, ${name}`, await run(form, target as unknown as Anything))
    }
    if (isTraced) again.release()
    const pending = pool.promise().query('SELECT 1')
    seen.push(await run(() => pending, pool as unknown as Anything))
    await pool.promise().end()
    seen.push(await run(() => connectionOf(pool), pool as unknown as Anything))
    sights[how] = seen
    events[how] = emitted
    if (how.includes('observed')) t.match(await databaseNumbers(registry), { trouble: 0, inFlight: 0 })
    stop()
  }
  const text = (how: string) => inspect(sights[how], { depth: 8, maxArrayLength: null, breakLength: 120 })
  for (const how of ['observed', 'observed later', 'undone']) {
    t.equal(text(how), text('bare'), how)
    t.same(events[how], events.bare, `events, ${how}`)
  }
  t.equal(text('traced and observed'), text('traced'))
  t.same(events['traced and observed'], events.traced, 'events, traced')
  t.match(text('bare'), 'at application', 'errors have the stack of who asked')
})

/** Subscribes to all that mysql2 publishes, as other instrumentation does: mysql2 then wraps callbacks. */
function trace (): () => void {
  const names = ['query', 'execute', 'connect', 'pool:connect'].flatMap((name) => ['start', 'end', 'asyncStart', 'asyncEnd', 'error'].map((each) => `tracing:mysql2:${name}:${each}`))
  const listener = () => {}
  for (const name of names) diagnostics.subscribe(name, listener)
  return () => { for (const name of names) diagnostics.unsubscribe(name, listener) }
}

t.test('undo puts everything back exactly, and twice is once', async (t) => {
  const pool = mysql.createPool({ ...settings, connectionLimit: 3 })
  const [idle, out] = await Promise.all([connectionOf(pool), connectionOf(pool)])
  idle.release()
  const listeners = (emitter: EventEmitter) => emitter.eventNames().map((event) => [event, emitter.listeners(event)])
  const state = (emitter: EventEmitter) => ({ own: Object.getOwnPropertyDescriptors(emitter), keys: Reflect.ownKeys(emitter).filter((key) => key !== 'lastActiveTime'), listeners: listeners(emitter) })
  const stable = (emitter: EventEmitter) => {
    const { own, keys, listeners } = state(emitter)
    return { keys, listeners, methods: keys.filter((key) => typeof own[key as string]?.value === 'function') }
  }
  const socketOf = (connection: PoolConnection) => (connection as unknown as { stream: EventEmitter }).stream
  const before = [pool, idle, out, socketOf(out)].map(stable)
  const registry = new Registry()
  const undo = instrumentMysql(pool, { registry })
  for (const options of [undefined, {}, { registry }, { registry, alias: 'default', exemplars: true }]) {
    t.equal(instrumentMysql(pool, options), undo, 'a second call without options, or with the same, gives the same undo')
    t.equal(instrumentMysql(pool.promise(), options), undo, 'whichever face it is given')
  }
  const warned = once(process, 'warning')
  instrumentMysql(pool, { alias: 'other' })()
  t.match(await warned, [{ code: 'FP_WARN_OBSERVED_ALREADY' }])
  const third = await connectionOf(pool)
  t.equal(third, idle)
  const slow = third.promise().query('SELECT SLEEP(0.1) AS n')
  const made = connectionOf(pool)
  undo()
  undo()
  t.same(await slow.then(([rows]) => rows), [{ n: 0 }], 'a statement that was under way')
  t.same([pool, idle, out, socketOf(out)].map(stable), before)
  const plain = await connectionOf(mysql.createPool(settings))
  t.same(Reflect.ownKeys(await made), Reflect.ownKeys(plain))
  t.same((await made).eventNames(), plain.eventNames())
  plain.destroy()
  await third.promise().query('SELECT 1')
  const { queries, inFlight } = await databaseNumbers(registry)
  t.same({ queries, inFlight }, { queries: 1, inFlight: 0 }, 'what began before it is counted, and nothing more')
  t.notMatch(await registry.getSingleMetricAsString('db_pool_connections'), 'alias=')

  const again = instrumentMysql(pool, { registry })
  t.not(again, undo, 'it can be observed again')
  third.release()
  await pool.promise().query('SELECT 1')
  t.match(await databaseNumbers(registry), { queries: 2 })
  again()
  out.destroy()
  const closedState = (out as unknown as { _addCommandClosedState: unknown })._addCommandClosedState
  t.equal((out as unknown as { addCommand: unknown }).addCommand, closedState)
  await pool.promise().end()
})

t.test('a connection that the application has ended is as mysql2 leaves it, after the undo too', async (t) => {
  const [bare, pool] = [mysql.createPool(settings), mysql.createPool(settings)]
  const undo = instrumentMysql(pool, { registry: new Registry() })
  const [a, b] = await Promise.all([connectionOf(bare), connectionOf(pool)])
  a.destroy()
  b.destroy()
  t.same(Object.keys(b).sort(), Object.keys(a).sort())
  undo()
  t.same(Reflect.ownKeys(b).map(String).sort(), Reflect.ownKeys(a).map(String).sort())
  t.equal((b as unknown as { addCommand: unknown }).addCommand, (a as unknown as { addCommand: unknown }).addCommand)
  for (const each of [bare, pool]) await each.promise().end()
})

t.test('other instrumentation is met once, whether it came before or after', async (t) => {
  const calls: string[] = []
  const prototype = Object.getPrototypeOf(mysql.createPool(settings)) as Anything
  const base = Object.getPrototypeOf(prototype) as Anything
  const getConnection = base.getConnection as (...args: unknown[]) => unknown
  const patch = (who: string) => {
    base.getConnection = function (...args) {
      calls.push(`${who} ${args.length}`)
      return Reflect.apply(getConnection, this, args)
    }
  }
  t.teardown(() => { base.getConnection = getConnection })
  patch('before')
  const pool = mysql.createPool(settings)
  const registry = new Registry()
  const undo = instrumentMysql(pool, { registry })
  await pool.promise().query('SELECT 1')
  patch('after')
  await pool.promise().query('SELECT 1')
  t.same(calls.splice(0), ['before 1', 'after 1'])
  const ours = pool.getConnection
  pool.getConnection = function (callback) {
    calls.push('over')
    return Reflect.apply(ours, this, [callback]) as undefined
  }
  await pool.promise().query('SELECT 1')
  undo()
  await pool.promise().query('SELECT 1')
  t.same(calls, ['over', 'after 1', 'over', 'after 1'], 'what others have put on top stays')
  t.match(await databaseNumbers(registry), { queries: 3, waits: 3, uses: 3, trouble: 0 })
  await pool.promise().end()
})

t.test('instrumentation that fails is counted and reaches nobody', async (t) => {
  const pool = mysql.createPool(settings)
  const registry = new Registry()
  instrumentMysql(pool, { registry })
  for (const metric of registry.getMetricsAsArray() as unknown as Array<{ name: string, reset (): void, resolve: unknown }>) {
    if (!metric.name.startsWith('db_')) continue
    metric.reset()
    metric.resolve = () => { throw new Error('sabotage') }
  }
  const warned = once(process, 'warning')
  await pool.promise().query('SELECT 1')
  await pool.promise().execute('SELECT 1')
  await t.rejects(pool.promise().query('nonsense'), { code: 'ER_PARSE_ERROR' })
  t.equal((await pool.query('SELECT 1').stream().toArray()).length, 1)
  const connection = await connectionOf(pool)
  connection.destroy()
  await t.rejects(connection.promise().query('SELECT 1'), /closed state/)
  await pool.promise().end()
  await t.resolves(registry.metrics())
  t.match((await warned)[0].message, 'fastify-prometheus: mysql2 failed')
  t.match(await samplesOf(registry, 'metrics_instrumentation_errors_total'), { mysql2: /[1-9]/ })
})

t.test('a pool is not kept, ended or never used; nor is a connection', async (t) => {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as () => void
  const registry = new Registry()
  const references = await Promise.all([true, false].map(async (ending) => {
    const pool = mysql.createPool(settings)
    instrumentMysql(pool, { registry })
    if (ending) {
      await pool.promise().query('SELECT 1')
      await pool.promise().end()
    }
    return new WeakRef<object>(pool)
  }))
  references.push(await (async () => {
    const connection = await promised.createConnection(server.config)
    instrumentMysql(connection, { registry })
    await connection.query('SELECT 1')
    await connection.end()
    return new WeakRef<object>(connection)
  })())
  for (let i = 0; i < 50 && references.some((reference) => reference.deref() !== undefined); i++) {
    await new Promise((resolve) => setImmediate(resolve))
    gc()
  }
  t.same(references.map((reference) => reference.deref()), [undefined, undefined, undefined])
  t.notMatch(await registry.getSingleMetricAsString('db_pool_connections'), 'alias=')
})

async function processOf (scenario: string, how: string): Promise<object> {
  const script = fileURLToPath(new URL('mysql2-process.ts', import.meta.url))
  const child = spawn(process.execPath, [...process.execArgv, script, scenario, how, JSON.stringify(server.config)], { stdio: ['ignore', 'pipe', 'pipe'] })
  const [stdout, stderr, code] = await Promise.all([child.stdout.toArray(), child.stderr.toArray(), new Promise((resolve) => child.on('close', resolve))])
  return { stdout: stdout.join(''), stderr: stderr.join(''), code }
}

for (const [scenario, expected] of Object.entries({
  'errors that nobody handles': { code: 0, stdout: /^(unhandled: You have an error.*, promise [012]\n){3}$/, stderr: '' },
  'a statement without a callback fails': { code: 1, stdout: '', stderr: /Unhandled 'error' event|You have an error in your SQL syntax/ },
  'a connection is lost, and nobody listens': { code: 1, stdout: '', stderr: /Unhandled 'error' event/ },
  'a connection of a pool is lost, and nobody listens': { code: 0, stdout: 'lived on\n', stderr: '' },
  'a callback throws': { code: 1, stdout: '', stderr: /Error: of the callback/ }
})) {
  t.test(`a process ends the same with and without: ${scenario}`, async (t) => {
    const [bare, observed] = await Promise.all([processOf(scenario, 'bare'), processOf(scenario, 'observed')])
    t.match(bare, expected)
    const own = ({ stderr, ...rest }: { stderr?: string }) => ({ ...rest, stderr: stderr?.split('\n').filter((line) => !/^\s+at (?!.*mysql2-process)/.test(line)).join('\n') })
    t.same(own(observed), own(bare))
  })
}
