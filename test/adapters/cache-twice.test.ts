import t from 'tap'
import { createCache } from 'cache-manager'
import { Redis } from 'ioredis'
import { Keyv } from 'keyv'
import { LRUCache } from 'lru-cache'
import { Registry } from 'prom-client'
import { createClient, createClientPool } from 'redis'
import { instrumentCache, type CacheLike } from '../../adapters/cache.js'
import { cacheNumbers } from '../cache/numbers.js'
import { startRedis } from '../support/redis.js'

const server = await startRedis(t)
if (server === undefined) process.exit()
const { port, url } = server

/** The own methods of an object, and how each is defined. */
function shapeOf (target: object): unknown[] {
  return Reflect.ownKeys(target).flatMap((key) => {
    const { value, ...rest } = Object.getOwnPropertyDescriptor(target, key) ?? {}
    return typeof value === 'function' || typeof key === 'symbol' ? [[key, rest, typeof value === 'function' ? value as unknown : undefined]] : []
  })
}

const readOnce = async (cache: CacheLike, key = 'a') => await Reflect.apply(cache.get as (key: string) => unknown, cache, [key])

const SINGLE: Record<string, () => Promise<{ cache: CacheLike, end? (): unknown }>> = {
  ioredis: async () => { const cache = new Redis({ port }); return { cache, end: () => cache.disconnect() } },
  'node-redis': async () => { const cache = await createClient({ url }).connect(); return { cache: cache as unknown as CacheLike, end: () => cache.close() } },
  'a pool of node-redis': async () => { const cache = createClientPool({ url }); await cache.connect(); return { cache: cache as unknown as CacheLike, end: () => cache.close() } },
  Keyv: async () => ({ cache: new Keyv() }),
  'cache-manager': async () => ({ cache: createCache() }),
  'lru-cache': async () => ({ cache: new LRUCache<string, string>({ max: 2 }) as unknown as CacheLike }),
  'a Map': async () => ({ cache: new Map() as unknown as CacheLike })
}

for (const [name, make] of Object.entries(SINGLE)) {
  t.test(`${name}: a second call with the same options is the first, and with others it is told and does nothing`, async (t) => {
    const { cache, end } = await make()
    const target = (cache as unknown as { _self?: object })._self ?? cache
    const before = shapeOf(target)
    const registry = new Registry()
    const first = instrumentCache(cache, { registry, backend: 'first' })
    t.equal(instrumentCache(cache, { registry, backend: 'first' }), first)
    const warned = new Promise((resolve) => process.once('warning', resolve))
    const second = instrumentCache(cache, { registry: new Registry(), backend: 'second' })
    t.match(await warned, { code: 'FP_WARN_OBSERVED_ALREADY', message: /backend/ })
    await readOnce(cache)
    t.equal((await cacheNumbers(registry, 'first')).gets, 1, 'once')
    second()
    await readOnce(cache)
    t.equal((await cacheNumbers(registry, 'first')).gets, 2, 'the second undo ends nothing')
    first()
    t.same(shapeOf(target), before)
    const again = instrumentCache(cache, { registry, backend: 'again' })
    first()
    second()
    await readOnce(cache)
    t.equal((await cacheNumbers(registry, 'again')).gets, 1, 'old undos end no new observation')
    again()
    t.same(shapeOf(target), before)
    await end?.()
  })
}

/** Pairs that put methods over the same object. */
const LAYERS: Record<string, () => { caches: readonly [CacheLike, CacheLike], touched: readonly object[] }> = {
  'a Keyv and its store': () => {
    const store = { get: async () => undefined, set: async () => true, delete: async () => true, clear: async () => {} }
    const keyv = new Keyv({ store: store as unknown as Map<string, unknown> })
    return { caches: [keyv, store], touched: [keyv, store] }
  },
  'a cache of cache-manager and its Keyv': () => {
    const keyv = new Keyv()
    const cache = createCache({ stores: [keyv] })
    return { caches: [cache, keyv], touched: [cache, keyv] }
  },
  'two caches of cache-manager with one Keyv': () => {
    const keyv = new Keyv()
    const [one, two] = [createCache({ stores: [keyv] }), createCache({ stores: [keyv] })]
    return { caches: [one, two], touched: [one, two, keyv] }
  },
  'two Keyvs with one store': () => {
    const store = { get: async () => undefined, set: async () => true, delete: async () => true, clear: async () => {} }
    const [one, two] = [new Keyv({ store: store as unknown as Map<string, unknown>, namespace: 'a' }), new Keyv({ store: store as unknown as Map<string, unknown>, namespace: 'b' })]
    return { caches: [one, two], touched: [one, two, store] }
  }
}

for (const [name, make] of Object.entries(LAYERS)) {
  for (const order of ['first to last', 'last to first']) {
    t.test(`${name}: each has its own numbers, and undo from ${order} leaves nothing`, async (t) => {
      const { caches, touched } = make()
      const before = touched.map(shapeOf)
      const registry = new Registry()
      const undos = caches.map((cache, i) => instrumentCache(cache, { registry, backend: String(i) }))
      await readOnce(caches[0])
      const [outer, inner] = [await cacheNumbers(registry, '0'), await cacheNumbers(registry, '1')]
      t.same({ gets: outer.gets, misses: outer.misses }, { gets: 1, misses: 1 })
      t.ok(inner.gets <= 1)
      await readOnce(caches[1])
      t.equal((await cacheNumbers(registry, '0')).gets, 1)
      t.equal((await cacheNumbers(registry, '1')).gets, inner.gets + 1)
      const [one, other] = order === 'first to last' ? undos : [...undos].reverse()
      const left = order === 'first to last' ? 1 : 0
      one?.()
      const { gets } = await cacheNumbers(registry, String(left))
      await readOnce(caches[left])
      t.equal((await cacheNumbers(registry, String(left))).gets, gets + 1, 'the other goes on')
      other?.()
      t.same(touched.map(shapeOf), before)
    })
  }
}

t.test('a patch of other code over ours stays, and ours does nothing more', async (t) => {
  const cache = new Map<string, string>()
  const registry = new Registry()
  const undo = instrumentCache(cache as unknown as CacheLike, { registry })
  const ours = cache.get
  let calls = 0
  cache.get = function (key) { calls++; return Reflect.apply(ours, this, [key]) as string | undefined }
  undo()
  cache.get('a')
  t.equal(calls, 1)
  t.equal((await cacheNumbers(registry)).gets, 0)
})

t.test('a cache whose methods cannot be replaced is refused, and left as it was', async (t) => {
  for (const make of [
    () => Object.defineProperty({ get: () => 1, set () {} }, 'set', { value () {}, writable: false, configurable: false }),
    () => new Proxy({ get: () => 1, set () {} }, { defineProperty (target, key, descriptor) { if (key === 'set') throw new RangeError('SECRET'); return Reflect.defineProperty(target, key, descriptor) } })
  ]) {
    const cache = make()
    const before = shapeOf(cache)
    t.throws(() => instrumentCache(cache as unknown as CacheLike, { registry: new Registry() }), { code: 'FP_ERR_INVALID_TARGET', message: /cannot be replaced/ })
    t.same(shapeOf(cache), before)
  }
})

t.test('what a cache gives is the very thing that it gave, or as good', async (t) => {
  const stored = Promise.resolve(1)
  const pending = Promise.resolve(2)
  const data = new Map<string, unknown>()
  const cache = { get: (key: string) => key === 'pending' ? pending : data.get(key), set: (key: string, value: unknown) => { data.set(key, value) } }
  const registry = new Registry()
  instrumentCache(cache, { registry })
  cache.set('a', stored)
  t.equal(cache.get('a'), stored, 'a promise that was put into it')
  t.equal(cache.get('pending'), cache.get('pending'), 'one promise for two callers')
  let runs = 0
  const lazy = { then (resolve: (value: unknown) => void) { runs++; resolve(3) } }
  data.set('lazy', lazy)
  t.equal(cache.get('lazy'), lazy)
  t.equal(runs, 0, 'a thenable that does its work when it is asked')
  t.equal(await lazy, 3)
  t.equal(runs, 1)
  t.same(Reflect.ownKeys(lazy), ['then'])
  await pending
  const { gets, hits } = await cacheNumbers(registry)
  t.same({ gets, hits }, { gets: 4, hits: 4 })

  const nested: unknown[] = []
  const sync = { get (key: string, callback: (error: unknown, value?: unknown) => void) { callback(null, key) }, set () {} }
  const books = new Registry()
  instrumentCache(sync as unknown as CacheLike, { registry: books })
  sync.get('a', (_, value) => { nested.push(value); sync.get('b', (_, value) => { nested.push(value) }) })
  t.same(nested, ['a', 'b'])
  t.equal((await cacheNumbers(books)).gets, 2, 'what a callback asks for is the application\'s')
})
