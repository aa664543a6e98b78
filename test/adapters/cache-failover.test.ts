import t from 'tap'
import { createRequire } from 'node:module'
import { once } from 'node:events'
import { Redis } from 'ioredis'
import { Registry } from 'prom-client'
import { createClient } from 'redis'
import { instrumentCache, type CacheLike } from '../../adapters/cache.js'
import { startBrokenRedis } from '../cache/broken-redis.js'
import { cacheNumbers } from '../cache/numbers.js'
import { startWatchedRedis } from '../cache/redis-sentinel.js'
import { seenBy, sights } from '../cache/sight.js'
import { startRedis } from '../support/redis.js'

// Of ten frames fewer would be the application's.
Error.stackTraceLimit = 40

const require = createRequire(import.meta.url)
const { Redis: Redis6 } = createRequire(require.resolve('@fastify/redis'))('ioredis') as { Redis: typeof Redis }

const sum = (counts: Readonly<Record<string, number>>) => Object.values(counts).reduce((a, b) => a + b, 0)
const turn = async () => await new Promise((resolve) => { setImmediate(resolve) })

for (const [version, Client] of Object.entries({ 'ioredis 5': Redis, 'ioredis 6': Redis6 })) {
  t.test(`${version}: a master that fails over to its replica, and each command is one operation`, async (t) => {
    const watched = await startWatchedRedis(t)
    if (watched === undefined) return
    const registry = new Registry()
    const redis = new Client({ sentinels: [{ host: '127.0.0.1', port: watched.port }], name: 'walks', maxRetriesPerRequest: null, retryStrategy: () => 50, sentinelRetryStrategy: () => 50 })
    redis.on('error', () => {})
    instrumentCache(redis, { registry })
    await redis.set('a', '1')
    await redis.wait(1, 0)
    t.equal(await redis.get('a'), '1')
    const sentMid = redis.get('a')
    const waiting = redis.blpop('list', 0)
    await turn()
    await watched.master.stop()
    const offline = [redis.get('a'), redis.mget('a', 'b'), redis.get('b')]
    const transaction = redis.multi().get('a').get('b').exec()
    t.equal(await sentMid, '1')
    const replica = new Client({ port: watched.replica.port })
    const roleOf = async () => String((await replica.role())[0])
    while (await roleOf() !== 'master') await turn()
    await replica.rpush('list', 'later')
    t.same(await waiting, ['list', 'later'], 'which was sent again, to the new master')
    t.same(await Promise.all(offline), ['1', ['1', null], null])
    t.same(await transaction, [[null, '1'], [null, null]])
    await redis.set('a', '2')
    for (const client of [redis, replica]) client.disconnect()
    t.same(await cacheNumbers(registry), { gets: 8, hits: 5, misses: 3, errors: {}, operations: { set: 2, wait: 2, get: 5, transaction: 1 } })
  })
}

interface Ended {
  get (key: string): Promise<unknown>
  set (key: string, value: string): Promise<unknown>
  on (event: string, listener: (...args: unknown[]) => void): unknown
}

/** How a client is ended while commands wait: what was sent, and what was not because there is no connection. */
const ENDINGS: Record<string, { make (port: number): Promise<Ended>, end (client: Ended): unknown }> = {
  ...Object.fromEntries(Object.entries({ 'ioredis 5': Redis, 'ioredis 6': Redis6 }).flatMap(([version, Client]) => [
    [`disconnect() of ${version}`, { make: async (port: number) => new Client({ port, enableReadyCheck: false, retryStrategy: () => null }) as unknown as Ended, end: (client: Ended) => { (client as unknown as Redis).disconnect() } }],
    [`disconnect() of ${version} with commands that never were sent`, { make: async (port: number) => new Client({ port, lazyConnect: true, maxRetriesPerRequest: null }) as unknown as Ended, end: (client: Ended) => { (client as unknown as Redis).disconnect() } }],
    [`${version} that may not wait`, { make: async (port: number) => new Client({ port, lazyConnect: true, enableOfflineQueue: false, retryStrategy: () => null }) as unknown as Ended, end: (client: Ended) => { (client as unknown as Redis).disconnect() } }]
  ])),
  'destroy() of node-redis': {
    make: async (port) => await createClient({ RESP: 2, socket: { port, host: '127.0.0.1', reconnectStrategy: false } }).on('error', () => {}).connect() as unknown as Ended,
    end: (client) => { (client as unknown as { destroy (): void }).destroy() }
  },
  'destroy() of node-redis with commands that never were sent': {
    make: async (port) => {
      const client = createClient({ RESP: 2, socket: { port, host: '127.0.0.1', reconnectStrategy: 1e8 } })
      client.on('error', () => {})
      client.connect().catch(() => {})
      return client as unknown as Ended
    },
    end: (client) => { (client as unknown as { destroy (): void }).destroy() }
  },
  'node-redis that is not open': {
    make: async (port) => createClient({ RESP: 2, socket: { port, host: '127.0.0.1', reconnectStrategy: false } }).on('error', () => {}) as unknown as Ended,
    end: () => {}
  },
  'node-redis whose queue is full': {
    make: async (port) => await createClient({ RESP: 2, commandsQueueMaxLength: 2, socket: { port, host: '127.0.0.1', reconnectStrategy: false } }).on('error', () => {}).connect() as unknown as Ended,
    end: (client) => { (client as unknown as { destroy (): void }).destroy() }
  }
}

for (const [name, { make, end }] of Object.entries(ENDINGS)) {
  t.test(`${name}: each command that waits has failed once, with and without`, async (t) => {
    const server = await startBrokenRedis(t, () => {})
    const all: string[] = []
    for (const how of ['bare', 'observed']) {
      const registry = new Registry()
      const client = await make(server.port)
      client.on('error', () => {})
      if (how === 'observed') instrumentCache(client as unknown as CacheLike, { registry })
      const pending = [seenBy(() => client.get('a')), seenBy(() => client.get('b')), seenBy(() => client.set('a', 'b'))]
      await turn()
      await end(client)
      all.push(sights(await Promise.all(pending)))
      if (how === 'bare') continue
      const { gets, errors, operations } = await cacheNumbers(registry)
      t.same({ gets, errors: sum(errors), operations }, { gets: 0, errors: 3, operations: { get: 2, set: 1 } })
    }
    t.equal(all[1], all[0])
  })
}

t.test('a server that ends with commands under way, and comes back: what is sent again is one operation', async (t) => {
  const server = await startRedis(t)
  if (server === undefined) return
  const clients: Record<string, Ended> = {
    'ioredis 5': new Redis({ port: server.port, maxRetriesPerRequest: null, retryStrategy: () => 20 }) as unknown as Ended,
    'ioredis 6': new Redis6({ port: server.port, maxRetriesPerRequest: null, retryStrategy: () => 20 }) as unknown as Ended,
    'ioredis that gives up': new Redis({ port: server.port, maxRetriesPerRequest: 0, retryStrategy: () => 20 }) as unknown as Ended,
    'node-redis': await createClient({ url: server.url, socket: { reconnectStrategy: 20 } }).on('error', () => {}).connect() as unknown as Ended
  }
  const registry = new Registry()
  const undos = Object.entries(clients).map(([name, client]) => {
    client.on('error', () => {})
    return instrumentCache(client as unknown as CacheLike, { registry, backend: name })
  })
  for (const client of Object.values(clients)) await client.set('a', '1')
  // A server that sleeps has read nothing of what was sent.
  const admin = new Redis({ port: server.port })
  admin.on('error', () => {})
  admin.call('DEBUG', 'SLEEP', '60').catch(() => {})
  await once(admin, 'ready').catch(() => {})
  await turn()
  let rejected: Record<string, number> = {}
  const counted = async (name: string, reply: Promise<unknown>) => await reply.then(() => {}, () => { rejected = { ...rejected, [name]: (rejected[name] ?? 0) + 1 } })
  const pending = Object.entries(clients).flatMap(([name, client]) => [counted(name, client.get('a')), counted(name, client.get('b')), counted(name, client.set('c', '1'))])
  await turn()
  await server.stop()
  admin.disconnect()
  const offline = Object.entries(clients).map(([name, client]) => counted(name, client.get('a')))
  await server.start()
  await Promise.all([...pending, ...offline])
  for (const [i, name] of Object.keys(clients).entries()) {
    const { gets, hits, misses, errors, operations } = await cacheNumbers(registry, name)
    t.equal(hits + misses, gets, name)
    t.equal(sum(errors), rejected[name] ?? 0, `${name}: each error once`)
    t.ok(gets + sum(errors) >= 3, `${name}: each read is a hit, a miss or an error`)
    t.same(operations, { get: 3, set: 2 }, `${name}: each command once`)
    undos[i]?.()
  }
  for (const client of Object.values(clients)) (client as unknown as { disconnect? (): void, destroy? (): void })[client instanceof Redis || client instanceof Redis6 ? 'disconnect' : 'destroy']?.()
})
