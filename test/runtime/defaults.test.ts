import * as prometheusIo from '@prometheus-io/client'
import * as platformatic from '@platformatic/prom-client'
import Fastify, { type FastifyInstance } from 'fastify'
import perfHooks from 'node:perf_hooks'
import { Counter, Registry, collectDefaultMetrics } from 'prom-client'
import t, { type Test } from 'tap'
import { metricsPlugin, type MetricsPluginOptions, type RegistryLike } from '../../src/index.js'
import { DEFAULT_METRICS, collectors } from '../../src/runtime/collectors.js'
import { Page } from '../support/page.js'

/** Of those that say what runs at this moment there may be none at the next. */
const MOMENTARY = /^nodejs_active_(resources|handles|requests)$/
/** A garbage collection may not have happened yet. */
const EVENTS = 'nodejs_gc_duration_seconds'

async function application (t: Test, options: MetricsPluginOptions): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(metricsPlugin, { registry: new Registry(), ...options })
  return app
}

const families = async (app: FastifyInstance) => [...(await app.metrics.render()).matchAll(/^# TYPE ((?:process|nodejs)_\S+)/gm)].map(([, name]) => name as string).sort()
const page = async (app: FastifyInstance) => new Page(await app.metrics.render())

/** Counts what prom-client starts. */
function starts (t: Test): { observers: number, histograms: number } {
  const { PerformanceObserver, monitorEventLoopDelay } = perfHooks
  const started = { observers: 0, histograms: 0 }
  t.teardown(() => { Object.assign(perfHooks, { PerformanceObserver, monitorEventLoopDelay }) })
  Object.assign(perfHooks, {
    PerformanceObserver: class extends PerformanceObserver {
      constructor (...args: ConstructorParameters<typeof PerformanceObserver>) {
        super(...args)
        started.observers++
      }
    },
    monitorEventLoopDelay: (...args: Parameters<typeof monitorEventLoopDelay>) => {
      started.histograms++
      return monitorEventLoopDelay(...args)
    }
  })
  return started
}

t.test('the names are those of prom-client, and so are the collectors', async (t) => {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const there = registry.getMetricsAsArray().map(({ name }) => name)
  t.same(there.filter((name) => !(DEFAULT_METRICS as readonly string[]).includes(name)), [], 'each is known')
  if (process.platform === 'linux') t.same(there.sort(), [...DEFAULT_METRICS].sort())
  t.same(Object.keys(collectors).sort(), [...collectDefaultMetrics.metricsList].sort())
})

t.test('any one can be left out, and all others are as before', async (t) => {
  const all = await application(t, {})
  const names = await families(all)
  const valued = (page: Page) => [...new Set(page.samples.map(({ name }) => name))].filter((name) => /^(process|nodejs)_/.test(name) && !MOMENTARY.test(name) && !name.startsWith(EVENTS)).sort()
  const before = valued(await page(all))
  t.ok(before.length > 25)
  for (const left of DEFAULT_METRICS) {
    const app = await application(t, { metrics: { [left]: false } })
    t.same(await families(app), names.filter((name) => name !== left), `without ${left}`)
    const after = await page(app)
    t.same(valued(after), before.filter((name) => name !== left), `each of the others has values without ${left}`)
    for (const name of ['process_cpu_seconds_total', 'process_heap_bytes', 'nodejs_heap_size_used_bytes', 'nodejs_heap_space_size_used_bytes', 'nodejs_eventloop_lag_min_seconds']) {
      if (name !== left && before.includes(name)) t.ok(after.sum(name) > 0, `${name} is read without ${left}`)
    }
    await app.close()
  }
})

t.test('what is left out does not run', async (t) => {
  const started = starts(t)
  await application(t, {})
  t.same(started, { observers: 1, histograms: 1 })
  const lag = Object.fromEntries(collectors.eventLoopLag.metrics.map((name) => [name, false]))
  await application(t, { metrics: { nodejs_gc_duration_seconds: false } })
  t.same(started, { observers: 1, histograms: 2 }, 'no observer of garbage collection')
  await application(t, { metrics: lag })
  t.same(started, { observers: 2, histograms: 2 }, 'no histogram of the delay of the event loop')
  await application(t, { metrics: { ...lag, nodejs_gc_duration_seconds: false } })
  await application(t, { runtime: false })
  t.same(started, { observers: 2, histograms: 2 })
})

t.test('runtime: false is for all, and single ones can be on', async (t) => {
  const app = await application(t, { runtime: false, metrics: { process_start_time_seconds: true } })
  t.same(await families(app), ['process_start_time_seconds'])
  t.ok(Math.abs((await page(app)).sum('process_start_time_seconds') - (Date.now() / 1000 - process.uptime())) < 2, 'when it began')
  t.same(await families(await application(t, { runtime: false })), [])
  t.same((await page(await application(t, { runtime: false }))).of('app_build_info'), [])
})

t.test('unknown names are refused with those that there are', async (t) => {
  for (const [options, message] of [
    [{ metrics: { nodejs_gc: false } }, /option 'metrics\.nodejs_gc' must be one of .*nodejs_gc_duration_seconds.*nodejs_eventloop_time_seconds_total, app_build_info, log_messages_total/],
    [{ metrics: { nodejs_version_info: 1 } }, /option 'metrics\.nodejs_version_info' must be true or false, got 1/],
    [{ runtime: { nodejs_gc_duration_seconds: false } }, /option 'runtime' must be true or false; single metrics are switched in 'metrics', got an object with 1 key/]
  ] as Array<[unknown, RegExp]>) {
    await t.rejects(application(t, options as MetricsPluginOptions), { code: 'FP_ERR_INVALID_OPTION', message })
  }
})

t.test('in a registry of any library, of OpenMetrics, cleared, twice, and beside what is there already', async (t) => {
  const openMetrics = new Registry()
  openMetrics.setContentType(Registry.OPENMETRICS_CONTENT_TYPE as never)
  for (const registry of [new Registry(), openMetrics, new prometheusIo.Registry() as RegistryLike, new platformatic.Registry() as RegistryLike]) {
    const options = { registry, prefix: 'dogs_', metrics: { nodejs_eventloop_lag_seconds: false, nodejs_gc_duration_seconds: false } } satisfies MetricsPluginOptions
    const apps = await Promise.all([application(t, options), application(t, options)])
    const app = await application(t, { registry, prefix: 'dogs_', metrics: { nodejs_eventloop_lag_seconds: false } })
    for (const round of ['at first', 'after clear()']) {
      const shown = await page(app)
      t.equal(shown.of('dogs_process_cpu_seconds_total').length, 1, round)
      t.same(shown.of('dogs_nodejs_eventloop_lag_seconds'), [])
      t.ok(shown.sum('dogs_nodejs_eventloop_lag_min_seconds') > 0)
      t.match(shown.text, '# TYPE dogs_nodejs_gc_duration_seconds histogram', 'another application may have asked for it')
      ;(registry as Registry).clear()
    }
    for (const each of [...apps, app]) await each.close()
  }
  const users = new Registry()
  const own = new Counter({ name: 'process_open_fds', help: "The user's own.", registers: [users] })
  const app = await application(t, { registry: users })
  t.equal(users.getSingleMetric('process_open_fds'), own, "a metric of the user's own stays")
  t.equal((await page(app)).of('nodejs_version_info').length, 1)
})
