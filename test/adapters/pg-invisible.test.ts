import t from 'tap'
import pg, { type Pool, type PoolClient } from 'pg'
import { from as copyFrom, to as copyTo } from 'pg-copy-streams'
import Cursor from 'pg-cursor'
import QueryStream from 'pg-query-stream'
import { Registry } from 'prom-client'
import { spawn } from 'node:child_process'
import { once, type EventEmitter } from 'node:events'
import { fileURLToPath } from 'node:url'
import { inspect } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { instrumentPool } from '../../adapters/pg.js'
import { startPostgres } from '../support/postgres.js'

const server = await startPostgres()
t.teardown(() => server.close())

type Query = (...args: unknown[]) => unknown
type Form = (query: Query, note: (...seen: unknown[]) => void) => unknown

/** What a call gives back, what its callback gets, with which `this`, and how it fails: everything an application can see of it. */
const forms: Record<string, Form> = {
  'a promise': (query) => query('SELECT $1::int AS n', [1]),
  'an array of values that is undefined': (query) => query('SELECT 1 AS n', undefined),
  'a callback': (query, note) => query('SELECT 1 AS n', function (this: object | undefined, ...args: unknown[]) { note(this?.constructor.name, ...args) }),
  'a callback and values': (query, note) => query('SELECT $1::int AS n', [1], function (this: object | undefined, ...args: unknown[]) { note(this?.constructor.name, ...args) }),
  'a callback that gets an error': (query, note) => query('nonsense', (...args: unknown[]) => note(...args)),
  'a callback of the config': (query, note) => query(Object.freeze({ text: 'SELECT 1 AS n', callback: (...args: unknown[]) => note(...args) })),
  'two callbacks': (query, note) => query({ text: 'SELECT 1 AS n', callback: () => note('config') }, () => note('second')),
  'three callbacks': (query, note) => query({ text: 'SELECT 1 AS n', callback: () => note('config') }, () => note('second'), () => note('third')),
  'a frozen config': (query) => query(Object.freeze({ text: 'SELECT $1::int AS n', values: Object.freeze([1]) })),
  'rows as arrays': (query) => query({ text: 'SELECT 1', rowMode: 'array' }),
  'several statements': (query) => query('SELECT 1; SELECT 2'),
  'an empty text': (query) => query(''),
  'no text at all': (query) => query({}),
  'an SQL error': (query) => query('SELECT 1 / 0'),
  'values that are no array': (query) => query({ text: 'SELECT 1', values: 'secret' }),
  'null': (query) => query(null),
  'nothing': (query) => query(),
  'a number': (query) => query(5),
  'a query stream': async (query) => {
    const stream = new QueryStream('SELECT generate_series(1, 3) AS n')
    const { handleError } = stream as unknown as { handleError: unknown }
    const back = query(stream)
    return [back === stream, await stream.toArray(), Reflect.ownKeys(stream), Reflect.get(stream, 'handleError') === handleError]
  },
  'a query stream that fails': (query) => {
    const stream = new QueryStream('nonsense')
    Promise.resolve(query(stream)).catch(() => {})
    return stream.toArray()
  }
}
/** Those that a pool does not take: it never answers, or ends the process. */
const clientForms: Record<string, Form> = {
  'a callback that is none': (query) => query('SELECT 1', [], 'done'),
  'a Query with a callback': (query, note) => query(new pg.Query('SELECT 1 AS n', (...args: unknown[]) => note(...args))),
  'a Query with events': (query, note) => new Promise((resolve) => {
    const sent = new pg.Query('SELECT generate_series(1, 2) AS n')
    sent.on('row', (row) => note('row', row))
    sent.on('end', (result) => {
      note('end', result.rowCount)
      resolve(undefined)
    })
    note(query(sent) === sent)
  }),
  'a cursor': async (query) => {
    const cursor = new Cursor('SELECT generate_series(1, 3) AS n')
    return [query(cursor) === cursor, await cursor.read(2), await cursor.read(2), await cursor.close(), Reflect.ownKeys(cursor)]
  },
  'a cursor that fails': (query) => (query(new Cursor('nonsense')) as Cursor).read(1),
  'a copy out': (query) => (query(copyTo('COPY (SELECT 1) TO STDOUT')) as NodeJS.ReadableStream & { toArray (): unknown }).toArray(),
  'a copy in that is given up': (query) => new Promise((resolve, reject) => {
    const stream = query(copyFrom('COPY pg_temp.dogs FROM STDIN')) as NodeJS.WritableStream & { destroy (): void }
    stream.on('error', reject).on('close', resolve)
    stream.destroy()
  })
}

/** What can be seen of an error: all but what differs from run to run, and of its stack the frames of this file. */
function sight (value: unknown): unknown {
  if (!(value instanceof Error)) return value
  const frames = value.stack?.split('\n').filter((line) => line.includes('pg-invisible.test.ts')).map((line) => line.trim())
  return { ...value, text: String(value), constructor: value.constructor.name, frames }
}

async function run (name: string, form: Form, query: Query): Promise<unknown[]> {
  const seen: unknown[] = []
  let called: () => void
  const callback = new Promise<void>((resolve) => { called = resolve })
  const note = (...args: unknown[]) => {
    seen.push(...args.map(sight))
    called()
  }
  async function application () {
    const back = form(query, note)
    seen.push(typeof back, back instanceof Promise)
    seen.push(await back)
  }
  try {
    await application()
  } catch (error) {
    seen.push(sight(error))
  }
  if (/callback/.test(name) && !/none|config$/.test(name)) await callback
  return seen
}

t.test('an application sees the same with and without', async (t) => {
  const sights: unknown[][] = []
  const events: string[][] = []
  for (const how of ['bare', 'observed', 'observed later', 'undone']) {
    const pool = new pg.Pool({ ...server.config, max: 1 })
    const emitted: string[] = []
    follow(pool, 'pool', emitted)
    const registry = new Registry()
    let undo: (() => void) | undefined
    if (how === 'observed' || how === 'undone') undo = instrumentPool(pool, { registry })
    if (how === 'undone') undo?.()
    const sight: unknown[] = []
    for (const [name, form] of Object.entries(forms)) sight.push(`pool, ${name}`, await run(name, form, (...args) => (pool.query as Query)(...args)))
    const client = await pool.connect()
    follow(client, 'client', emitted)
    client.release()
    if (how === 'observed later') instrumentPool(pool, { registry })
    const again = await pool.connect() as PoolClient & { query: Query }
    t.equal(again, client)
    await again.query('CREATE TEMP TABLE dogs ()')
    for (const [name, form] of Object.entries({ ...forms, ...clientForms })) {
      sight.push(`client, ${name}`, await run(name, form, (...args) => again.query(...args)))
    }
    sight.push(again.constructor.name, pool.constructor.name, again.query.name, again.query.length, again.connect.name, again.connect.length,
      pool.connect.name, pool.connect.length, Object.keys(pool), Object.keys(again), again instanceof pg.Client)
    again.release()
    const ended = new Promise((resolve) => again.once('end', resolve))
    await Promise.all([ended, pool.end()])
    // A client that failed is removed when its connection is closed.
    const count = (event: string) => emitted.filter((each) => each.startsWith(`pool ${event} `)).length
    while (count('remove') < count('connect')) await once(pool, 'remove')
    await run('connect', () => pool.connect(), () => {}).then((seen) => sight.push(seen))
    sights.push(sight)
    events.push(emitted)
    if (how.startsWith('observed')) t.match(await registry.metrics(), /db_query_duration_seconds_count.*select"} [12]\d/)
  }
  const [bare, ...others] = sights.map((sight) => inspect(sight, { depth: 8, maxArrayLength: null, breakLength: 120 }))
  for (const other of others) t.equal(other, bare)
  for (const list of events) t.same(list.sort(), events[0]?.sort(), 'in whatever order the packets of two connections arrive')
  t.match(bare, 'async application', 'errors have the stack of who asked')
})

/** Writes down what an emitter emits from now on, and with how many arguments; how often 'drain', hangs on how packets arrive. */
function follow (emitter: EventEmitter, who: string, emitted: string[]): void {
  const { emit } = emitter
  emitter.emit = function (event, ...args) {
    if (typeof event === 'string' && event !== 'drain') emitted.push(`${who} ${event} ${args.length}`)
    return Reflect.apply(emit, this, [event, ...args]) as boolean
  }
}

t.test('undo puts everything back exactly, and twice is once', async (t) => {
  const pool = new pg.Pool({ ...server.config, max: 3 })
  const [before, out] = await Promise.all([pool.connect(), pool.connect()])
  before.release()
  const state = (object: object) => ({
    own: Reflect.ownKeys(object).filter((key) => !String(key).startsWith('_')).map((key) => [key, Object.getOwnPropertyDescriptor(object, key)]),
    prototype: Object.getPrototypeOf(object) as object
  })
  const listeners = (emitter: EventEmitter) => emitter.eventNames().map((event) => [event, emitter.listenerCount(event)])
  const poolBefore = { Client: state(pool).own.find(([key]) => key === 'Client'), keys: Reflect.ownKeys(pool), listeners: listeners(pool) }

  const registry = new Registry()
  const undo = instrumentPool(pool, { registry })
  for (const options of [undefined, {}, { registry }, { registry, alias: 'default', exemplars: true }]) {
    t.equal(instrumentPool(pool, options), undo, 'a second call without options, or with the same, gives the same undo')
  }
  const acquired = await pool.connect()
  const [later] = await Promise.all([pool.connect(), acquired.query('SELECT 1')])
  t.equal(acquired, before)
  out.release(true)
  const connecting = pool.connect()
  t.not(Object.getPrototypeOf(later), pg.Client.prototype)
  const count = async () => (await registry.getSingleMetricAsString('db_query_duration_seconds')).match(/_count.* (\d+)$/m)?.[1]

  undo()
  undo()
  const { own, prototype } = state(pool)
  t.same({ Client: own.find(([key]) => key === 'Client'), keys: Reflect.ownKeys(pool), listeners: listeners(pool) }, poolBefore)
  t.equal(prototype, pg.Pool.prototype)
  t.equal(Object.hasOwn(pool, 'connect'), false)
  for (const client of [before, later, await connecting]) {
    t.equal(Object.getPrototypeOf(client), pg.Client.prototype)
    t.equal(Object.hasOwn(client, 'query'), false)
    t.equal(client.listenerCount('end'), 0)
    await client.query('SELECT 1')
    client.release()
  }
  t.equal(await count(), '1', 'nothing more is counted')
  t.notMatch(await registry.getSingleMetricAsString('db_pool_connections'), 'alias=')

  const again = instrumentPool(pool, { registry })
  t.not(again, undo, 'it can be observed again')
  await pool.query('SELECT 1')
  t.equal(await count(), '2')
  again()
  await pool.end()
})

t.test('undo leaves alone what others have put on top since', async (t) => {
  const pool = new pg.Pool({ ...server.config, max: 1 })
  t.teardown(() => pool.end())
  const client = await pool.connect()
  client.release()
  const undo = instrumentPool(pool, { registry: new Registry() })
  await pool.query('SELECT 1')
  const calls: string[] = []
  wrap(pool, 'connect')
  wrap(client, 'query')
  function wrap (target: Pool | PoolClient, name: 'connect' | 'query') {
    const method = (target as unknown as Record<string, Query>)[name] as Query
    Object.assign(target, { [name] (...args: unknown[]) { calls.push(name); return Reflect.apply(method, this, args) } })
  }
  undo()
  await pool.query('SELECT 1')
  t.same(calls, ['connect', 'query'])
})

t.test('a patch of the prototype that comes later is met, once', async (t) => {
  const pool = new pg.Pool({ ...server.config, max: 1 })
  const registry = new Registry()
  instrumentPool(pool, { registry })
  const { query } = pg.Client.prototype as unknown as { query: Query }
  t.teardown(() => Object.assign(pg.Client.prototype, { query }))
  const lengths: number[] = []
  Object.assign(pg.Client.prototype, { query (...args: unknown[]) { lengths.push(args.length); return Reflect.apply(query, this, args) } })
  const client = await pool.connect()
  await client.query('SELECT 1')
  await new Promise((resolve) => client.query('SELECT 1', resolve))
  client.release()
  await pool.end()
  t.same(lengths, [1, 2], 'with the arguments as they were')
})

t.test('instrumentation that fails is counted and reaches nobody', async (t) => {
  const pool = new pg.Pool({ ...server.config, max: 1 })
  t.teardown(() => pool.end())
  const registry = new Registry()
  instrumentPool(pool, { registry })
  for (const metric of registry.getMetricsAsArray() as unknown as Array<{ name: string, reset (): void, resolve: unknown }>) {
    if (!metric.name.startsWith('db_')) continue
    metric.reset()
    metric.resolve = () => { throw new Error('sabotage') }
  }
  const warned = new Promise<Error>((resolve) => process.once('warning', resolve))
  t.equal((await pool.query('SELECT 1')).rowCount, 1)
  const client = await pool.connect()
  t.equal((await client.query('SELECT 1')).rowCount, 1)
  t.equal(await new Promise((resolve) => client.query('SELECT 1', (_error, result) => resolve(result.rowCount))), 1)
  t.equal((await client.query(new Cursor('SELECT 1')).read(2)).length, 1)
  await t.rejects(client.query('nonsense'), { code: '42601' })
  pool.options.connectionTimeoutMillis = 20
  await t.rejects(pool.connect(), { message: 'timeout exceeded when trying to connect' })
  client.release()
  await t.resolves(registry.metrics())
  t.match((await warned).message, 'fastify-prometheus: pg failed')
  t.match(await registry.getSingleMetricAsString('metrics_instrumentation_errors_total'), /source="pg"} [1-9]\d/)
})

t.test('a pool that has ended is not kept', async (t) => {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as () => void
  const registry = new Registry()
  const references = await Promise.all([true, false].map(async (ending) => {
    const pool = new pg.Pool({ ...server.config, max: 1 })
    instrumentPool(pool, { registry })
    if (ending) {
      await pool.query('SELECT 1')
      await pool.end()
    }
    return new WeakRef(pool)
  }))
  // What a turn of the event loop still holds is let go in the next one.
  for (let i = 0; i < 50 && references.some((reference) => reference.deref() !== undefined); i++) {
    await new Promise((resolve) => setImmediate(resolve))
    gc()
  }
  t.same(references.map((reference) => reference.deref()), [undefined, undefined])
  t.notMatch(await registry.getSingleMetricAsString('db_pool_connections'), 'alias=')
})

async function processOf (scenario: string, how: string): Promise<object> {
  const script = fileURLToPath(new URL('pg-process.ts', import.meta.url))
  const child = spawn(process.execPath, [...process.execArgv, script, scenario, how, JSON.stringify(server.config)], { stdio: ['ignore', 'pipe', 'pipe'] })
  const [stdout, stderr, code] = await Promise.all([child.stdout.toArray(), child.stderr.toArray(), new Promise((resolve) => child.on('close', resolve))])
  // Node prints the error's client too, whose listeners and process id are its own.
  return { stdout: stdout.join(''), stderr: stderr.join('').replace(/^ {2}client: [^]*/m, ''), code }
}

for (const [scenario, expected] of Object.entries({
  'errors that nobody handles, and one that somebody does': {
    code: 0,
    stdout: /^(unhandled: syntax error.*, promise [012]\n){3}error: terminating connection.*\n$/,
    stderr: ''
  },
  'an idle connection is lost, and nobody listens': {
    code: 1,
    stdout: '',
    stderr: /Unhandled 'error' event[^]*terminating connection due to administrator command[^]*on BoundPool instance/
  }
})) {
  t.test(`a process ends the same with and without: ${scenario}`, async (t) => {
    const [bare, observed] = await Promise.all([processOf(scenario, 'bare'), processOf(scenario, 'observed')])
    t.match(bare, expected)
    t.same(observed, bare)
  })
}
