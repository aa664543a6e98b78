import t from 'tap'
import { createRequire } from 'node:module'
import { Cluster } from 'ioredis'
import { Registry } from 'prom-client'
import { createCluster } from 'redis'
import { instrumentCache, type CacheLike } from '../../adapters/cache.js'
import { cacheNumbers } from '../cache/numbers.js'
import { startRedisCluster } from '../cache/redis-cluster.js'

const started = await startRedisCluster(t)
if (started === undefined) process.exit()
const cluster = started
const port = cluster.ports[0] as number

const require = createRequire(import.meta.url)
const { Cluster: Cluster6 } = createRequire(require.resolve('@fastify/redis'))('ioredis') as { Cluster: typeof Cluster }

interface Client {
  get (key: string): Promise<unknown>
  set (key: string, value: string): Promise<unknown>
  many (keys: string[]): Promise<unknown>
  /** Reads each key in one go, one command a key. */
  pipelined (keys: string[]): Promise<unknown>
  end (): unknown
  readonly cache: CacheLike
}

const ofIoredis = (Class: typeof Cluster) => async (): Promise<Client> => {
  const redis = new Class([{ host: '127.0.0.1', port }], { slotsRefreshInterval: 0, retryDelayOnTryAgain: 20, maxRedirections: 500 })
  return {
    cache: redis,
    get: (key) => redis.get(key),
    set: (key, value) => redis.set(key, value),
    many: (keys) => redis.mget(keys),
    pipelined: async (keys) => (await redis.pipeline(keys.map((key) => ['get', key])).exec())?.map(([, value]) => value),
    end: () => redis.disconnect()
  }
}

const CLIENTS: Record<string, () => Promise<Client>> = {
  'ioredis 5': ofIoredis(Cluster),
  'ioredis 6': ofIoredis(Cluster6),
  'node-redis': async () => {
    const redis = createCluster({ rootNodes: [{ url: `redis://127.0.0.1:${port}` }] })
    await redis.connect()
    return {
      cache: redis as unknown as CacheLike,
      get: (key) => redis.get(key),
      set: (key, value) => redis.set(key, value),
      many: (keys) => redis.mGet(keys),
      pipelined: (keys) => Promise.all(keys.map((key) => redis.get(key))),
      end: () => redis.close()
    }
  }
}

for (const [name, make] of Object.entries(CLIENTS)) {
  t.test(`${name}: one command is one operation, however often a slot that moves sends it elsewhere`, async (t) => {
    const registry = new Registry()
    const client = await make()
    instrumentCache(client.cache, { registry })
    const key = (i: number | string) => `{${name}}${i}`
    const all = Array.from({ length: 30 }, (_, i) => key(i))
    const expected = { hits: 0, misses: 0, gets: 0, operations: { set: 0, get: 0 }, errors: {} }
    const hit = (calls: number, keys = calls) => { expected.operations.get += calls; expected.hits += keys; expected.gets += keys }
    for (const each of all) await client.set(each, 'x')
    expected.operations.set = all.length

    const move = await cluster.beginMove(key(0))
    await move.keys(key(0), key(1))
    t.equal(await client.get(key(0)), 'x', 'ASK, and it is there')
    hit(1)
    t.equal(await client.get(key(2)), 'x', 'not moved yet')
    hit(1)
    t.equal(await client.get(key('nothing')), null, 'ASK, and it is not there')
    expected.operations.get++
    expected.misses++
    expected.gets++
    t.same(await client.many([key(0), key(1)]), ['x', 'x'], 'ASK for several keys')
    hit(1, 2)
    t.same(await client.pipelined([key(2), key(3)]), ['x', 'x'])
    hit(2)

    // Keys move while they are read.
    const reads = all.flatMap((each) => [client.get(each), client.get(each)])
    const moved = move.keys(...all.slice(2))
    hit(reads.length)
    t.same(new Set(await Promise.all(reads)), new Set(['x']))
    await moved
    t.same(await client.pipelined([key(2), key(3)]), ['x', 'x'], 'ASK for each')
    hit(2)

    await move.end()
    t.equal(await client.get(key(4)), 'x', 'MOVED')
    hit(1)
    t.same(await client.many([key(5), key(6)]), ['x', 'x'])
    hit(1, 2)
    t.same(await client.pipelined([key(7), key(8)]), ['x', 'x'])
    hit(2)
    await client.set(key(9), 'y')
    expected.operations.set++
    await client.end()
    t.same(await cacheNumbers(registry), expected)
  })

  t.test(`${name}: keys of which some have moved are asked for until they are together, or fail once`, async (t) => {
    const registry = new Registry()
    const client = await make()
    const key = (i: number) => `{again ${name}}${i}`
    for (const i of [0, 1]) await client.set(key(i), 'x')
    instrumentCache(client.cache, { registry })
    const move = await cluster.beginMove(key(0))
    await move.keys(key(0))
    const many = client.many([key(0), key(1)]).then(() => true, () => false)
    // node-redis gives TRYAGAIN to its caller.
    if (name.startsWith('ioredis')) await move.keys(key(1))
    const isRead = await many
    t.equal(isRead, name.startsWith('ioredis'))
    await move.keys(key(1))
    await move.end()
    await client.end()
    const { gets, hits, operations, errors } = await cacheNumbers(registry)
    t.same({ gets, hits, operations, errors }, isRead ? { gets: 2, hits: 2, operations: { get: 1 }, errors: {} } : { gets: 0, hits: 0, operations: { get: 1 }, errors: { TRYAGAIN: 1 } })
  })
}
