import t from 'tap'
import { createCache } from 'cache-manager'
import fc from 'fast-check'
import { Redis } from 'ioredis'
import { Keyv } from 'keyv'
import { LRUCache } from 'lru-cache'
import { Registry } from 'prom-client'
import { createClient } from 'redis'
import { instrumentCache, type CacheLike } from '../../adapters/cache.js'
import { cacheNumbers } from '../cache/numbers.js'
import { seenBy, sights } from '../cache/sight.js'
import { startRedis } from '../support/redis.js'

const server = await startRedis(t)
if (server === undefined) process.exit()
const { port, url } = server

type Call = (...args: unknown[]) => unknown
type Methods = Record<string, Call>
type Form = (cache: Methods, note: (...seen: unknown[]) => void) => unknown

/** One client: how to make it, what to ask of it, and how to end it. */
interface Subject {
  make (): Promise<CacheLike>
  end? (cache: CacheLike): unknown
  readonly forms: Record<string, Form>
}

const call = (name: string, ...args: unknown[]): Form => (cache) => cache[name]?.(...args)

const subjects: Record<string, Subject> = {
  ioredis: {
    make: async () => new Redis({ port, showFriendlyErrorStack: true }),
    end: (cache) => (cache as Redis).quit(),
    forms: {
      'a write': call('set', 'a', '1'),
      'a promise': call('get', 'a'),
      'a buffer': call('getBuffer', 'a'),
      'a callback': (cache, note) => new Promise((resolve) => {
        note(cache.get?.('a', function (this: unknown, ...args: unknown[]) {
          note(this === undefined, ...args)
          resolve(undefined)
        }) instanceof Promise)
      }),
      'an error': call('lpush', 'a', 'x'),
      'an error of the call': call('call'),
      'no arguments': call('get'),
      'many keys': call('mget', ['a', 'nothing']),
      'a hash': async (cache) => [await cache.del?.('h') === undefined, await cache.hset?.('h', { a: 1 }), await cache.hgetall?.('h'), await cache.hgetall?.('nothing')],
      'a pipeline': (cache) => (cache.pipeline?.() as Redis).get('a').then?.(() => {}),
      'a pipeline that is executed': (cache, note) => (cache.pipeline?.([['get', 'a'], ['lpush', 'a', 'x']]) as { exec: Call }).exec((...args: unknown[]) => note(...args)),
      'a transaction': (cache) => (cache.multi?.([['get', 'a'], ['incr', 'a'], ['lpush', 'a', 'x']]) as { exec: Call }).exec(),
      'a transaction that is refused': (cache) => (cache.multi?.([['get']]) as { exec: Call }).exec(),
      'a stream': async (cache) => (await (cache.scanStream?.({ match: 'nothing' }) as { toArray: Call }).toArray()),
      'its own properties': (cache) => [cache.sendCommand?.name, cache.sendCommand?.length, Object.keys(cache).sort(), cache.constructor?.name]
    }
  },
  'node-redis': {
    make: async () => await createClient({ url }).connect() as unknown as CacheLike,
    end: (cache) => (cache as unknown as { close: Call }).close(),
    forms: {
      'a write': call('set', 'a', '1'),
      'a promise': call('get', 'a'),
      'an error': call('lPush', 'a', 'x'),
      'no arguments': call('get'),
      'a number': call('get', 5),
      'a raw command': call('sendCommand', ['GET', 'a']),
      'a raw command that is none': call('sendCommand', 'GET'),
      'many keys': call('mGet', ['a', 'nothing']),
      'a transaction': (cache) => ((cache.multi?.() as Methods).get?.('a') as Methods).exec?.(),
      'a transaction that fails': (cache) => ((cache.multi?.() as Methods).lPush?.('a', 'x') as Methods).exec?.(),
      'a pipeline': (cache) => ((cache.multi?.() as Methods).get?.('a') as Methods).execAsPipeline?.(),
      'its own properties': (cache) => {
        const { _self: self } = cache as unknown as { _self: Methods }
        return [cache.sendCommand?.name, cache.sendCommand?.length, Object.keys(cache), Object.keys(self).sort(), (cache.multi?.() as object).constructor.name]
      }
    }
  },
  Keyv: {
    make: async () => new Keyv({ store: new Map([['keyv:bad', '{']]) as Map<string, unknown> }),
    forms: {
      'a write': call('set', 'a', 0),
      'a read': call('get', 'a'),
      'nothing there': call('get', 'nothing'),
      'many': call('getMany', ['a', 'nothing']),
      'many, raw': call('getManyRaw', ['a', 'nothing']),
      'text that is none': call('get', 'bad'),
      'a symbol': (cache) => cache.set?.('a', Symbol('a')),
      'no arguments': call('get'),
      'a deletion': call('delete', ['a', 'nothing']),
      'its own properties': (cache) => [cache.get?.name, cache.get?.length, Object.keys(cache).sort()]
    }
  },
  'cache-manager': {
    make: async () => createCache(),
    forms: {
      'a write': call('set', 'a', 0),
      'a read': call('get', 'a'),
      'many': call('mget', ['a', 'nothing']),
      'a wrap': async (cache) => [await cache.wrap?.('b', async () => 1), await cache.wrap?.('b', () => { throw new Error('never') })],
      'a wrap with options': async (cache, note) => cache.wrap?.('c', () => 1, { ttl: (value: unknown) => { note('ttl', value); return 1000 }, raw: false }),
      'a wrap whose load fails': (cache) => cache.wrap?.('d', () => { throw new RangeError('of the application') }),
      'a wrap without a function': call('wrap', 'e'),
      'its own properties': (cache) => [cache.get?.name, cache.get?.length, cache.wrap?.name, cache.wrap?.length, Object.keys(cache)]
    }
  },
  'lru-cache': {
    make: async () => new LRUCache<string, object>({ max: 2, maxSize: 10, sizeCalculation: () => 1, fetchMethod: async (key) => ({ key }), memoMethod: (key) => ({ key }) }),
    forms: {
      'a write': (cache) => cache.set?.('a', { a: 1 }) === cache,
      'a read': call('get', 'a'),
      'nothing there': call('get', 'nothing'),
      'a fetch': call('fetch', 'b'),
      'a memo': call('memo', 'c'),
      'a size that is none': call('set', 'a', {}, { size: -1 }),
      'a status': (cache) => {
        const status = {}
        cache.get?.('c', { status })
        return (status as { get?: unknown }).get
      },
      'its order': (cache) => [...cache.keys?.() as Iterable<unknown>],
      'its own properties': (cache) => [cache.get?.name, cache.get?.length, cache.set?.name, cache.set?.length, Object.keys(cache)]
    }
  },
  'a Map': {
    make: async () => new Map() as unknown as CacheLike,
    forms: {
      'a write': (cache) => cache.set?.('a', undefined) === cache,
      'a read': call('get', 'a'),
      'a function as a key': (cache) => { const key = () => {}; cache.set?.(key, key); return cache.get?.(key) === key },
      'of another': (cache) => Reflect.apply(cache.get as Call, {}, ['a']),
      'its own properties': (cache) => [cache.get?.name, cache.get?.length, Object.keys(cache)]
    }
  }
}

for (const [name, subject] of Object.entries(subjects)) {
  t.test(`an application of ${name} sees the same with and without`, async (t) => {
    const all: string[] = []
    for (const how of ['bare', 'observed', 'undone']) {
      const cache = await subject.make()
      const registry = new Registry()
      const undo = how === 'bare' ? undefined : instrumentCache(cache, { registry })
      if (how === 'undone') undo?.()
      const seen: unknown[] = []
      for (const [title, form] of Object.entries(subject.forms)) seen.push(title, await seenBy((note) => form(cache as unknown as Methods, note)))
      all.push(sights(seen))
      const { gets } = await cacheNumbers(registry)
      t.equal(gets > 0, how === 'observed')
      await subject.end?.(cache)
    }
    t.equal(all[1], all[0])
    t.equal(all[2], all[0])
  })

  t.test(`${name}: undo puts everything back exactly`, async (t) => {
    const cache = await subject.make()
    const target = (cache as unknown as { _self?: object })._self ?? cache
    const state = () => Reflect.ownKeys(target).filter((key) => !String(key).startsWith('_')).map((key) => {
      const { value, ...rest } = Object.getOwnPropertyDescriptor(target, key) ?? {}
      return [key, rest, typeof value === 'function' ? value as unknown : undefined]
    })
    const before = state()
    const undo = instrumentCache(cache, { registry: new Registry() })
    t.notSame(state(), before)
    undo()
    undo()
    const after = state()
    t.equal(after.length, before.length)
    t.ok(after.every(([key, , method], i) => key === before[i]?.[0] && method === before[i]?.[2]))
    t.same(after.map(([, rest]) => rest), before.map(([, rest]) => rest))
    await subject.end?.(cache)
  })
}

t.test('a promise that nobody handles is as it was', async (t) => {
  for (const name of ['node-redis', 'ioredis']) {
    const subject = subjects[name] as Subject
    const cache = await subject.make() as unknown as Methods
    instrumentCache(cache as unknown as CacheLike, { registry: new Registry() })
    await cache.set?.('a', '1')
    const unhandled = new Promise((resolve) => process.once('unhandledRejection', resolve))
    const listeners = process.listeners('unhandledRejection').filter((listener) => listener !== process.listeners('unhandledRejection').at(-1))
    for (const listener of listeners) process.off('unhandledRejection', listener)
    const pushed = name === 'ioredis' ? cache.lpush?.('a', 'x') : cache.lPush?.('a', 'x')
    t.ok(pushed)
    t.match(await unhandled, /WRONGTYPE/)
    for (const listener of listeners) process.on('unhandledRejection', listener)
    await subject.end?.(cache as unknown as CacheLike)
  }
})

t.test('instrumentation that fails is counted and reaches nobody', async (t) => {
  const registry = new Registry()
  const caches = await Promise.all(Object.entries(subjects).map(async ([name, subject]) => {
    const cache = await subject.make()
    instrumentCache(cache, { registry, backend: name })
    return [subject, cache as unknown as Methods] as const
  }))
  for (const metric of registry.getMetricsAsArray() as unknown as Array<{ name: string, reset (): void, resolve: unknown }>) {
    if (!metric.name.startsWith('cache_')) continue
    metric.reset()
    metric.resolve = () => { throw new Error('sabotage') }
  }
  for (const [subject, cache] of caches) {
    await cache.set?.('a', '1')
    t.equal(await cache.get?.('a'), '1')
    await subject.end?.(cache as unknown as CacheLike)
  }
  t.match(await registry.metrics(), /metrics_instrumentation_errors_total{source="cache"} [1-9]/)
})

type Step = readonly ['set' | 'get' | 'has' | 'delete' | 'bad', number] | readonly ['many', readonly number[]]
const keys = fc.integer({ min: 0, max: 5 })
const program = fc.array(fc.oneof<[fc.Arbitrary<Step>, fc.Arbitrary<Step>]>(
  fc.tuple(fc.constantFrom('set', 'get', 'has', 'delete', 'bad'), keys) as fc.Arbitrary<Step>,
  fc.tuple(fc.constant('many'), fc.array(keys, { minLength: 1, maxLength: 6 })) as fc.Arbitrary<Step>
), { maxLength: 40 })

t.test('of any program the numbers add up', async (t) => {
  const redis = new Redis({ port, db: 3 })
  const node = createClient({ url, database: 4 })
  await node.connect()
  const doubles = {
    ioredis: () => ({ cache: redis, clear: () => redis.flushdb(), many: (all: string[]) => redis.mget(all), has: (key: string) => redis.exists(key), bad: () => redis.call('LPUSH', 'x'), del: (key: string) => redis.del(key) }),
    'node-redis': () => ({ cache: node, clear: () => node.flushDb(), many: (all: string[]) => node.mGet(all), has: (key: string) => node.exists(key), bad: () => node.sendCommand(['LPUSH', 'x']), del: (key: string) => node.del(key) }),
    Keyv: () => {
      const keyv = new Keyv<string>()
      return { cache: keyv, clear: () => keyv.clear(), many: (all: string[]) => keyv.getMany(all), has: (key: string) => keyv.has(key), bad: () => keyv.set('s', Symbol('s') as never), del: (key: string) => keyv.delete(key) }
    }
  }
  for (const [name, make] of Object.entries(doubles)) {
    await fc.assert(fc.asyncProperty(program, fc.boolean(), async (steps, isConcurrent) => {
      const { cache, clear, many, has, bad, del } = make()
      await clear()
      const registry = new Registry()
      const undo = instrumentCache(cache as unknown as CacheLike, { registry })
      const there = new Set<number>()
      const expected = { hits: 0, misses: 0, bad: 0, operations: 0 }
      const pending: unknown[] = []
      const read = (key: number) => { if (there.has(key)) expected.hits++; else expected.misses++ }
      for (const [what, of] of steps) {
        expected.operations++
        let done: unknown
        if (what === 'many') {
          for (const key of of) read(key)
          done = many(of.map(String))
        } else if (what === 'get') {
          read(of)
          done = (cache as unknown as Methods).get?.(String(of))
        } else if (what === 'set') {
          there.add(of)
          done = (cache as unknown as Methods).set?.(String(of), '')
        } else if (what === 'delete') {
          there.delete(of)
          done = del(String(of))
        } else if (what === 'has') {
          done = has(String(of))
        } else {
          expected.bad++
          done = Promise.resolve(bad()).catch(() => {})
        }
        // Keyv's calls may overtake each other.
        if (isConcurrent && name !== 'Keyv') pending.push(done)
        else await done
      }
      await Promise.all(pending)
      undo()
      const numbers = await cacheNumbers(registry)
      const errors = Object.values(numbers.errors).reduce((a, b) => a + b, 0)
      const operations = Object.values(numbers.operations).reduce((a, b) => a + b, 0)
      return numbers.gets === expected.hits + expected.misses && numbers.hits === expected.hits && numbers.misses === expected.misses &&
        errors === expected.bad && operations === expected.operations
    }), { numRuns: 60 })
    t.pass(name)
  }
  redis.disconnect()
  await node.close()
})
