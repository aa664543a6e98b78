import fastify, { type FastifyInstance } from 'fastify'
import { Registry } from 'prom-client'
import t, { type Test } from 'tap'
import { Counter, contributeMetrics, metricsPlugin, metricsServer } from '../../src/index.js'
import { temporaryFolder } from '../support/temporary-folder.js'
import { valueOf } from './fleet.js'

/*
 * Several applications in one process, and one that closes while its process goes on.
 */
const WALKS = /^walks_total /

async function start (t: Test, walks: number, processes: true | { dir: string }, registry = new Registry()): Promise<{ app: FastifyInstance, walks: Counter, page: () => Promise<number> }> {
  const app = fastify()
  await app.register(metricsPlugin, { registry, processes, runtime: false })
  const known = registry.getSingleMetric('walks_total') as unknown as Counter | undefined
  const counter = known ?? new Counter({ name: 'walks_total', help: 'Walks.', registers: [registry] })
  counter.inc(walks)
  await app.ready()
  t.teardown(() => app.close())
  return { app, walks: counter, page: async () => valueOf((await app.inject('/metrics')).body, WALKS) }
}

t.test('applications with registries of their own do not mix, and one that is started again goes on', async (t) => {
  const before = process.env['TMPDIR']
  process.env['TMPDIR'] = await temporaryFolder(t, 'a')
  t.teardown(() => { if (before === undefined) delete process.env['TMPDIR']; else process.env['TMPDIR'] = before })
  const [first, second] = [await start(t, 1, true), await start(t, 10, true)]
  t.same([await first.page(), await second.page()], [1, 10])
  await first.app.close()
  const next = await start(t, 100, true)
  t.same([await next.page(), await second.page()], [101, 10])
})

t.test('a page, a port and a contribution of one registry are one process', async (t) => {
  const dir = await temporaryFolder(t, 'a')
  const registry = new Registry()
  const more = new Registry()
  new Counter({ name: 'dogs_total', help: 'Dogs.', registers: [more] }).inc(3)
  const { page, app } = await start(t, 5, { dir }, registry)
  const server = await metricsServer({ port: 0, registry: [registry, more], processes: { dir } })
  const contribution = await contributeMetrics({ registry, processes: { dir } })
  t.equal(await page(), 5)
  const text = await (await fetch(server.url)).text()
  t.equal(valueOf(text, WALKS), 5)
  t.equal(valueOf(text, /^dogs_total /), 3, 'what a further registry has is there, too')
  t.match(text, 'metrics_processes{state="live"} 1')
  await contribution.close()
  await server.close()
  t.equal(await page(), 5)
  await app.close()
  const again = await start(t, 0, { dir }, registry)
  t.equal(await again.page(), 5, 'the registry is there once, after it was closed, too')
})

t.test('what a process counts after its application has closed is not lost', async (t) => {
  const dir = await temporaryFolder(t, 'a')
  const { app, walks } = await start(t, 1, { dir })
  const other = await start(t, 0, { dir })
  await app.close()
  walks.inc(10)
  t.equal(await other.page(), 11)
})
