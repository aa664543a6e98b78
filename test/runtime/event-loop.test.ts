import Fastify, { type FastifyInstance } from 'fastify'
import { once } from 'node:events'
import { performance, type EventLoopUtilization } from 'node:perf_hooks'
import { Worker } from 'node:worker_threads'
import { Registry } from 'prom-client'
import t, { type Test } from 'tap'
import { metricsPlugin, type MetricsPluginOptions } from '../../src/index.js'
import { Page } from '../support/page.js'
import { promtoolIsContent } from '../support/promtool.js'
import { temporaryFolder } from '../support/temporary-folder.js'

const NAME = 'nodejs_eventloop_time_seconds_total'

async function application (t: Test, options: MetricsPluginOptions): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(metricsPlugin, { runtime: false, metrics: { [NAME]: true }, ...options })
  return app
}

const read = async (app: FastifyInstance) => {
  const page = new Page(await app.metrics.render())
  return { page, active: page.sum(NAME, { state: 'active' }), idle: page.sum(NAME, { state: 'idle' }) }
}

/** Whether a number is between two readings, in milliseconds. */
function between (t: Test, seconds: number, before: number, after: number, what: string): void {
  t.ok(seconds >= before / 1000 - 1e-9 && seconds <= after / 1000 + 1e-9, `${what}: ${before / 1000} <= ${seconds} <= ${after / 1000}`)
}

t.test('a scrape has how long the event loop was active and idle, of that moment', async (t) => {
  const app = await application(t, { registry: new Registry() })
  for (let i = 0; i < 3; i++) {
    const before = performance.eventLoopUtilization()
    const { page, active, idle } = await read(app)
    const after = performance.eventLoopUtilization()
    between(t, active, before.active, after.active, 'active')
    between(t, idle, before.idle, after.idle, 'idle')
    t.equal(page.of(NAME).length, 2)
    promtoolIsContent(t, page.text)
  }
})

t.test('what blocks the loop is active time, and a timer that is waited for is idle time', async (t) => {
  const app = await application(t, { registry: new Registry() })
  const first = await read(app)
  const until = performance.now() + 30
  while (performance.now() < until);
  const second = await read(app)
  t.ok(second.active - first.active >= 0.03)
  await new Promise((resolve) => setTimeout(resolve, 30))
  const third = await read(app)
  t.ok(third.idle > second.idle)
})

t.test('two applications with one registry show it once, under each prefix, and it stays when they close', async (t) => {
  const registry = new Registry()
  const one = await application(t, { registry })
  const two = await application(t, { registry })
  const other = await application(t, { registry, prefix: 'dogs_' })
  const before = performance.eventLoopUtilization()
  const { page, active } = await read(two)
  const after = performance.eventLoopUtilization()
  between(t, active, before.active, after.active, 'of one loop')
  between(t, page.sum(`dogs_${NAME}`, { state: 'active' }), before.active, after.active, 'under the prefix')
  await one.close()
  await other.close()
  t.ok((await read(two)).active >= active)
  registry.clear()
  t.ok((await read(two)).active >= active, 'a registry that was cleared has it again, and no less')
})

t.test('another registry of the page that has it already is enough', async (t) => {
  const first = new Registry()
  await application(t, { registry: first })
  const own = new Registry()
  const app = await application(t, { registry: [own, first] })
  t.equal(own.getSingleMetric(NAME), undefined)
  t.equal((await read(app)).page.of(NAME).length, 2)
})

t.test('a thread has a loop of its own, and on one page the loops add up; what an ended thread has counted stays', async (t) => {
  const dir = await temporaryFolder(t, 'threads')
  const app = await application(t, { registry: new Registry(), processes: { dir } })
  await app.ready()
  const worker = new Worker(new URL('thread.ts', import.meta.url), { workerData: { dir } })
  await once(worker, 'message')
  const loops = async () => {
    worker.postMessage('read')
    const [of] = await once(worker, 'message') as [EventLoopUtilization]
    const own = performance.eventLoopUtilization()
    return { active: own.active + of.active, idle: own.idle + of.idle }
  }
  const before = await loops()
  const { active, idle, page } = await read(app)
  const after = await loops()
  between(t, active, before.active, after.active, 'active')
  between(t, idle, before.idle, after.idle, 'idle')
  t.equal(page.of(NAME).length, 2)
  const exit = once(worker, 'exit')
  worker.postMessage('close')
  await exit
  const alone = await read(app)
  t.ok(alone.active >= active && alone.idle >= idle, 'no counter goes back')
  const now = performance.eventLoopUtilization()
  t.ok(alone.active + alone.idle > (now.active + now.idle) / 1000, 'it is more than that of one loop')
  await app.close()
})

t.test('where nothing measures the loop, nothing is shown', async (t) => {
  const { eventLoopUtilization } = performance
  t.teardown(() => { performance.eventLoopUtilization = eventLoopUtilization })
  performance.eventLoopUtilization = () => ({ active: 0, idle: 0, utilization: 0 })
  t.same((await read(await application(t, { registry: new Registry() }))).page.of(NAME), [], 'not in a loop that has not begun')
  Reflect.set(performance, 'eventLoopUtilization', undefined)
  t.same((await read(await application(t, { registry: new Registry() }))).page.of(NAME), [], 'nor in a runtime that has none')
})
