import t from 'tap'
import { instrumentCache } from '../../adapters/cache.js'
import { Watched } from './watched.js'

t.test('caches, by backend', async (t) => {
  const watched = new Watched()
  const read = (backend: string, hits: number, misses: number) => {
    watched.count('cache_gets_total', { backend }, hits + misses)
    watched.count('cache_hits_total', { backend }, hits)
    watched.count('cache_misses_total', { backend }, misses)
  }
  read('walks', 1, 0)
  read('sessions', 0, 1)
  await watched.next()
  read('walks', 75, 25)
  read('sessions', 0, 50)
  watched.observe('cache_operation_duration_seconds', { backend: 'walks', operation: 'get' }, 0.002, 100)
  watched.observe('cache_operation_duration_seconds', { backend: 'sessions', operation: 'set' }, 0.2, 50)
  watched.observe('cache_operation_duration_seconds', { backend: 'sessions', operation: 'wait' }, 60, 50)
  watched.count('cache_errors_total', { backend: 'sessions', operation: 'get', type: 'ECONNREFUSED' }, 2)
  const told = await watched.next()
  t.same(told.ids('cache'), ['cache.gets', 'cache.hits', 'cache.operations', 'cache.latency', 'cache.errors'])
  t.same(told.ids('own'), [], 'they are in no other place')
  t.same(told.ratios('cache.gets', 'sessions'), { walks: 2, sessions: 1 })
  t.same(told.last('cache.hits'), { walks: 0.75, sessions: 0 })
  t.same(told.ratios('cache.operations', 'set'), { get: 2, set: 1, wait: 1 })
  const { walks, sessions } = told.last('cache.latency')
  t.ok(Number(walks) < 0.005 && Number(sessions) < 1, `p95 of ${walks} and ${sessions} s: waiting is none of it`)
  t.same(Object.keys(told.last('cache.errors')), ['ECONNREFUSED'])
  t.equal(told.tile('cache_hits'), 0.5)
})

t.test('more caches than there are lines', async (t) => {
  const watched = new Watched()
  for (let i = 0; i < 100; i++) watched.count('cache_hits_total', { backend: `cache-${i}` })
  await watched.next()
  for (let i = 0; i < 100; i++) watched.count('cache_hits_total', { backend: `cache-${i}` })
  const told = await watched.next()
  t.equal(told.chart('cache.gets').lines.length, 9)
  t.equal(told.ratios('cache.gets', 'cache-0')['all others'], 92)
})

t.test('what is observed for real', async (t) => {
  const watched = new Watched()
  const walks = new Map<string, string>()
  instrumentCache(walks, { registry: watched.registry, backend: 'walks' })
  await watched.next()
  walks.set('Pixel', 'out')
  for (const dog of ['Pixel', 'Pixel', 'Pixel', 'Rex']) walks.get(dog)
  const told = await watched.next()
  t.same(told.last('cache.hits'), { walks: 0.75 })
  t.same(told.ratios('cache.operations', 'set'), { set: 1, get: 4 })
})
