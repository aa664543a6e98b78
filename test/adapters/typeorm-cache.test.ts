import { Registry } from 'prom-client'
import t, { type Test } from 'tap'
import type { DataSource } from 'typeorm'
import { instrumentDataSource } from '../../adapters/typeorm.js'
import { newDataSource, oldDataSource } from '../support/data-source.js'
import { Page } from '../support/page.js'
import { freePort } from '../support/postgres.js'
import { startRedis, type RedisServer } from '../support/redis.js'

const redis = await startRedis(t) as RedisServer
if (redis === undefined) t.bailout('without a Redis there is nothing to test here')

const MAKES = { 'TypeORM 1': newDataSource, 'TypeORM 0.3.20': oldDataSource }
/** The caches of TypeORM, and what their driver throws when its server is away. */
const CACHES = (make: typeof newDataSource): Record<string, unknown> => ({
  table: true,
  ioredis: { type: 'ioredis', options: { host: '127.0.0.1', port: redis.port, maxRetriesPerRequest: 0, retryStrategy: () => null } },
  ...make === newDataSource && { redis: { type: 'redis', options: { url: redis.url } } }
})

interface QueryResultCache {
  getFromCache (options: object): Promise<object | undefined> | undefined
  isExpired (saved: object): boolean
  clear (): Promise<void>
  remove (identifiers: string[]): Promise<void>
}

const cacheOf = (dataSource: DataSource): QueryResultCache => dataSource.queryResultCache as unknown as QueryResultCache

function observed (t: Test, dataSource: DataSource): { registry: Registry, undo: () => void, counts: () => Promise<number[]>, page: () => Promise<Page> } {
  const registry = new Registry()
  const undo = instrumentDataSource(dataSource, { registry, migrations: false, buckets: [1, 2] })
  t.teardown(async () => { if (dataSource.isInitialized) await dataSource.destroy() })
  const page = async (): Promise<Page> => {
    const now = new Page(await registry.metrics())
    if (now.sum('metrics_instrumentation_errors_total') > 0) throw new Error('something of ours failed')
    return now
  }
  return { registry, undo, page, counts: async () => countsOn(await page()) }
}

/** Gets, hits, misses, errors. */
function countsOn (page: Page): number[] {
  return ['gets', 'hits', 'misses', 'errors'].map((name) => page.sum(`cache_${name}_total`, { backend: 'typeorm' }))
}

const took = (page: Page, operation: string): number => page.sum('cache_operation_duration_seconds_count', { backend: 'typeorm', operation })
const find = (dataSource: DataSource, id = 'one', milliseconds = 60_000): Promise<unknown> => dataSource.createQueryBuilder().select('1', 'one').from('(SELECT 1)', 't').cache(id, milliseconds).getRawMany()

for (const [version, make] of Object.entries(MAKES)) {
  for (const [name, cache] of Object.entries(CACHES(make))) {
    t.test(`${version}, ${name}: gets, hits and misses are what TypeORM makes of them, through every initialize`, async (t) => {
      const dataSource = make({ type: 'sqljs', cache, synchronize: true })
      const { page, counts, undo } = observed(t, dataSource)
      t.same(await counts(), [0, 0, 0, 0])
      for (const round of [0, 1]) {
        await dataSource.initialize()
        await cacheOf(dataSource).clear()
        const [gets, hits, misses, errors] = await counts() as [number, number, number, number]
        t.same(await find(dataSource), [{ one: 1 }])
        t.same(await counts(), [gets + 1, hits, misses + 1, errors])
        t.same(await find(dataSource), [{ one: 1 }])
        t.same(await Promise.all([find(dataSource), find(dataSource)]), [[{ one: 1 }], [{ one: 1 }]])
        t.same(await counts(), [gets + 4, hits + 3, misses + 1, errors])
        await cacheOf(dataSource).remove(['one'])
        await find(dataSource)
        t.same(await counts(), [gets + 5, hits + 3, misses + 2, errors])
        await dataSource.query('SELECT 1')
        const now = await page()
        t.same(['get', 'set', 'delete', 'clear'].map((operation) => took(now, operation)), [5, 2, 1, 1].map((count) => count * (round + 1)), 'and nothing that the cache does by itself')
        t.same(now.of('cache_operation_duration_seconds_bucket', { le: '2' }), [], 'the buckets are those of caches')
        await dataSource.destroy()
      }
      const last = await counts()
      const own = Reflect.ownKeys(make({ type: 'sqljs', cache }).queryResultCache as object).map(String)
      undo()
      t.same(Reflect.ownKeys(cacheOf(dataSource)).map(String).filter((key) => key !== 'client'), own.filter((key) => key !== 'client'))
      await dataSource.initialize()
      await find(dataSource)
      t.same(await counts(), last)
    })
  }

  t.test(`${version}: what has expired is a miss`, async (t) => {
    const dataSource = make({ type: 'sqljs', cache: true, synchronize: true })
    const { counts } = observed(t, dataSource)
    await dataSource.initialize()
    await find(dataSource, 'old', -1)
    await find(dataSource, 'old')
    t.same(await counts(), [2, 0, 2, 0])
    await find(dataSource, 'old')
    t.same(await counts(), [3, 1, 2, 0])
  })

  t.test(`${version}: what fails is an error, whether TypeORM goes on or not`, async (t) => {
    for (const ignoreErrors of [false, true]) {
      const dataSource = make({ type: 'sqljs', cache: { type: 'ioredis', ignoreErrors, options: { host: '127.0.0.1', port: await freePort(), maxRetriesPerRequest: 0, retryStrategy: () => null } } })
      const { page, counts } = observed(t, dataSource)
      await dataSource.initialize()
      const { client } = dataSource.queryResultCache as unknown as { client: NodeJS.EventEmitter }
      client.on('error', () => {})
      const bare = await find(dataSource).catch((error: Error) => error)
      if (ignoreErrors) t.same(bare, [{ one: 1 }])
      else t.type(bare, Error)
      t.same(await counts(), [0, 0, 0, 1])
      t.equal(took(await page(), 'get'), 1)
      t.notMatch((await page()).values('cache_errors_total', 'type').join(), /\s|127/)
      Object.assign(dataSource.queryResultCache as object, { disconnect: async () => {} })
    }
  })

  t.test(`${version}: a provider of the application's own, and one that is set later`, async (t) => {
    const kept = { identifier: 'one', query: '', time: Date.now(), duration: 60_000, result: '[{"one":1}]' }
    let answer: unknown = kept
    const clear = async () => {}
    const provider = () => ({
      async connect () {},
      async disconnect () {},
      async synchronize () {},
      getFromCache: () => answer,
      isExpired ({ time, duration }: typeof kept) { return time + duration < Date.now() },
      async storeInCache () {},
      clear,
      async remove () {}
    })
    const dataSource = make({ type: 'sqljs', cache: { provider } })
    const { counts, registry } = observed(t, dataSource)
    await dataSource.initialize()
    await Promise.all([find(dataSource), find(dataSource)])
    t.same(await counts(), [2, 2, 0, 0], 'one that answers at once, with the same object')
    t.notOk(cacheOf(dataSource).isExpired(kept))
    t.same(await counts(), [2, 2, 0, 0], 'to ask is no read')
    answer = null
    await find(dataSource)
    t.same(await counts(), [3, 2, 1, 0])

    const before = dataSource.queryResultCache
    dataSource.setOptions({ cache: true })
    t.not(dataSource.queryResultCache, before)
    await dataSource.synchronize()
    await find(dataSource)
    t.same(await counts(), [4, 2, 2, 0])
    t.equal(before?.clear, clear, 'the one before is left as it was')

    const frozen = make({ type: 'sqljs', cache: { provider: () => Object.freeze(provider()) } })
    const second = new Registry()
    instrumentDataSource(frozen, { registry: second, migrations: false })
    await frozen.initialize()
    await find(frozen)
    await frozen.destroy()
    const page = new Page(await second.metrics())
    t.equal(page.sum('metrics_instrumentation_errors_total', { source: 'typeorm query cache' }), 1, 'one that cannot be observed is said once')
    t.same(countsOn(new Page(await registry.metrics())), [4, 2, 2, 0])
  })
}

t.test('without a cache there are no metrics of caches', async (t) => {
  const { page } = observed(t, newDataSource({ type: 'sqljs' }))
  t.notMatch((await page()).text, /^cache_/m)
})
