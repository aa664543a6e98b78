import t from 'tap'
import KeyvRedis from '@keyv/redis'
import { createCache } from 'cache-manager'
import { Redis } from 'ioredis'
import { Keyv } from 'keyv'
import { LRUCache } from 'lru-cache'
import { Registry } from 'prom-client'
import { instrumentCache, type CacheLike } from '../../adapters/cache.js'
import { cacheNumbers } from '../cache/numbers.js'
import { startRedis } from '../support/redis.js'

function observed<C extends CacheLike> (cache: C, backend?: string) {
  const registry = new Registry()
  return { cache, registry, undo: instrumentCache(cache, { registry, backend }) }
}

t.test('Keyv: keys, many keys, expiry and what is false', async (t) => {
  const { cache, registry } = observed(new Keyv({ stats: true }))
  await cache.set('zero', 0)
  await cache.set('null', null)
  await cache.setMany([{ key: 'empty', value: '' }, { key: 'false', value: false }, { key: 'list', value: [undefined, null] }])
  for (const [key, value] of [['zero', 0], ['null', null], ['empty', ''], ['false', false]] as const) t.equal(await cache.get(key), value)
  t.same(await cache.get('list'), [undefined, null])
  t.equal(await cache.get('nothing'), undefined)
  t.same(await cache.getMany(['zero', 'nothing']), [0, undefined])
  t.same(await cache.get(['zero', 'nothing']), [0, undefined])
  t.equal(await cache.getRaw('nothing'), undefined)
  t.equal((await cache.getManyRaw(['zero', 'nothing'])).length, 2)
  await cache.set('short', 1, 1)
  for (const until = Date.now() + 2; Date.now() <= until;);
  t.equal(await cache.get('short'), undefined, 'and Keyv deletes it by itself')
  t.equal(await cache.has('zero'), true)
  await cache.delete(['zero', 'empty'])
  await cache.clear()
  t.same(await cacheNumbers(registry), { gets: 14, hits: 8, misses: 6, errors: {}, operations: { get: 11, set: 4, has: 1, delete: 1, clear: 1 } })
})

t.test('Keyv: a store that fails is no miss', async (t) => {
  const store = { get: async (key: string) => { if (key.includes('bad')) throw new RangeError('no'); return undefined }, set () { throw new RangeError('no') }, delete: () => true, clear () {}, namespace: 'x', opts: {} }
  const keyv = new Keyv({ store: store as unknown as Map<string, unknown> })
  keyv.on('error', () => {})
  const { cache, registry, undo } = observed(keyv)
  t.equal(await cache.get('bad'), undefined, 'Keyv says nothing')
  t.equal(await cache.get('good'), undefined)
  t.same(await cache.getMany(['bad', 'good']), [undefined, undefined])
  t.equal(await cache.set('a', 1), false)
  const { gets, misses, errors, operations } = await cacheNumbers(registry)
  t.same({ gets, misses, errors, operations }, { gets: 2, misses: 2, errors: { RangeError: 3 }, operations: { get: 3, set: 1 } })
  undo()
  t.same(Object.keys(store), ['get', 'set', 'delete', 'clear', 'namespace', 'opts'])
  t.same(Object.getOwnPropertyDescriptor(store, 'get')?.enumerable, true)
})

t.test('Keyv: text that cannot be read is an error, and a hook sees what it saw', async (t) => {
  const store = new Map<string, unknown>([['keyv:a', '{nonsense']])
  const keyv = new Keyv({ store })
  const seen: unknown[] = []
  keyv.hooks.addHandler('preGet', (data) => seen.push(data))
  const { cache, registry } = observed(keyv)
  await t.rejects(cache.get('a'), SyntaxError)
  t.equal(seen.length, 1)
  const { gets, errors } = await cacheNumbers(registry)
  t.same({ gets, errors }, { gets: 0, errors: { SyntaxError: 1 } })
})

t.test('Keyv on Redis: two layers have two backends', async (t) => {
  const server = await startRedis(t)
  if (server === undefined) return
  const store = new KeyvRedis(server.url)
  const keyv = new Keyv({ store })
  keyv.on('error', () => {})
  const registry = new Registry()
  instrumentCache(keyv, { registry, backend: 'keyv' })
  instrumentCache(store.client as unknown as CacheLike, { registry, backend: 'redis' })
  await keyv.set('a', 0)
  t.equal(await keyv.get('a'), 0)
  t.same(await keyv.getMany(['a', 'b']), [0, undefined])
  for (const backend of ['keyv', 'redis']) {
    const { gets, hits, misses } = await cacheNumbers(registry, backend)
    t.same({ backend, gets, hits, misses }, { backend, gets: 3, hits: 2, misses: 1 })
  }
  const failed = await cacheNumbers(registry, 'keyv')
  await keyv.set('list', 1)
  const client = store.client as unknown as { sendCommand (args: string[]): Promise<unknown> }
  const [key = ''] = await client.sendCommand(['KEYS', '*list']) as string[]
  await client.sendCommand(['DEL', key])
  await client.sendCommand(['LPUSH', key, 'x'])
  t.equal(await keyv.get('list'), undefined, 'of the wrong type, and @keyv/redis tells of it by an event')
  const { gets, errors } = await cacheNumbers(registry, 'keyv')
  t.equal(gets, failed.gets, 'which is neither hit nor miss')
  t.equal(Object.values(errors).reduce((a, b) => a + b, 0), 1)
  await keyv.disconnect()
})

t.test('cache-manager: a wrap is a get and, at a miss, a set', async (t) => {
  const { cache, registry, undo } = observed(createCache({ ttl: 10_000 }))
  let loads = 0
  const load = async () => ++loads
  t.same(await Promise.all([cache.wrap('a', load), cache.wrap('a', load)]), [1, 1], 'one loads for both')
  t.equal(await cache.wrap('a', load), 1)
  t.equal(await cache.wrap('a', load, { refreshThreshold: 20_000 }), 1, 'and it is loaded again behind')
  t.equal(await cache.wrap('sync', () => 0), 0)
  await t.rejects(cache.wrap('b', () => { throw new TypeError('of the application') }), /application/)
  t.equal(loads, 2)
  await cache.set('null', null)
  t.equal(await cache.get('null'), null)
  t.same(await cache.mget(['null', 'nothing', 'sync']), [null, undefined, 0])
  await cache.ttl('a')
  await cache.mset([{ key: 'x', value: '' }])
  await cache.mdel(['x'])
  await cache.del('a')
  await cache.clear()
  t.same(await cacheNumbers(registry), { gets: 9, hits: 5, misses: 4, errors: {}, operations: { get: 7, set: 4, touch: 1, delete: 2, clear: 1 } })
  undo()
  await cache.get('a')
  t.equal((await cacheNumbers(registry)).gets, 9)
})

t.test('cache-manager: several stores are one cache, and one that fails is no miss', async (t) => {
  const broken = new Keyv({ throwOnErrors: true, store: { get: async () => { throw new RangeError('no') }, set: async () => true, delete: async () => true, clear: async () => {} } as unknown as Map<string, unknown> })
  broken.on('error', () => {})
  const { cache, registry } = observed(createCache({ stores: [broken, new Keyv()] }))
  await cache.set('a', 1)
  t.equal(await cache.get('a'), 1, 'of the second')
  t.equal(await cache.get('b'), undefined)
  const { gets, hits, errors, operations } = await cacheNumbers(registry)
  t.same({ gets, hits, errors, operations }, { gets: 1, hits: 1, errors: { RangeError: 1 }, operations: { set: 1, get: 2 } })
})

t.test('lru-cache: get, peek, has, fetch and memo', async (t) => {
  let fetched = 0
  const { cache, registry, undo } = observed(new LRUCache<string, number>({ max: 3, fetchMethod: async () => ++fetched, memoMethod: () => 7 }))
  cache.set('zero', 0)
  t.equal(cache.get('zero'), 0)
  t.equal(cache.get('nothing'), undefined)
  t.equal(cache.peek('zero'), 0)
  t.equal(cache.has('zero'), true)
  t.same(await Promise.all([cache.fetch('a'), cache.fetch('a')]), [1, 1])
  t.equal(await cache.fetch('a'), 1)
  t.equal(await cache.fetch('a', { forceRefresh: true }), 2)
  t.equal(cache.memo('m'), 7)
  t.equal(cache.memo('m'), 7)
  cache.delete('m')
  cache.clear()
  cache.set('zero', undefined)
  t.same(await cacheNumbers(registry), { gets: 9, hits: 4, misses: 5, errors: {}, operations: { set: 2, get: 9, has: 1, delete: 1, clear: 1 } })
  undo()
  t.notOk(['get', 'set', 'has', 'fetch', 'memo', 'peek', 'forceFetch', 'delete', 'clear'].some((name) => Object.hasOwn(cache, name)))
})

t.test('anything with get and set: a Map, callbacks, many keys', async (t) => {
  const map = observed(new Map<unknown, unknown>())
  const value = () => 1
  map.cache.set(value, undefined)
  map.cache.set('f', value)
  t.equal(map.cache.get('f'), value)
  t.equal(map.cache.get(value), undefined)
  t.equal(map.cache.get('nothing'), undefined)
  let numbers = await cacheNumbers(map.registry)
  t.same([numbers.gets, numbers.hits, numbers.operations], [3, 2, { set: 2, get: 3 }])

  const data = new Map<string, unknown>()
  const memcached = observed({
    get (key: string, callback: (error: unknown, value?: unknown) => void) { setImmediate(() => key === 'bad' ? callback(Object.assign(new Error('no'), { code: 'ETIMEDOUT' })) : callback(null, data.get(key))) },
    getMulti (keys: string[], callback: (error: unknown, value?: unknown) => void) { setImmediate(() => callback(undefined, Object.fromEntries(keys.filter((key) => data.has(key)).map((key) => [key, data.get(key)])))) },
    set (key: string, value: unknown, _lifetime: number, callback: (error: unknown) => void) { data.set(key, value); setImmediate(() => callback(null)) },
    mget: async (keys: string[]) => keys.map((key) => data.get(key))
  })
  const { cache } = memcached
  await new Promise<void>((resolve) => { cache.set('a', 0, 10, () => resolve()) })
  t.equal(await new Promise((resolve) => { cache.get('a', (_, value) => resolve(value)) }), 0)
  t.equal(await new Promise((resolve) => { cache.get('bad', (error) => resolve((error as Error).message)) }), 'no')
  t.same(await new Promise((resolve) => { cache.getMulti(['a', 'b'], (_, value) => resolve(value)) }), { a: 0 })
  t.same(await cache.mget(['a', 'b']), [0, undefined])
  numbers = await cacheNumbers(memcached.registry)
  t.same(numbers, { gets: 5, hits: 3, misses: 2, errors: { ETIMEDOUT: 1 }, operations: { set: 1, get: 4 } })
})

t.test('what is not a cache is refused with advice', async (t) => {
  const refused = (value: unknown, message: RegExp) => {
    t.throws(() => instrumentCache(value as CacheLike, { registry: new Registry() }), { code: 'FP_ERR_INVALID_TARGET', message })
  }
  refused(undefined, /expects a cache, an object with get and set, got undefined/)
  refused('redis://:secret@host', /not its address or name/)
  refused(Redis, /made with new/)
  refused({ get () {} }, /got/)
  refused(Object.freeze(new Map()), /frozen/)
  const redis = new Redis({ lazyConnect: true })
  refused(redis.pipeline(), /it is a pipeline/)
  const { default: fastify } = await import('fastify')
  refused(fastify(), /pass fastify.redis/)
  refused(new Proxy({}, { get () { throw new Error('hostile') } }), /got/)
  for (const [options, message] of [[{ backend: '' }, /backend/], [{ backend: 'redis://:secret@host' }, /no address/], [{ backned: 'a' }, /backned/], [{ name: 'a' }, /write 'backend' here/], [{ buckets: [2, 1] }, /buckets/]] as const) {
    t.throws(() => instrumentCache(new Map(), options as object), { code: 'FP_ERR_INVALID_OPTION', message })
  }
  try {
    instrumentCache(new Map(), { backend: 'redis://:secret@host' })
  } catch (error) {
    t.notMatch((error as Error).message, 'secret')
  }
})

t.test('once is once, and another name is told', async (t) => {
  const registry = new Registry()
  const map = new Map()
  const undo = instrumentCache(map, { registry, backend: 'a' })
  t.equal(instrumentCache(map), undo)
  const warned = new Promise<Error>((resolve) => process.once('warning', resolve))
  instrumentCache(map, { backend: 'b' })()
  t.match(await warned, { code: 'FP_WARN_OBSERVED_ALREADY' })
  map.get('a')
  t.equal((await cacheNumbers(registry, 'a')).gets, 1)
  undo()
  undo()
  t.same(Reflect.ownKeys(map), [])
})
