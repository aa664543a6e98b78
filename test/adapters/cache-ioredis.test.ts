import t from 'tap'
import fastifyRedis from '@fastify/redis'
import fastify from 'fastify'
import { Redis } from 'ioredis'
import { Registry } from 'prom-client'
import { createRequire } from 'node:module'
import { instrumentCache } from '../../adapters/cache.js'
import { cacheNumbers } from '../cache/numbers.js'
import { startRedis } from '../support/redis.js'

const server = await startRedis(t)
if (server === undefined) process.exit()
const { port } = server

const require = createRequire(import.meta.url)
const { Redis: Redis6 } = createRequire(require.resolve('@fastify/redis'))('ioredis') as { Redis: typeof Redis }
const versions = { 'ioredis 5': Redis, 'ioredis 6': Redis6 }

for (const [version, Client] of Object.entries(versions)) {
  const observed = (options = {}) => {
    const registry = new Registry()
    const redis = new Client({ port, ...options })
    const undo = instrumentCache(redis, { registry })
    return { registry, redis, undo }
  }

  t.test(`${version}: each key that is read is a hit or a miss, and the handshake is nobody's`, async (t) => {
    const { registry, redis } = observed({ db: 1, keyPrefix: 'walks:', connectionName: 'tests' })
    await redis.flushdb()
    await redis.mset({ empty: '', zero: 0, false: 'false' })
    await redis.hset('dog', 'name', 'Rex')
    t.same(await redis.mget('empty', 'zero', 'false', 'nothing'), ['', '0', 'false', null])
    t.equal(await redis.get('empty'), '')
    t.equal(await redis.get('nothing'), null)
    t.same(await redis.getBuffer('zero'), Buffer.from('0'))
    t.same(await redis.hmget('dog', 'name', 'age'), ['Rex', null])
    t.equal(await redis.hget('dog', 'age'), null)
    t.same(await redis.hgetall('dog'), { name: 'Rex' })
    t.same(await redis.hgetall('cat'), {})
    t.equal(await redis.getdel('zero'), '0')
    t.equal(await redis.getex('zero', 'EX', 5), null)
    t.equal(await redis.call('GET', 'empty'), '')
    t.equal(await redis.exists('empty'), 1)
    await new Promise<void>((resolve) => {
      redis.get('nothing', (error, value) => {
        t.same([error, value], [null, null])
        resolve()
      }).catch(() => {})
    })
    await redis.ping()
    await redis.select(1)
    await redis.quit()
    t.same(await cacheNumbers(registry), {
      gets: 16,
      hits: 9,
      misses: 7,
      errors: {},
      operations: { clear: 1, set: 2, get: 12, has: 1 }
    })
  })

  t.test(`${version}: pipelines and transactions, with and without, each read once`, async (t) => {
    const { registry, redis } = observed()
    await redis.flushdb()
    await redis.set('a', 'QUEUED')
    t.same(await redis.pipeline().get('a').get('b').mget('a', 'b').exec(), [[null, 'QUEUED'], [null, null], [null, ['QUEUED', null]]])
    const replies = await redis.multi().get('a').get('b').incr('a').mget('a', 'b').exec()
    t.same(replies?.map(([error, value]) => error === null ? value : error.message), ['QUEUED', null, 'ERR value is not an integer or out of range', ['QUEUED', null]])
    let numbers = await cacheNumbers(registry)
    t.same([numbers.gets, numbers.hits, numbers.misses], [8, 4, 4])
    t.same(numbers.errors, { ERR: 1 })
    t.same(numbers.operations, { clear: 1, set: 1, get: 3, transaction: 1 })

    await redis.multi({ pipeline: false })
    t.equal(await redis.get('a'), 'QUEUED', 'which is a reply, and no value')
    await redis.get('b')
    t.same(await redis.exec(), [[null, 'QUEUED'], [null, null]])
    await redis.multi({ pipeline: false })
    await redis.get('a')
    await redis.discard()
    t.equal(await redis.get('a'), 'QUEUED', 'which is a value')
    numbers = await cacheNumbers(registry)
    t.same([numbers.gets, numbers.hits, numbers.misses], [11, 6, 5])

    await redis.watch('a')
    const other = new Client({ port })
    await other.set('a', '1')
    other.disconnect()
    t.equal(await redis.multi().get('a').exec(), null, 'it was changed')
    await t.rejects(redis.multi().get('a').call('get').exec(), /EXECABORT/)
    numbers = await cacheNumbers(registry)
    t.same([numbers.gets, numbers.errors, numbers.operations.transaction], [11, { ERR: 1, EXECABORT: 1 }, 4])
    redis.disconnect()
  })

  t.test(`${version}: autopipelining, scripts, blocking commands and errors`, async (t) => {
    const { registry, redis } = observed({ enableAutoPipelining: true })
    await redis.flushdb()
    await redis.set('a', '1')
    t.same(await Promise.all([redis.get('a'), redis.get('b'), redis.get('a')]), ['1', null, '1'])
    redis.defineCommand('twice', { numberOfKeys: 1, lua: 'return redis.call("get", KEYS[1]) * 2' })
    const { twice } = redis as unknown as { twice (key: string): Promise<number> }
    t.equal(await twice.call(redis, 'a'), 2)
    await redis.script('FLUSH')
    t.equal(await twice.call(redis, 'a'), 2, 'Redis did not know it, and it was sent again')
    t.equal(await redis.blpop('list', 0.01), null)
    await t.rejects(redis.lpush('a', '1'), /WRONGTYPE/)
    await t.rejects(redis.eval('return redis.error_reply("SECRET of the application")', 0), /SECRET/)
    const numbers = await cacheNumbers(registry)
    t.same([numbers.gets, numbers.hits, numbers.misses], [3, 2, 1])
    t.same(numbers.errors, { WRONGTYPE: 1, ReplyError: 1 })
    t.same(numbers.operations, { clear: 1, set: 1, get: 3, script: 3, wait: 1, other: 2 })
    redis.disconnect()
  })

  t.test(`${version}: a lost connection, what is sent again, and what never was`, async (t) => {
    const own = await startRedis(t)
    if (own === undefined) return
    const registry = new Registry()
    const redis = new Client({ port: own.port, retryStrategy: () => 20, maxRetriesPerRequest: null })
    redis.on('error', () => {})
    instrumentCache(redis, { registry })
    const subscriber = new Client({ port: own.port, retryStrategy: () => 20 })
    subscriber.on('error', () => {})
    const others = new Registry()
    instrumentCache(subscriber, { registry: others })
    await subscriber.subscribe('walks')
    await redis.set('a', '1')
    const waiting = redis.blpop('list', 0)
    await own.stop()
    const offline = redis.get('a')
    await own.start()
    const other = new Client({ port: own.port })
    await other.rpush('list', 'later')
    t.same(await waiting, ['list', 'later'], 'which was sent again')
    t.equal(await offline, null, 'which had waited for the connection')
    for (const client of [redis, subscriber, other]) client.disconnect()
    const { gets, hits, misses, operations, errors } = await cacheNumbers(registry)
    t.same({ gets, hits, misses, operations, errors }, { gets: 1, hits: 0, misses: 1, operations: { set: 1, wait: 1, get: 1 }, errors: {} })
    t.same((await cacheNumbers(others)).operations, {})
  })
}

for (const [version, { Cluster }] of Object.entries({ 'ioredis 5': Redis, 'ioredis 6': Redis6 })) {
  t.test(`${version}: a cluster whose slots move to another node, and what is sent again is once`, async (t) => {
    const nodes = [await startRedis(t, '--cluster-enabled', 'yes'), await startRedis(t, '--cluster-enabled', 'yes')]
    const [one, two] = nodes.map((node) => new Redis(node?.port ?? 0))
    if (one === undefined || two === undefined) return
    await one.cluster('ADDSLOTSRANGE', 0, 16383)
    await one.cluster('MEET', '127.0.0.1', nodes[1]?.port as number)
    for (const node of [one, two]) {
      while (!(await node.cluster('INFO')).includes('cluster_state:ok') || !(await node.cluster('INFO')).includes('cluster_known_nodes:2')) await new Promise((resolve) => { setImmediate(resolve) })
    }
    const registry = new Registry()
    const cluster = new Cluster([{ host: '127.0.0.1', port: nodes[0]?.port }], { scaleReads: 'master', slotsRefreshInterval: 0 })
    instrumentCache(cluster, { registry })
    await cluster.set('a', '1')
    const slot = await one.cluster('KEYSLOT', 'a')
    await one.del('a')
    const id = await two.cluster('MYID')
    for (const node of [two, one]) await node.cluster('SETSLOT', slot as number, 'NODE', id)
    t.same(await cluster.pipeline().get('a').get('a').exec(), [[null, null], [null, null]], 'MOVED, twice, and sent again')
    t.same(await cluster.multi().get('a').set('a', '2').get('a').exec(), [[null, null], [null, 'OK'], [null, '2']])
    t.equal(await cluster.get('a'), '2')
    await t.rejects(cluster.lpush('a', 'x'), /WRONGTYPE/)
    t.match(await cluster.pipeline().lpush('a', 'x').exec(), [[/WRONGTYPE/]])
    await new Promise((resolve) => { setImmediate(resolve) })
    await new Promise((resolve) => { setImmediate(resolve) })
    const { gets, hits, misses, operations, errors } = await cacheNumbers(registry)
    t.same({ gets, hits, misses, operations, errors }, { gets: 5, hits: 2, misses: 3, operations: { set: 1, get: 3, transaction: 1, other: 2 }, errors: { WRONGTYPE: 2 } })
    for (const client of [cluster, one, two]) client.disconnect()
  })
}

t.test('a client that has ended, and one that never connects', async (t) => {
  const registry = new Registry()
  const redis = new Redis({ port: 1, retryStrategy: () => null, lazyConnect: true })
  redis.on('error', () => {})
  instrumentCache(redis, { registry })
  await t.rejects(redis.get('a'))
  await t.rejects(redis.get('a'))
  const numbers = await cacheNumbers(registry)
  t.same([numbers.gets, numbers.operations, Object.values(numbers.errors).reduce((a, b) => a + b)], [0, { get: 2 }, 2])
})

t.test('the client of @fastify/redis', async (t) => {
  const registry = new Registry()
  const app = fastify()
  await app.register(fastifyRedis, { host: '127.0.0.1', port, closeClient: true })
  const undo = instrumentCache(app.redis, { registry, backend: 'sessions' })
  app.get('/:key', async ({ params }) => ({ value: await app.redis.get((params as { key: string }).key) }))
  await app.redis.set('fastify', 'yes')
  t.same((await app.inject('/fastify')).json(), { value: 'yes' })
  t.same((await app.inject('/nothing')).json(), { value: null })
  const { gets, hits, misses } = await cacheNumbers(registry, 'sessions')
  t.same([gets, hits, misses], [2, 1, 1])
  undo()
  t.notOk(Object.hasOwn(app.redis, 'sendCommand'))
  await app.close()
})
