import t from 'tap'
import { Registry } from 'prom-client'
import { CacheRecorder, cacheOperations, readCacheScope } from '../../src/adapter.js'
import { cacheNumbers } from './numbers.js'

t.test('what is written of a cache, and zero before anything is', async (t) => {
  const registry = new Registry()
  const recorder = new CacheRecorder(readCacheScope('a test', { registry, backend: 'local' }))
  t.match(await registry.metrics(), /cache_hits_total{backend="local"} 0/)
  const began = recorder.now()
  for (const operation of cacheOperations) recorder.ended(operation, began)
  recorder.ended('get', began, 2, 1)
  recorder.ended('get', began + 60_000, 1, 0)
  recorder.failed('get', began, Object.assign(new Error('SECRET'), { code: 'ECONNRESET' }))
  recorder.failed('set', began, new Error('SECRET'), undefined, 'WRONGTYPE')
  recorder.failed('set', began, 'SECRET')
  recorder.keysRead(0, 4)
  recorder.partFailed('increment', new TypeError('SECRET'))
  const { gets, hits, misses, errors, operations } = await cacheNumbers(registry, 'local')
  t.same({ gets, hits, misses, errors }, { gets: 8, hits: 3, misses: 5, errors: { ECONNRESET: 1, WRONGTYPE: 1, TypeError: 1, Error: 1 } })
  t.same(operations, { ...Object.fromEntries(cacheOperations.map((operation) => [operation, 1])), get: 4, set: 3 })
  const page = await registry.metrics()
  for (const labels of ['operation="get",type="ECONNRESET"', 'operation="set",type="WRONGTYPE"', 'operation="increment",type="TypeError"']) t.match(page, `cache_errors_total{backend="local",${labels}} 1`)
  t.notMatch(page, 'SECRET')
})

t.test('a name that is taken by another metric is refused at once', async (t) => {
  const registry = new Registry()
  const { Gauge } = await import('prom-client')
  t.ok(new Gauge({ name: 'cache_hits_total', help: 'of the application', registers: [registry] }))
  t.throws(() => new CacheRecorder(readCacheScope('a test', { registry })), { code: 'FP_ERR_METRIC_CONFLICT' })
})
