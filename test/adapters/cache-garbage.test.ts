import t from 'tap'
import { createRequire } from 'node:module'
import { createCache } from 'cache-manager'
import { Redis } from 'ioredis'
import { Keyv } from 'keyv'
import { Registry } from 'prom-client'
import { createClient } from 'redis'
import { instrumentCache, type CacheLike } from '../../adapters/cache.js'
import { startBrokenRedis } from '../cache/broken-redis.js'
import { cacheNumbers, type CacheNumbers } from '../cache/numbers.js'
import { seenBy, sight, sights } from '../cache/sight.js'

const require = createRequire(import.meta.url)
// Of ten frames fewer would be the application's.
Error.stackTraceLimit = 40
const { Redis: Redis6 } = createRequire(require.resolve('@fastify/redis'))('ioredis') as { Redis: typeof Redis }

const sum = (counts: Readonly<Record<string, number>>) => Object.values(counts).reduce((a, b) => a + b, 0)

/** Lines of a page that have text of the application, or trouble of the adapter. */
const leaks = (page: string) => page.split('\n').filter((line) => /SECRET|instrumentation_errors_total{.*} [1-9]/.test(line))

/** What a server answers to GET, MGET, HGETALL and SET. What is not said is answered well. */
const GARBAGE: Record<string, string> = {
  'another protocol': 'HTTP/1.1 400 Bad Request\r\nSECRET: 1\r\n\r\n',
  'a number': ':42\r\n',
  'a number that is none': ':SECRET\r\n',
  'an array': '*2\r\n$1\r\na\r\n$1\r\nb\r\n',
  'an array that is too short': '*1\r\n$1\r\na\r\n',
  'an array that is too long': '*5\r\n$-1\r\n$-1\r\n$-1\r\n$1\r\nb\r\n:1\r\n',
  'no array': '*-1\r\n',
  'arrays in arrays': '*2\r\n*1\r\n*0\r\n$-1\r\n',
  'a word': '+OK\r\n',
  'no word': '+\r\n',
  'an error without a word': '-\r\n',
  'an error of the application': '-SECRET of the application\r\n',
  'an error in an array': '*2\r\n-ERR SECRET\r\n$1\r\na\r\n',
  'a length that is none': '$SECRET\r\nab\r\n',
  'a negative length': '$-5\r\n',
  'more than was asked for': '$1\r\na\r\n$1\r\nb\r\n',
  'text that is cut off': '$100\r\nSECRET',
  'an array that is cut off': '*3\r\n$1\r\na\r\n',
  'bytes of RESP3': '%1\r\n+a\r\n#t\r\n',
  'zeroes': '\0\0\0\r\n',
  nothing: ''
}

interface Client {
  get (key: string): Promise<unknown>
  mget (keys: string[]): Promise<unknown>
  hgetall (key: string): Promise<unknown>
  set (key: string, value: string): Promise<unknown>
  on (event: string, listener: (...args: unknown[]) => void): unknown
}

/** Clients that do not connect again. */
const CLIENTS: Record<string, (port: number) => Client> = {
  'ioredis 5': (port) => new Redis({ port, retryStrategy: () => null, enableReadyCheck: false }) as unknown as Client,
  'ioredis 6': (port) => new Redis6({ port, retryStrategy: () => null, enableReadyCheck: false }) as unknown as Client,
  'node-redis': (port) => {
    const redis = createClient({ RESP: 2, socket: { port, host: '127.0.0.1', reconnectStrategy: false } })
    return Object.assign(redis, { mget: redis.mGet, hgetall: redis.hGetAll }) as unknown as Client
  }
}

for (const [name, make] of Object.entries(CLIENTS)) {
  t.test(`${name}: of a server that answers garbage an application sees the same with and without`, async (t) => {
    for (const [title, garbage] of Object.entries(GARBAGE)) {
      const server = await startBrokenRedis(t, (socket, [command = '', key]) => {
        if (key === 'good') socket.write('$1\r\na\r\n')
        else if (/^(?:get|mget|hgetall|set)$/i.test(command)) socket.end(garbage)
        else socket.write('+OK\r\n')
      })
      for (const command of ['get', 'mget', 'hgetall', 'set'] as const) {
        const all: string[] = []
        for (const how of ['bare', 'observed']) {
          const registry = new Registry()
          const cache = make(server.port)
          if (how === 'observed') instrumentCache(cache as unknown as CacheLike, { registry })
          const events: unknown[] = []
          for (const event of ['error', 'close', 'end']) cache.on(event, (...args) => { events.push(event, ...args.map(sight)) })
          const ended = new Promise((resolve) => { for (const event of name === 'node-redis' ? ['error', 'end'] : ['end']) cache.on(event, resolve) })
          const connect = (cache as { connect?: () => Promise<unknown> }).connect
          if (name === 'node-redis') await connect?.call(cache)
          let rejected = 0
          const call = async (of: (note: (...seen: unknown[]) => void) => unknown) => await seenBy(async (note) => {
            try {
              return await of(note)
            } catch (error) {
              rejected++
              throw error
            }
          })
          const seen = [await call(() => cache.get('good')), ...await Promise.all([
            call(() => command === 'set' ? cache.set('bad', 'SECRET') : command === 'mget' ? cache.mget(['bad', 'SECRET']) : cache[command]('bad')),
            call(() => cache.get('after'))
          ])]
          await ended
          seen.push(await call(() => cache.get('late')))
          all.push(sights([seen, events]))
          if (how === 'bare') continue
          const numbers = await cacheNumbers(registry)
          t.equal(numbers.hits + numbers.misses, numbers.gets, `${title}, ${command}: the keys add up`)
          t.equal(sum(numbers.errors), rejected, `${title}, ${command}: each error once`)
          t.equal(sum(numbers.operations), 4, `${title}, ${command}: each command once`)
          t.same(leaks(await registry.metrics()), [], `${title}, ${command}: no trouble, and no text of the application`)
        }
        t.equal(all[1], all[0], `${title}, ${command}`)
      }
    }
  })
}

class Cancelable<T> extends Promise<T> {
  cancel () { return 'cancelled' }
}

const throwing = () => Object.defineProperty({}, 'SECRET', { enumerable: true, get () { throw new RangeError('SECRET of a getter') } })
const frozen = Object.freeze({ then (resolve: (value: unknown) => void) { resolve('frozen') } })

function thrown (value: unknown): never {
  throw value
}

/** What a store may give, made anew for each call. */
const ODD: Record<string, () => unknown> = {
  undefined: () => undefined,
  null: () => null,
  'a number': () => 42,
  'a text that is no JSON': () => '{SECRET',
  'a symbol': () => Symbol.for('odd'),
  'a function': () => ODD.null,
  'an array that is too long': () => [1, undefined, 2, 3],
  'an array that is too short': () => [1],
  'an array with holes': () => new Array(2),
  'a Map': () => new Map([['a', 1]]),
  'a getter that throws': throwing,
  'an array whose getter throws': () => Object.defineProperty([1, 2], 0, { get () { throw new RangeError('SECRET of a getter') } }),
  'a proxy that throws': () => new Proxy({}, { get () { throw new RangeError('SECRET of a proxy') }, ownKeys () { throw new RangeError('SECRET of a proxy') } }),
  'a proxy that is revoked': () => {
    const { proxy, revoke } = Proxy.revocable({}, {})
    revoke()
    return proxy
  },
  'a promise': async () => 1,
  'a promise of nothing': async () => undefined,
  'a promise of what throws': async () => throwing(),
  'a promise that is rejected': async () => { throw new RangeError('SECRET of a promise') },
  'a promise that is rejected with nothing': async () => thrown(undefined),
  'a promise that is rejected with what throws': () => Promise.reject(Object.create(null, { code: { get () { throw new Error('SECRET') } }, constructor: { get () { throw new Error('SECRET') } } })),
  'a promise with a method': () => Object.assign(Promise.resolve(1), { cancel: () => 'cancelled' }),
  'a promise of a class of its own': () => Cancelable.resolve(1),
  'a promise of a class of its own that is rejected': () => Cancelable.reject(new RangeError('SECRET')),
  'a promise whose then throws': () => Object.assign(Promise.resolve(1), { then () { throw new RangeError('SECRET of then') } }),
  'a thenable': () => ({ then (resolve: (value: unknown) => void) { resolve('lazy') } }),
  'a thenable that is frozen': () => frozen,
  'a thenable that is rejected': () => ({ then (_: unknown, reject: (reason: unknown) => void) { reject(new RangeError('SECRET')) } }),
  'a thenable that throws': () => ({ then () { throw new RangeError('SECRET of then') } }),
  'a thenable that settles twice': () => ({ then (resolve: (value: unknown) => void, reject: (reason: unknown) => void) { resolve(1); resolve(2); reject(new Error('SECRET')) } }),
  'a then that throws when it is read': () => Object.defineProperty({}, 'then', { get () { throw new RangeError('SECRET of a getter') } }),
  'a thrown error': () => { throw new RangeError('SECRET that was thrown') },
  'a thrown text': () => thrown('SECRET'),
  'a thrown nothing': () => thrown(undefined)
}

type Call = (...args: unknown[]) => unknown
type Methods = Record<string, Call>

/** Each cache around an odd store: how to make it, and the calls of it that read two keys, one key, and none. */
const CACHES: Record<string, { make (odd: () => unknown): object, readonly many: string, readonly others: readonly string[] }> = {
  'get and set': { make: (odd) => ({ get: odd, set: odd, mget: odd, delete: odd, has: odd, clear: odd }), many: 'mget', others: ['set', 'delete', 'has', 'clear'] },
  'get and set, sealed by a proxy': { make: (odd) => new Proxy({ get: odd, set: odd, mget: odd }, {}), many: 'mget', others: ['set'] },
  Keyv: { make: (odd) => keyv({ get: odd, set: odd, delete: odd, has: odd, clear: odd }), many: 'getMany', others: ['set', 'delete', 'has', 'clear'] },
  'Keyv with many': { make: (odd) => keyv({ get: odd, getMany: odd, set: odd, setMany: odd, delete: odd, clear: odd }), many: 'getMany', others: ['setMany', 'delete'] },
  'Keyv that throws': { make: (odd) => keyv({ get: odd, set: odd, delete: odd, has: odd, clear: odd }, true), many: 'getMany', others: ['set', 'delete', 'has', 'clear'] },
  'Keyv, raw': { make: (odd) => keyv({ get: odd, set: odd, delete: odd, clear: odd }), many: 'getManyRaw', others: ['setRaw'] },
  'cache-manager': { make: (odd) => createCache({ stores: [keyv({ get: odd, set: odd, delete: odd, has: odd, clear: odd })] }), many: 'mget', others: ['set', 'del', 'ttl', 'clear', 'wrap'] },
  'cache-manager with two stores': { make: (odd) => createCache({ stores: [keyv({ get: odd, getMany: odd, set: odd, delete: odd, clear: odd }, true), new Keyv()] }), many: 'mget', others: ['set', 'wrap', 'clear'] },
  'cache-manager without Keyv': { make: (odd) => createCache({ stores: [{ get: odd, getMany: odd, set: odd, delete: odd, clear: odd, emit: odd } as unknown as Keyv] }), many: 'mget', others: ['set', 'wrap', 'clear'] }
}

function keyv (store: object, throwOnErrors = false): Keyv {
  const keyv = new Keyv({ store: store as Map<string, unknown>, throwOnErrors })
  keyv.on('error', () => {})
  return keyv
}

/** What a result is, and whether it is the very thing that the store gave. */
function shapeOf (value: unknown): unknown {
  try {
    return [typeof value, Object.prototype.toString.call(value), Object.keys(value as object), (value as object).constructor.name]
  } catch (error) {
    return [typeof value, String(error)]
  }
}

interface Audit {
  readonly seen: string
  readonly numbers: CacheNumbers
  readonly page: string
  readonly rejected: number
}

async function audit (name: string, odd: () => unknown, how: string): Promise<Audit> {
  const { make, many, others } = CACHES[name] as (typeof CACHES)[string]
  const registry = new Registry()
  const cache = make(odd) as Methods
  if (how !== 'bare') instrumentCache(cache as unknown as CacheLike, { registry })
  let rejected = 0
  const seen: unknown[] = []
  const call = async (method: string, ...args: unknown[]) => {
    seen.push(method, await seenBy(async (note) => {
      try {
        const result = cache[method]?.(...args)
        note(shapeOf(result))
        note(shapeOf(await result))
      } catch (error) {
        rejected++
        note('thrown', typeof error, error instanceof Error ? sight(error) : shapeOf(error))
      }
    }))
  }
  await call('get', 'a')
  await call(many, ['a', 'b'])
  for (const other of others) await call(other, other === 'setMany' ? [{ key: 'a', value: 1 }] : 'a', other === 'wrap' ? () => 'loaded' : 1)
  return { seen: sights(seen), numbers: await cacheNumbers(registry), page: await registry.metrics(), rejected }
}

for (const name of Object.keys(CACHES)) {
  t.test(`${name}: of a store that answers oddly an application sees the same with and without`, async (t) => {
    for (const [title, odd] of Object.entries(ODD)) {
      const audits = []
      for (const how of ['bare', 'observed']) audits.push(await audit(name, odd, how))
      const [bare, observed] = audits as [Audit, Audit]
      t.equal(observed.seen, bare.seen, title)
      const { gets, hits, misses, operations, errors } = observed.numbers
      t.equal(hits + misses, gets, `${title}: the keys add up`)
      t.ok(gets <= 4, `${title}: no key is counted twice`)
      // A thenable that is frozen is left alone.
      if (!title.includes('frozen')) t.ok((operations.get ?? 0) >= 2, `${title}: each read is counted`)
      if (name === 'get and set') t.equal(sum(errors), observed.rejected - (SEEN_BY_THE_CALLER.has(title) ? observed.rejected : 0), `${title}: each error once`)
      else t.ok(sum(errors) <= sum(operations), `${title}: no error is counted twice`)
      t.same(leaks(observed.page), [], `${title}: no trouble, and no text of the application`)
    }
  })
}

/** What is given well, and can only not be awaited. */
const SEEN_BY_THE_CALLER = new Set(['a proxy that throws', 'a proxy that is revoked', 'a then that throws when it is read'])
