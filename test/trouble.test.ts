import { Registry } from 'prom-client'
import t from 'tap'
import { once } from 'node:events'
import { assertSeries } from '../src/testing/index.js'
import { Trouble } from '../src/trouble.js'

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

t.test('two in one registry count together', async (t) => {
  const registry = new Registry()
  for (let i = 0; i < 2; i++) new Trouble({ registry }, () => {}).report('pg', new Error('again'))
  await assertSeries(registry, 'metrics_instrumentation_errors_total', { source: 'pg' }, 2)
  t.pass()
})
