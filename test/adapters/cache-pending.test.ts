import t from 'tap'
import { createCache } from 'cache-manager'
import { Redis } from 'ioredis'
import { Keyv } from 'keyv'
import { LRUCache } from 'lru-cache'
import { Registry } from 'prom-client'
import { createClient, createClientPool } from 'redis'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { instrumentCache, type CacheLike } from '../../adapters/cache.js'
import { startBrokenRedis } from '../cache/broken-redis.js'
import { cacheNumbers } from '../cache/numbers.js'
import { seenBy, sights } from '../cache/sight.js'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

type Methods = Record<string, (...args: unknown[]) => Promise<unknown>>

const never = async () => await new Promise<never>(() => {})
const sum = (counts: Readonly<Record<string, number>>) => Object.values(counts).reduce((a, b) => a + b, 0)

/** A server that answers SET, and nothing else ever. */
const server = await startBrokenRedis(t, (socket, [command = '']) => {
  if (/^(?:set|config)$/i.test(command)) socket.write('+OK\r\n')
})
const { port } = server

interface Subject {
  make (): Promise<object>
  /** Calls that are never answered. */
  readonly calls: ReadonlyArray<(cache: Methods) => unknown>
  /** Ends it with calls under way. */
  readonly endings: Record<string, (cache: Methods) => unknown>
}

const redisCalls = [
  (cache: Methods) => cache.get?.('a'),
  (cache: Methods) => typeof cache.mget === 'function' ? cache.mget(['a', 'b']) : cache.mGet?.(['a', 'b']),
  (cache: Methods) => ((cache as unknown as { multi (): { get (key: string): { exec (): unknown } } }).multi()).get('a').exec(),
  (cache: Methods) => typeof cache.blpop === 'function' ? cache.blpop('list', 0) : cache.blPop?.('list', 0)
]

const SUBJECTS: Record<string, Subject> = {
  ioredis: {
    make: async () => {
      const redis = new Redis({ port, retryStrategy: () => null, enableReadyCheck: false })
      redis.on('error', () => {})
      await redis.set('a', '1')
      return redis
    },
    calls: redisCalls,
    endings: { disconnect: (cache) => cache.disconnect?.() }
  },
  'node-redis': {
    make: async () => {
      const redis = await createClient({ RESP: 2, socket: { port, host: '127.0.0.1', reconnectStrategy: false } }).connect()
      redis.on('error', () => {})
      return redis
    },
    calls: redisCalls,
    endings: { destroy: (cache) => cache.destroy?.() }
  },
  'a pool of node-redis': {
    make: async () => await createClientPool({ RESP: 2, socket: { port, host: '127.0.0.1', reconnectStrategy: false } }, { minimum: 1, maximum: 1, acquireTimeout: 1e8 }).on('error', () => {}).connect() as object,
    calls: redisCalls,
    endings: { destroy: (cache) => cache.destroy?.() }
  },
  Keyv: {
    make: async () => new Keyv({ store: { get: never, set: never, delete: never, clear: never } as unknown as Map<string, unknown> }),
    calls: [(cache) => cache.get?.('a'), (cache) => cache.getMany?.(['a', 'b']), (cache) => cache.set?.('a', 1), (cache) => cache.delete?.('a')],
    endings: {}
  },
  'cache-manager': {
    make: async () => createCache({ stores: [new Keyv({ store: { get: never, set: never, delete: never, clear: never } as unknown as Map<string, unknown> })] }),
    calls: [(cache) => cache.get?.('a'), (cache) => cache.mget?.(['a', 'b']), (cache) => cache.set?.('a', 1), (cache) => cache.wrap?.('a', () => 1), (cache) => cache.wrap?.('a', () => 1)],
    endings: {}
  },
  'lru-cache': {
    make: async () => new LRUCache<string, object>({ max: 10, fetchMethod: never }),
    calls: [],
    endings: {}
  },
  'get and set': {
    make: async () => ({ get: never, set: never, mget: never }),
    calls: [(cache) => cache.get?.('a'), (cache) => cache.mget?.(['a', 'b']), (cache) => cache.set?.('a', 1)],
    endings: {}
  },
  'get and set with callbacks': {
    make: async () => ({ get () {}, set () {} }),
    calls: [(cache) => cache.get?.('a', () => {}), (cache) => cache.set?.('a', 1, () => {})],
    endings: {}
  }
}

for (const [name, { make, calls, endings }] of Object.entries(SUBJECTS)) {
  t.test(`${name} that never answers: nothing is counted before its end, and undo takes effect meanwhile`, async (t) => {
    const registry = new Registry()
    const cache = await make()
    const undo = instrumentCache(cache as CacheLike, { registry })
    for (const call of calls) Promise.resolve(call(cache as Methods)).catch(() => {})
    const { gets, hits, misses, errors, operations } = await cacheNumbers(registry)
    t.same({ gets, hits, misses, errors, operations }, { gets: 0, hits: 0, misses: 0, errors: {}, operations: {} })
    undo()
    const undone = instrumentCache(cache as CacheLike, { registry, backend: 'again' })
    t.not(undone, undo)
    undone()
    await Object.values(endings)[0]?.(cache as Methods)
    await new Promise((resolve) => { setImmediate(resolve) })
    t.same((await cacheNumbers(registry)).operations, {}, 'nor after undo')
  })

  for (const [ending, end] of Object.entries(endings)) {
    t.test(`${name} that never answers: ${ending} with commands under way is the same with and without`, async (t) => {
      const all: string[] = []
      for (const how of ['bare', 'observed']) {
        const registry = new Registry()
        const cache = await make() as Methods
        if (how === 'observed') instrumentCache(cache as unknown as CacheLike, { registry })
        const pending = calls.map(async (call) => await seenBy(() => call(cache)))
        await new Promise((resolve) => { setImmediate(resolve) })
        await end(cache)
        // What waits for a client of a pool, or for its reply, is told at once or never.
        const told = async (seen: Promise<unknown>) => await Promise.race([seen, new Promise((resolve) => { setTimeout(resolve, 3000, 'never') })])
        const seen = await Promise.all(pending.map(told))
        all.push(sights(seen))
        if (how === 'bare') continue
        const { gets, errors, operations } = await cacheNumbers(registry)
        const ended = seen.filter((each) => each !== 'never').length
        t.same({ gets, errors: sum(errors), operations: sum(operations) }, { gets: 0, errors: ended, operations: ended }, 'each command failed once')
      }
      t.equal(all[1], all[0])
    })
  }

  t.test(`${name} that never answers: it is let go with its calls under way`, async (t) => {
    const registry = new Registry()
    const alive = await abandoned(make, calls, endings, registry)
    for (let i = 0; i < 50 && alive.deref() !== undefined; i++) {
      await new Promise((resolve) => { setImmediate(resolve) })
      collect()
    }
    t.equal(alive.deref(), undefined, 'nothing keeps it')
    t.match(await registry.metrics(), /cache_gets_total{backend="default"} 0/, 'and what it counted stays')
  })
}

async function abandoned (make: () => Promise<object>, calls: Subject['calls'], endings: Subject['endings'], registry: Registry): Promise<WeakRef<object>> {
  const cache = await make()
  instrumentCache(cache as CacheLike, { registry })
  for (const call of calls) Promise.resolve(call(cache as Methods)).catch(() => {})
  await Object.values(endings)[0]?.(cache as Methods)
  return new WeakRef(cache)
}
