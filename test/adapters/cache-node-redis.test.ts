import t from 'tap'
import { Registry } from 'prom-client'
import { createClient, createClientPool, createCluster } from 'redis'
import { instrumentCache } from '../../adapters/cache.js'
import { cacheNumbers } from '../cache/numbers.js'
import { startRedis } from '../support/redis.js'

const server = await startRedis(t)
if (server === undefined) process.exit()
const { url } = server

t.test('a client: each key that is read is a hit or a miss, and the handshake is nobody\'s', async (t) => {
  const registry = new Registry()
  const redis = createClient({ url, database: 1, name: 'tests', keyPrefix: 'walks:' })
  instrumentCache(redis, { registry })
  await redis.connect()
  await redis.flushDb()
  await redis.mSet({ empty: '', zero: '0' })
  await redis.hSet('dog', 'name', 'Rex')
  t.same(await redis.mGet(['empty', 'zero', 'nothing']), ['', '0', null])
  t.equal(await redis.get('empty'), '')
  t.equal(await redis.get('nothing'), null)
  t.same(await redis.hmGet('dog', ['name', 'age']), ['Rex', null])
  t.same({ ...await redis.hGetAll('dog') }, { name: 'Rex' })
  t.same({ ...await redis.hGetAll('cat') }, {})
  t.equal(await redis.sendCommand(['GET', 'walks:empty']), '')
  t.equal(await redis.withCommandOptions({ asap: true }).get('zero'), '0')
  t.equal(await redis.exists('zero'), 1)
  t.equal(await redis.blPop('list', 0.01), null)
  await redis.ping()
  await t.rejects(redis.lPush('zero', 'x'), /WRONGTYPE/)
  await redis.close()
  await t.rejects(redis.get('zero'), /closed/)
  t.same(await cacheNumbers(registry), {
    gets: 11,
    hits: 7,
    misses: 4,
    errors: { WRONGTYPE: 1, ClientClosedError: 1 },
    operations: { clear: 1, set: 2, get: 9, has: 1, wait: 1, other: 1 }
  })
})

t.test('a client: transactions, pipelines and scripts', async (t) => {
  const registry = new Registry()
  const redis = createClient({ url })
  instrumentCache(redis, { registry })
  await redis.connect()
  await redis.flushAll()
  await redis.set('a', '1')
  t.same(await redis.multi().get('a').get('b').mGet(['a', 'b']).exec(), ['1', null, ['1', null]])
  t.same(await redis.multi().get('a').get('b').execAsPipeline(), ['1', null])
  await t.rejects(redis.multi().get('a').lPush('a', 'x').exec())
  await redis.watch('a')
  const other = createClient({ url })
  await other.connect()
  await other.set('a', '2')
  await t.rejects(redis.multi().get('a').exec(), /watched/)
  const { gets, hits, misses, operations, errors } = await cacheNumbers(registry)
  t.same({ gets, hits, misses }, { gets: 7, hits: 4, misses: 3 })
  t.same(errors, { WRONGTYPE: 1, WatchError: 1 })
  t.same(operations, { clear: 1, set: 1, transaction: 3, get: 2, other: 1 })
  await Promise.all([redis.close(), other.close()])
})

t.test('a client: a script that Redis does not know is one operation', async (t) => {
  const { defineScript } = await import('redis')
  const registry = new Registry()
  const redis = createClient({
    url,
    scripts: {
      twice: defineScript({
        SCRIPT: 'return redis.call("get", KEYS[1]) * 2',
        NUMBER_OF_KEYS: 1,
        parseCommand (parser, key: string) { parser.pushKey(key) },
        transformReply: (reply: unknown) => reply as number
      })
    }
  })
  await redis.connect()
  await redis.set('a', '1')
  await redis.scriptFlush()
  instrumentCache(redis, { registry })
  t.equal(await redis.twice('a'), 2)
  t.same((await cacheNumbers(registry)).operations, { script: 1 })
  t.same((await cacheNumbers(registry)).errors, {})
  await redis.close()
})

t.test('a client that caches itself: what it answers alone is a hit too', async (t) => {
  const registry = new Registry()
  const redis = createClient({ url, RESP: 3, clientSideCache: { ttl: 0, maxEntries: 0, evictPolicy: 'LRU' } })
  await redis.connect()
  await redis.set('a', '1')
  instrumentCache(redis, { registry })
  for (let i = 0; i < 5; i++) t.equal(await redis.get('a'), '1')
  const { gets, hits, operations } = await cacheNumbers(registry)
  t.same({ gets, hits, operations }, { gets: 5, hits: 5, operations: { get: 5 } })
  await redis.close()
})

t.test('a pool: its clients, and callers who get none', async (t) => {
  const registry = new Registry()
  const pool = createClientPool({ url }, { maximum: 1, acquireTimeout: 20 })
  const undo = instrumentCache(pool, { registry })
  await pool.connect()
  await pool.set('a', '1')
  t.equal(await pool.get('a'), '1')
  t.same(await pool.multi().get('a').get('b').exec(), ['1', null])
  await pool.execute(async (client) => {
    t.equal(await client.get('b'), null)
    await t.rejects(pool.get('a'), /Timeout/)
    await t.rejects(pool.multi().get('a').exec(), /Timeout/)
  })
  const { gets, hits, misses, errors } = await cacheNumbers(registry)
  t.same({ gets, hits, misses, errors }, { gets: 4, hits: 2, misses: 2, errors: { TimeoutError: 2 } })
  undo()
  await pool.execute(async (client) => {
    const { _self } = client as unknown as { _self: object }
    t.same(Object.getOwnPropertyNames(_self).filter((name) => ['sendCommand', 'Multi', '_executeScript'].includes(name)), [])
    await client.get('a')
  })
  t.equal((await cacheNumbers(registry)).gets, 4)
  await pool.close()
})

t.test('a cluster', async (t) => {
  const node = await startRedis(t, '--cluster-enabled', 'yes')
  if (node === undefined) return
  const admin = createClient({ url: node.url })
  await admin.connect()
  await admin.sendCommand(['CLUSTER', 'ADDSLOTSRANGE', '0', '16383'])
  while (!String(await admin.sendCommand(['CLUSTER', 'INFO'])).includes('cluster_state:ok'));
  const registry = new Registry()
  const cluster = createCluster({ rootNodes: [{ url: node.url }] })
  instrumentCache(cluster, { registry })
  await cluster.connect()
  await cluster.set('a', '1')
  t.equal(await cluster.get('a'), '1')
  t.equal(await cluster.get('b'), null)
  t.same(await cluster.mGet(['a', 'b', 'c']), ['1', null, null])
  t.same(await cluster.multi().get('a').exec(), ['1'])
  await t.rejects(cluster.lPush('a', 'x'), /WRONGTYPE/)
  t.same(await cacheNumbers(registry), { gets: 6, hits: 3, misses: 3, errors: { WRONGTYPE: 1 }, operations: { set: 1, get: 3, transaction: 1, other: 1 } })
  await Promise.all([cluster.close(), admin.close()])
})

t.test('a server that ends and comes back', async (t) => {
  const own = await startRedis(t)
  if (own === undefined) return
  const registry = new Registry()
  const redis = createClient({ url: own.url, socket: { reconnectStrategy: 20 } })
  redis.on('error', () => {})
  instrumentCache(redis, { registry })
  await redis.connect()
  await redis.subscribe('walks', () => {}).catch(() => {})
  await redis.unsubscribe('walks')
  const lost = t.rejects(redis.blPop('list', 0), 'which was sent, and is not sent again')
  const reconnecting = new Promise((resolve) => redis.once('reconnecting', resolve))
  await own.stop()
  await reconnecting
  await lost
  const offline = redis.get('a')
  await own.start()
  t.equal(await offline, null)
  const { gets, misses, operations, errors } = await cacheNumbers(registry)
  t.same({ gets, misses, operations }, { gets: 1, misses: 1, operations: { wait: 1, get: 1 } })
  t.equal(Object.values(errors).reduce((a, b) => a + b), 1)
  await redis.close()
})
