// A thread with an application: it contributes to the page of `dir`, and answers each message with what its event loop
// has done, before and after it has rendered a page of its own.
import Fastify from 'fastify'
import { performance } from 'node:perf_hooks'
import { parentPort, workerData } from 'node:worker_threads'
import { Registry } from 'prom-client'
import { metricsPlugin } from '../../src/index.js'

const { dir } = workerData as { dir: string }
const app = Fastify()
await app.register(metricsPlugin, { registry: new Registry(), runtime: false, metrics: { nodejs_eventloop_time_seconds_total: true }, processes: { dir } })
await app.ready()
parentPort?.on('message', async (what: 'read' | 'close') => {
  if (what === 'close') {
    await app.close()
    process.exit()
  }
  parentPort?.postMessage(performance.eventLoopUtilization())
})
parentPort?.postMessage('up')
