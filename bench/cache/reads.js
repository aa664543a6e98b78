// One cache, instrumented as its argument says, in a process of its own, as a service has it. For each message, which is
// a number of reads, it reads so many times, and answers with the microseconds of CPU time of one.
import { pathToFileURL } from 'node:url'
import process from 'node:process'
import prom from 'prom-client'

const UNDER_WAY = 8

/** The caches: each gives the object to instrument, how to read one key, and how to end it. */
const caches = {
  async 'lru-cache' () {
    const { LRUCache } = await import('lru-cache')
    const cache = new LRUCache({ max: 1000 })
    cache.set('key', 'value')
    return { cache, isSync: true, end () {} }
  },
  async ioredis (port) {
    const { Redis } = await import('ioredis')
    const cache = new Redis({ port })
    await cache.set('key', 'value')
    return { cache, end: () => cache.disconnect() }
  },
  async 'node-redis' (port) {
    const { createClient } = await import('redis')
    const cache = await createClient({ url: `redis://127.0.0.1:${port}` }).connect()
    await cache.set('key', 'value')
    return { cache, end: () => cache.destroy() }
  },
  async keyv () {
    const { Keyv } = await import('keyv')
    const cache = new Keyv()
    await cache.set('key', 'value')
    return { cache, end () {} }
  },
  async 'cache-manager' () {
    const { createCache } = await import('cache-manager')
    const cache = createCache()
    await cache.set('key', 'value')
    return { cache, end () {} }
  }
}

const variants = {
  bare () {},
  async ours (cache) {
    // Where a build that is not the package's own is measured.
    const { instrumentCache } = await import(process.env.BENCH_DIST === undefined ? 'fastify-prometheus/cache' : pathToFileURL(`${process.env.BENCH_DIST}/adapters/cache.js`))
    instrumentCache(cache, { registry: new prom.Registry() })
  },
  promClient: instrumentWithPromClient
}

/** The same metrics for `get` alone, as they are written by hand. */
function instrumentWithPromClient (cache) {
  const registers = [new prom.Registry()]
  const duration = new prom.Histogram({ name: 'cache_operation_duration_seconds', help: 'x', labelNames: ['backend', 'operation'], buckets: [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1], registers })
  const counter = (name) => new prom.Counter({ name, help: 'x', labelNames: ['backend'], registers })
  const [gets, hits, misses] = ['cache_gets_total', 'cache_hits_total', 'cache_misses_total'].map(counter)
  const labels = { backend: 'default' }
  const get = cache.get
  cache.get = function (...args) {
    const end = duration.startTimer({ ...labels, operation: 'get' })
    const ended = (value) => {
      end()
      gets.inc(labels)
      if (value === undefined || value === null) misses.inc(labels)
      else hits.inc(labels)
      return value
    }
    const result = get.apply(this, args)
    return result instanceof Promise ? result.then(ended) : ended(result)
  }
}

function cpuOf (reads, read) {
  const before = process.cpuUsage()
  const after = () => {
    const { user, system } = process.cpuUsage(before)
    return (user + system) / reads
  }
  return { after, done: Promise.all(Array.from({ length: UNDER_WAY }, async () => { for (let i = 0; i < reads / UNDER_WAY; i++) await read() })) }
}

const [name, which, port] = process.argv.slice(2)
const { cache, isSync, end } = await caches[which](Number(port))
await variants[name](cache)
process.on('message', async (reads) => {
  if (isSync) {
    const before = process.cpuUsage()
    for (let i = 0; i < reads; i++) cache.get('key')
    const { user, system } = process.cpuUsage(before)
    process.send((user + system) / reads)
    return
  }
  const { after, done } = cpuOf(reads, () => cache.get('key'))
  await done
  process.send(after())
})
process.on('disconnect', end)
