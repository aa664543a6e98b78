import { Registry } from 'prom-client'
import t from 'tap'
import { once } from 'node:events'
import { inspect } from 'node:util'
import { assertSeries } from '../../src/testing/index.js'
import { Trouble } from '../../src/instrumentation/trouble.js'

t.test('an error is counted each time and logged the first time its source has one', async (t) => {
  const registry = new Registry()
  const logged: Array<[string, unknown]> = []
  const trouble = new Trouble({ registry, prefix: 'app_' }, (message, error) => logged.push([message, error]))
  const [first, second] = [new Error('first'), new Error('second')]
  trouble.report('pg', first)
  trouble.report('pg', second)
  trouble.report('http', second)
  trouble.report('http', undefined)
  await assertSeries(registry, 'app_metrics_instrumentation_errors_total', { source: 'pg' }, 2)
  await assertSeries(registry, 'app_metrics_instrumentation_errors_total', { source: 'http' }, 2)
  t.same(logged.map(([, error]) => error), [first, second])
  t.match(logged[0]?.[0], /^fastify-prometheus: pg failed; .*metrics_instrumentation_errors_total/)
})

t.test('it is counted, and nothing thrown, when the log throws', async (t) => {
  const registry = new Registry()
  const trouble = new Trouble({ registry }, () => { throw new Error('the log is full') })
  for (let i = 0; i < 3; i++) t.doesNotThrow(() => trouble.report('pg', new Error('no one hears')))
  await assertSeries(registry, 'metrics_instrumentation_errors_total', { source: 'pg' }, 3)
})

t.test('nothing is thrown for an error that cannot be shown', async (t) => {
  const registry = new Registry()
  const trouble = new Trouble({ registry })
  const unprintable = Object.create(null)
  t.doesNotThrow(() => trouble.report('pg', unprintable))
  t.doesNotThrow(() => trouble.report(Symbol('pg') as never, unprintable))
  await assertSeries(registry, 'metrics_instrumentation_errors_total', { source: 'pg' }, 1)
})

t.test('without a log of the user\'s own it is a process warning with the stack', async (t) => {
  const trouble = new Trouble({ registry: new Registry() })
  const warned = once(process, 'warning')
  const error = new Error('out of order')
  trouble.report('pg', error)
  const [warning] = await warned
  t.match(warning, { code: 'FP_WARN_INSTRUMENTATION', message: /^fastify-prometheus: pg failed; .*not logged again: Error: out of order\n {4}at / })
})

t.test('an error with a code says its type and where it came from, and nothing that a message may hold', async (t) => {
  const secret = 'hunter2'
  const [refused, failed] = [new Error(`connect ECONNREFUSED ${secret}`), new Error(`Key (token)=(${secret}) already exists.\n    at ${secret}`)]
  const wrapped = Object.assign(new Error(`${secret} is a duplicate`), { driverError: Object.assign(failed, { code: '23505', detail: secret }) })
  const logged: unknown[] = []
  const trouble = new Trouble({ registry: new Registry() }, (_message, error) => logged.push(error))
  const thrown = [Object.assign(refused, { code: 'ECONNREFUSED' }), failed, wrapped, secret, { secret }, [secret]]
  for (const [i, error] of thrown.entries()) trouble.report(`source ${i}`, error)
  t.equal(logged.length, thrown.length)
  for (const [i, type] of ['ECONNREFUSED', 'unique_violation', 'unique_violation'].entries()) {
    t.equal((logged[i] as Error).message, type)
    t.match((logged[i] as Error).stack, new RegExp(`^Error: ${type}\n {4}at .*trouble\\.test`))
  }
  t.notMatch(inspect(logged, { depth: Infinity, showHidden: true }), secret)
})

t.test('a process warning shows nothing of what was thrown in place of an error', async (t) => {
  const warned = once(process, 'warning')
  new Trouble({ registry: new Registry() }).report('pg', 'hunter2')
  const [warning] = await warned
  t.match(warning.message, 'a string of 7 characters was thrown')
  t.notMatch(warning.message, 'hunter2')
})

t.test('two in one registry count together', async (t) => {
  const registry = new Registry()
  for (let i = 0; i < 2; i++) new Trouble({ registry }, () => {}).report('pg', new Error('again'))
  await assertSeries(registry, 'metrics_instrumentation_errors_total', { source: 'pg' }, 2)
  t.pass()
})
