import fc from 'fast-check'
import Fastify from 'fastify'
import { Registry } from 'prom-client'
import t from 'tap'
import { instrumentPg, instrumentPool } from '../../adapters/pg.js'
import { instrumentDataSource, modelOpsSubscriber, refreshMigrations } from '../../adapters/typeorm.js'
import { Counter, Histogram, MetricsError, metricsPlugin, metricsServer } from '../../src/index.js'
import { show, showName } from '../../src/validation/errors.js'
import { assertSeries, assertSeriesChanged, assertSeriesCompare, assertSeriesUnchanged, snapshot } from '../../src/testing/index.js'

t.test('a value is shown by its kind and size', async (t) => {
  class Walk { readonly password = 'x' }
  const revoked = Proxy.revocable({}, {})
  revoked.revoke()
  const shown: Array<[unknown, string]> = [
    [undefined, 'undefined'], [null, 'null'], [true, 'true'], [5, '5'], [NaN, 'NaN'], [-Infinity, '-Infinity'], [5n, '5'],
    ['', "''"], ['x', 'a string of 1 character'], ['postgres://bob:secret@db', 'a string of 24 characters'],
    [[], '[]'], [[2, 1], '[ 2, 1 ]'], [[null, true], '[ null, true ]'], [['x'], 'an array of 1 element'], [Array(21).fill(1), 'an array of 21 elements'],
    [{}, '{}'], [{ a: 1 }, 'an object with 1 key'], [{ a: 1, b: 2 }, 'an object with 2 keys'], [Object.create(null), '{}'],
    [new Walk(), 'an instance of Walk'], [new Map(), 'an instance of Map'], [new Error('x'), 'an instance of Error'], [/x/, 'an instance of RegExp'], [Buffer.from('x'), 'an instance of Buffer'],
    [Symbol('x'), 'a symbol'], [() => 'x', 'a function'], [Walk, 'a class'], [Object.create({ constructor: 'x' }), 'an object'],
    [Promise.resolve('x'), "a promise: is an 'await' missing?"], [{ then () {}, catch () {} }, "a promise: is an 'await' missing?"], [Fastify(), /^an object with \d+ keys$/.source],
    [revoked.proxy, 'an object that cannot be read'], [new Proxy({}, { getPrototypeOf () { throw new Error('x') } }), 'an object that cannot be read']
  ]
  for (const [value, text] of shown) t.match(show(value), text.startsWith('^') ? new RegExp(text) : text)
  t.same(['endpoint', 'name-of.it', 'postgres://bob', 'x'.repeat(65)].map(showName), ['endpoint', 'name-of.it', '<a name of 14 characters>', '<a name of 65 characters>'])
})

const SECRET = 's3cr3t'
/** Values that hold the secret somewhere, and some that say so when they are looked at. */
const secretive = fc.letrec((tie) => ({
  value: fc.oneof({ maxDepth: 3 },
    fc.tuple(fc.string(), fc.string()).map(([a, b]) => `${a}${SECRET}${b}`),
    fc.constantFrom(`postgres://bob:${SECRET}@db/dogs`, `/${SECRET}`, `Basic ${SECRET}`, `${SECRET}_`, `1${SECRET}`),
    fc.constantFrom(SECRET, 'password').map((key) => ({ [`${key} ${SECRET}`]: SECRET, password: SECRET, connectionString: SECRET })),
    fc.constant(null).map(() => ({ toString: () => SECRET, toJSON: () => SECRET, [Symbol.toStringTag]: SECRET })),
    fc.constant(null).map(() => Object.assign(() => SECRET, { inspect: SECRET })),
    fc.constant(null).map(() => Object.assign(new Error(SECRET), { code: SECRET })),
    fc.constant(null).map(() => Promise.resolve(SECRET)),
    fc.constant(null).map(() => new Proxy({}, { get () { throw new Error(SECRET) }, ownKeys () { throw new Error(SECRET) } })),
    fc.constant(null).map(() => ({ get host (): string { throw new Error(SECRET) }, get endpoint (): string { throw new Error(SECRET) }, get alias (): string { throw new Error(SECRET) } })),
    fc.constant(null).map(() => new Map([[SECRET, SECRET]])),
    fc.array(tie('value'), { minLength: 1, maxLength: 3 }),
    fc.dictionary(fc.constantFrom('path', 'port', 'from', 'user', 'alias', 'options', 'metrics', 'growthFactor', SECRET.repeat(20)), tie('value'), { minKeys: 1 })
  )
})).value

const PLUGIN_OPTIONS = ['registry', 'prefix', 'endpoint', 'buckets', 'labels', 'excludeRoutes', 'metrics', 'runtime', 'maxSeries', 'nativeHistograms', 'exemplars', 'unknown', 'register', 'url']
const ENDPOINT_OPTIONS = ['path', 'port', 'host', 'maxScrapes', 'created', 'counted', 'url', 'unknown']

async function register (options: unknown): Promise<void> {
  const app = Fastify()
  try {
    await app.register(metricsPlugin, options as never)
    await app.ready()
  } finally {
    await app.close()
  }
}

/** How many of the entrances are the constructors of instruments, the last ones. */
const INSTRUMENTS = 5

/** Every way into this package, with the value at each place that takes one. */
function entrances (value: unknown): Array<() => unknown> {
  const registry = new Registry()
  const any = value as never
  const options = ['registry', 'prefix', 'maxSeries', 'nativeHistograms', 'exemplars', 'alias', 'buckets', 'count', 'migrations', 'models', 'unknown'].map((name) => ({ [name]: value }) as never)
  const before = snapshot(registry)
  return [
    () => register(value),
    ...PLUGIN_OPTIONS.map((name) => () => register({ registry, runtime: false, [name]: value })),
    ...ENDPOINT_OPTIONS.map((name) => () => register({ registry, runtime: false, endpoint: { [name]: value } })),
    () => metricsServer(any).then((server) => server.close()),
    ...ENDPOINT_OPTIONS.map((name) => () => metricsServer({ registry, port: 0, [name]: value }).then((server) => server.close())),
    ...[instrumentPool, instrumentPg, instrumentDataSource, modelOpsSubscriber, refreshMigrations].map((enter) => () => enter(any)),
    ...options.flatMap((options) => [() => instrumentPool(any, options), () => instrumentPg(any, options), () => modelOpsSubscriber('walk', options)]),
    () => snapshot(any), () => assertSeries(any, 'a', {}, 1), () => assertSeries(registry, any, {}, 1), () => assertSeries(registry, 'a', any, 1),
    async () => assertSeriesChanged(registry, await before, 'a', {}, any),
    () => assertSeriesUnchanged(registry, any, 'a', {}), async () => assertSeriesCompare(registry, await before, 'a', {}, any),
    () => new Counter({ name: any, help: 'x', registers: [] }), () => new Counter({ name: 'a', help: 'x', registers: any }),
    () => new Counter({ name: 'a', help: 'x', maxSeries: any, registers: [] }), () => new Histogram({ name: 'a', help: 'x', native: any, registers: [] }),
    () => new Histogram({ name: 'a', help: 'x', native: { growthFactor: any }, registers: [] })
  ]
}

/** Whether it is not this package's word: an assertion that failed, Node's own of an address. */
function isAnothers (error: { name?: unknown, code?: unknown }): boolean {
  return error.name === 'AssertionError' || error.code === 'ENOTFOUND' || error.code === 'EAI_AGAIN'
}

t.test('whatever is given anywhere is taken or refused with a code, and no error shows it', { timeout: 120_000 }, async (t) => {
  let refused = 0
  await fc.assert(fc.asyncProperty(secretive, async (value) => {
    const all = entrances(value)
    for (const [i, enter] of all.entries()) {
      try {
        await enter()
      } catch (error) {
        const { code, stack, message } = error as { code?: unknown, stack?: unknown, message?: unknown }
        const isInstrument = i >= all.length - INSTRUMENTS
        // Instruments keep the classes of prom-client's errors, and let a getter's through.
        if (isAnothers(error as object) || (isInstrument && message === SECRET)) continue
        if (!isInstrument && !(error instanceof MetricsError)) throw error
        if (code === 'FP_ERR_INVALID_OPTION' || code === 'FP_ERR_INVALID_TARGET') refused++
        if (String(stack).includes(SECRET)) throw new Error(`entrance ${i} said ${String(error)}`)
      }
    }
  }), { numRuns: 40 })
  t.ok(refused > 1000, `${refused} were refused`)
})
