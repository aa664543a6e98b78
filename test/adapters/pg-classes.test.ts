import pg, { type Pool, type PoolClient, type PoolConfig } from 'pg'
import pgPromise from 'pg-promise'
import Cursor from 'pg-cursor'
import { Registry } from 'prom-client'
import t from 'tap'
import { once } from 'node:events'
import { setFlagsFromString } from 'node:v8'
import { runInThisContext } from 'node:vm'
import { instrumentPg, instrumentPool } from '../../adapters/pg.js'
import { databaseNumbers, underWay } from '../support/database.js'
import { startPostgres } from '../support/postgres.js'

const server = await startPostgres()
t.teardown(() => server.close())

type Query = (...args: unknown[]) => unknown

/** A client whose query is its own. */
class Arrow extends pg.Client {
  override query = ((...args: unknown[]) => Reflect.apply(pg.Client.prototype.query as Query, this, args)) as pg.Client['query']
}

/** A client whose query is its own and asks that of its class. */
class Asking extends pg.Client {
  constructor (config?: PoolConfig) {
    super(config)
    const asked = (...args: unknown[]) => Reflect.apply(Object.getPrototypeOf(this).query as Query, this, args)
    Object.assign(this, { query: asked })
  }
}

class Derived extends pg.Client {
  override query = ((...args: unknown[]) => Reflect.apply(super.query as Query, this, args)) as pg.Client['query']
}
Object.assign(Derived.prototype, {
  connect (this: pg.Client, ...args: unknown[]) { return Reflect.apply(pg.Client.prototype.connect as Query, this, args) }
})

/** What a pool takes as its Client. */
const classes: Record<string, unknown> = {
  'pg.Client': pg.Client,
  'a subclass': class Own extends pg.Client {},
  'a subclass with an arrow function': Arrow,
  'a subclass with an arrow function that asks its class': Asking,
  'a subclass with methods of its own': Derived,
  'a factory': function factory (config: PoolConfig) { return new pg.Client(config) },
  'a factory of a subclass': function factory (config: PoolConfig) { return new Arrow(config) },
  'a proxy of a class': new Proxy(pg.Client, {}),
  'the class of another pool that is observed': (() => {
    const other = new pg.Pool()
    instrumentPool(other, { registry: new Registry() })
    return (other as unknown as { Client: unknown }).Client
  })()
}

t.test('a pool is observed whatever its Client is, and its clients are what they are without', async (t) => {
  for (const [kind, Client] of Object.entries(classes)) {
    const bare = new pg.Pool({ ...server.config, max: 1, Client } as PoolConfig)
    await bare.query('SELECT 1')
    const unobserved = await bare.connect()
    const prototype = Object.getPrototypeOf(unobserved) as object
    const keys = Reflect.ownKeys(unobserved).filter((key) => key !== 'release' && key !== '_poolUseCount')
    unobserved.release()
    await bare.end()

    const pool = new pg.Pool({ ...server.config, max: 1, Client } as PoolConfig)
    const registry = new Registry()
    const undo = instrumentPool(pool, { registry })
    await pool.query('SELECT 1')
    const client = await pool.connect()
    t.equal(client.constructor, prototype.constructor, `${kind}: its class`)
    t.same(Reflect.ownKeys(client).filter((key) => key !== 'release' && key !== '_poolUseCount'), keys, `${kind}: what is its own`)
    await client.query('SELECT 1')
    await new Promise((resolve) => client.query('SELECT 1', resolve))
    await client.query(new Cursor('SELECT 1')).read(2)
    client.release()
    t.match(await databaseNumbers(registry), { opened: 1, closed: 0, queries: 4, rows: 4, uses: 2, waits: 2, inFlight: 0, trouble: 0 }, kind)
    undo()
    const after = await pool.connect()
    if (!kind.includes('observed')) t.equal(Object.getPrototypeOf(after), prototype, `${kind}: undone`)
    await after.query('SELECT 1')
    after.release()
    t.match(await databaseNumbers(registry), { queries: 4 })
    await pool.end()
  }
})

t.test('clients share a hidden class in V8 as they do without, so that the code of pg stays fast', async (t) => {
  setFlagsFromString('--allow-natives-syntax')
  const share = runInThisContext('(a, b) => %HaveSameMap(a, b)') as (a: object, b: object) => boolean
  for (const observed of [false, true]) {
    const pool = new pg.Pool({ ...server.config, max: 3 })
    if (observed) instrumentPool(pool, { registry: new Registry() })
    for (let round = 0; round < 3; round++) await Promise.all([1, 2, 3].map(() => pool.query('SELECT 1')))
    const [first, ...others] = await Promise.all([1, 2, 3].map(() => pool.connect()))
    for (const other of others) t.equal(share(first as PoolClient, other), true, observed ? 'observed' : 'bare')
    for (const client of [first as PoolClient, ...others]) client.release()
    await pool.end()
  }
})

t.test('a class that asks for its new.target is made as without', async (t) => {
  const targets: unknown[] = []
  class Final extends pg.Client {
    constructor (config?: PoolConfig) {
      super(config)
      targets.push(new.target)
    }
  }
  class Own extends Final {}
  for (const Client of [Final, Own]) {
    const pool = new pg.Pool({ ...server.config, max: 1, Client } as PoolConfig)
    const registry = new Registry()
    instrumentPool(pool, { registry })
    await pool.query('SELECT 1')
    t.equal(targets.at(-1), Client)
    t.match(await databaseNumbers(registry), { opened: 1, queries: 1, trouble: 0 })
    await pool.end()
  }
})

t.test('what is no class fails where it fails without', async (t) => {
  const impostors: Record<string, unknown> = {
    'an arrow function': () => {},
    'a generator function': function * () {},
    'a class without a prototype': Object.setPrototypeOf(class {}, null)
  }
  for (const [kind, Client] of Object.entries(impostors)) {
    const errors = []
    for (const observed of [false, true]) {
      const pool = new pg.Pool({ ...server.config, Client } as PoolConfig)
      if (observed) instrumentPool(pool, { registry: new Registry() })
      const connect = async () => { (await pool.connect()).release() }
      errors.push(await connect().then(() => 'connected', (error: Error) => `${error.name}: ${error.message}`))
    }
    t.equal(errors[1], errors[0], kind)
  }
})

t.test('a client has its own prototype again after the undo, made before or after it', async (t) => {
  const pool = new pg.Pool({ ...server.config, max: 1 })
  const undo = instrumentPool(pool, { registry: new Registry() })
  const { Client } = pool as unknown as { Client: typeof pg.Client }
  const before = new Client(server.config)
  await before.connect()
  t.not(Object.getPrototypeOf(before), pg.Client.prototype)
  undo()
  t.equal(Object.getPrototypeOf(before), pg.Client.prototype)
  t.equal(Object.getPrototypeOf(new Client(server.config)), pg.Client.prototype)
  await before.end()
  await pool.end()
})

t.test('a double that tests build is observed as far as it goes, and works as without', async (t) => {
  const answered: string[] = []
  function double () {
    return {
      connect (callback: (error?: Error) => void) { callback() },
      query (text: string, values: unknown, callback: (error: Error | undefined, result?: object) => void) {
        answered.push(text)
        callback(text === 'fail' ? new Error('no') : undefined, { rowCount: 3 })
      },
      end (callback: () => void) { callback() },
      on () {},
      once () {},
      removeListener () {},
      _queryable: true
    }
  }
  const pool = new pg.Pool({ Client: double } as unknown as PoolConfig)
  const registry = new Registry()
  const undo = instrumentPool(pool, { registry })
  t.same(await pool.query('SELECT 1'), { rowCount: 3 })
  await t.rejects(pool.query('fail'), { message: 'no' })
  t.same(answered, ['SELECT 1', 'fail'])
  t.match(await databaseNumbers(registry), { opened: 1, closed: 1, queries: 2, queryErrors: 1, rows: 3, uses: 2, trouble: 0 })
  undo()
  await pool.end()

  for (const Client of [() => ({}), function nothing () { return {} }, class Empty {}]) {
    const errors = await Promise.all([false, true].map(async (observed) => {
      const broken = new pg.Pool({ Client } as unknown as PoolConfig)
      if (observed) instrumentPool(broken, { registry })
      return Promise.resolve().then(() => broken.connect()).catch((error: unknown) => String(error))
    }))
    t.equal(errors[1], errors[0], 'what cannot be a client fails as it does without')
  }
})

t.test("pg-promise's pool is observed", async (t) => {
  const pgp = pgPromise({ noWarnings: true })
  const db = pgp(server.config)
  t.teardown(() => { pgp.end() })
  const registry = new Registry()
  const undo = instrumentPool(db.$pool, { registry })
  t.same(await db.one('SELECT 1 AS one'), { one: 1 })
  await db.tx(async (tx) => { await tx.none('CREATE TEMP TABLE dogs (n int)') })
  await t.rejects(db.any('nonsense'))
  t.match(await databaseNumbers(registry), { opened: 1, queries: 5, queryErrors: 1, uses: 3, waits: 3, inFlight: 0, trouble: 0 })
  undo()
  await db.any('SELECT 1')
  t.match(await databaseNumbers(registry), { queries: 5 })
})

t.test('a client of instrumentPg that is made without a pool is observed', async (t) => {
  const registry = new Registry()
  const observed = instrumentPg(pg, { registry, alias: 'listener' })
  class Listener extends observed.Client {
    override query = ((...args: unknown[]) => Reflect.apply(super.query as Query, this, args)) as pg.Client['query']
  }
  for (const [kind, Client] of Object.entries({ 'the class': observed.Client, 'a subclass of it': Listener })) {
    registry.resetMetrics()
    for (const form of ['promise', 'callback']) {
      const client = new Client(server.config)
      t.equal(client.constructor, kind === 'the class' ? pg.Client : Listener)
      t.ok(client instanceof pg.Client)
      if (form === 'promise') t.equal(await client.connect() as unknown, client)
      else await new Promise<void>((resolve, reject) => { client.connect((error: Error | null) => { if (error) reject(error); else resolve() }) })
      await client.query('LISTEN walks')
      const notified = once(client, 'notification')
      await client.query('NOTIFY walks')
      await notified
      t.equal((await underWay(registry)).queries, 0)
      client.removeAllListeners()
      await client.end()
    }
    t.match(await databaseNumbers(registry), { opened: 2, closed: 2, queries: 4, uses: 0, waits: 0, trouble: 0 }, kind)
  }
  registry.resetMetrics()
  const nowhere = new observed.Client({ ...server.config, database: 'nowhere' })
  await t.rejects(nowhere.connect(), { code: '3D000' })
  t.match(await databaseNumbers(registry), { opened: 0, closed: 0, connectionErrors: 1 })

  const twice = new observed.Client(server.config)
  await twice.connect()
  await t.rejects(twice.connect(), { message: /already been connected/ })
  await twice.end()
  t.match(await databaseNumbers(registry), { opened: 1, closed: 1, connectionErrors: 1 }, 'a second connect is refused, and is no error of a connection')

  const pool = new observed.Pool({ ...server.config, Client: observed.Client } as PoolConfig)
  await pool.query('SELECT 1')
  await pool.end()
  t.match(await databaseNumbers(registry), { opened: 2, closed: 2, queries: 1, uses: 1 }, 'a pool of such clients counts once')
})

type Patched = Record<string, Query>

/** Patches a method, as instrumentation of others does; the function it gives back takes that off. */
function patch (target: object, name: string, calls: string[]): () => void {
  const own = Object.getOwnPropertyDescriptor(target, name)
  const original = (target as Patched)[name] as Query
  ;(target as Patched)[name] = function (this: unknown, ...args: unknown[]) {
    calls.push(name)
    return Reflect.apply(original, this, args)
  }
  return () => {
    if (own === undefined) Reflect.deleteProperty(target, name)
    else Object.defineProperty(target, name, own)
  }
}

t.test('others may patch before and after, pools and clients, on and off, and are called as without', async (t) => {
  const { prototype } = Object.getPrototypeOf(pg.Pool) as { prototype: object }
  for (const [what, targets] of Object.entries<(pool: Pool, client: PoolClient) => Array<[object, string]>>({
    'the prototypes': () => [[prototype, 'connect'], [pg.Client.prototype, 'query']],
    "a subclass's prototype": () => [[pg.Pool.prototype, 'connect']],
    'the pool and the client': (pool, client) => [[pool, 'connect'], [client, 'query']]
  })) {
    for (const when of ['before', 'after']) {
      const pool = new pg.Pool({ ...server.config, max: 1 })
      const client = await pool.connect()
      client.release()
      const calls: string[] = []
      let undo: Array<() => void> = []
      const registry = new Registry()
      if (when === 'before') undo = targets(pool, client).map(([target, name]) => patch(target, name, calls))
      const stop = instrumentPool(pool, { registry })
      if (when === 'after') undo = targets(pool, client).map(([target, name]) => patch(target, name, calls))
      await pool.query('SELECT 1')
      t.same([...new Set(calls)].length, targets(pool, client).length, `${what}, ${when}: called`)
      t.equal(calls.length, targets(pool, client).length, 'once each')
      t.match(await databaseNumbers(registry), { queries: 1, waits: 1, uses: 1, trouble: 0 }, `${what}, ${when}: counted once`)
      const before = calls.length
      if (what !== 'the pool and the client') {
        for (const off of undo) off()
        await pool.query('SELECT 1')
        t.equal(calls.length, before, 'switched off, it is called no more')
        t.match(await databaseNumbers(registry), { queries: 2, waits: 2, uses: 2 })
        undo = targets(pool, client).map(([target, name]) => patch(target, name, calls))
        await pool.query('SELECT 1')
        t.equal(calls.length, before + targets(pool, client).length, 'and on again')
        t.match(await databaseNumbers(registry), { queries: 3, waits: 3, uses: 3 })
      }
      stop()
      const then = calls.length
      await pool.query('SELECT 1')
      t.equal(calls.length, then + targets(pool, client).length, 'undone, it is called as before')
      for (const off of undo) off()
      await pool.end()
    }
  }
})

t.test('a second call counts nothing, says so where its options differ, and each undo takes back its own', async (t) => {
  const warnings: Array<Error & { code?: string }> = []
  const warn = (warning: Error) => warnings.push(warning)
  process.on('warning', warn)
  t.teardown(() => process.off('warning', warn))
  const turn = () => new Promise((resolve) => setImmediate(resolve))
  const pool = new pg.Pool({ ...server.config, max: 1 })
  t.teardown(() => pool.end())
  const [first, second] = [new Registry(), new Registry()]
  const undo = instrumentPool(pool, { registry: first, alias: 'walks', buckets: [1, 2] })
  t.equal(instrumentPool(pool), undo)
  t.equal(instrumentPool(pool, { registry: first, buckets: [1, 2], maxSeries: 10_000 }), undo)
  await turn()
  t.same(warnings, [])
  const nothing = instrumentPool(pool, { registry: second, alias: 'secret-alias', buckets: [1, 3] })
  await turn()
  t.match(warnings, [{ code: 'FP_WARN_OBSERVED_ALREADY', message: /instrumentPool .* other options \(alias, buckets, registry\).*the first call counts/ }])
  t.notMatch(warnings[0]?.message, 'secret')
  await pool.query('SELECT 1')
  nothing()
  await pool.query('SELECT 1')
  t.match(await databaseNumbers(first), { queries: 2 })
  t.same(second.getMetricsAsArray(), [])
  undo()
  await pool.query('SELECT 1')
  t.match(await databaseNumbers(first), { queries: 2 })
  const again = instrumentPool(pool, { registry: second, alias: 'again' })
  nothing()
  undo()
  await pool.query('SELECT 1')
  t.match(await databaseNumbers(second), { queries: 1 }, 'what came later is not undone by an undo from before')
  again()

  const module = instrumentPg(pg, { registry: new Registry() })
  t.equal(instrumentPg(module), module)
  await turn()
  t.equal(warnings.length, 1)
  t.equal(instrumentPg(module, { registry: second }), module)
  await turn()
  t.match(warnings[1]?.message, /instrumentPg .* \(registry\)/)
})

t.test('an alias that may hold a password is refused and not shown', async (t) => {
  const pool = new pg.Pool(server.config)
  t.teardown(() => pool.end())
  for (const alias of ['postgres://bob:s3cret@db/dogs', 'host=db password=s3cret', 'Server=db;Pwd = s3cret', 'mysql://bob:s3cret@db']) {
    for (const take of [() => instrumentPool(pool, { alias }), () => instrumentPg(pg, { alias })]) {
      try {
        take()
        t.fail('not refused')
      } catch (error) {
        t.match(error, { code: 'FP_ERR_INVALID_OPTION', message: /option 'alias' must be a name, and no address/ })
        t.notMatch((error as Error).message, 's3cret')
      }
    }
  }
})
