// Measures the bytes of heap and typed arrays that one label set of a histogram with 14 buckets takes. The label
// strings are made before.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { row } from './measure.js'

const SERIES = 20_000
const buckets = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]

export async function memory () {
  const ours = await bytes('ours')
  const peer = await bytes('prom-client')
  return [row('memory of one histogram label set, 14 buckets', `${ours.toFixed(0)} bytes, prom-client ${peer.toFixed(0)}: ${(ours / peer * 100).toFixed(0)} %`, 'at most 33 %', ours <= peer / 3)]
}

/** The bytes of one library, measured in a process of its own. The garbage is collected before and after. */
async function bytes (name) {
  const child = fork(fileURLToPath(import.meta.url), [name], { execArgv: ['--expose-gc'] })
  const [result] = await once(child, 'message')
  return result
}

if (process.send !== undefined && process.argv[1] === fileURLToPath(import.meta.url)) {
  const { Registry, Histogram: Theirs } = await import('prom-client')
  const { Histogram: Ours } = await import('fastify-prometheus')
  const Type = process.argv[2] === 'ours' ? Ours : Theirs
  const family = new Type({ name: 'h', help: 'h', labelNames: ['method', 'route', 'status_code'], buckets, registers: [new Registry()], maxSeries: SERIES })
  const methods = ['GET', 'POST']
  const statuses = ['200', '201', '304', '400', '404']
  const routes = Array.from({ length: SERIES / 10 }, (_, i) => `/resource/${i}/:id`)
  const used = () => {
    for (let i = 0; i < 3; i++) globalThis.gc()
    const { heapUsed, arrayBuffers } = process.memoryUsage()
    return heapUsed + arrayBuffers
  }
  const before = used()
  for (const method of methods) for (const route of routes) for (const status of statuses) family.labels(method, route, status).observe(0.1)
  process.send((used() - before) / SERIES)
  process.disconnect()
  if (family.name === '') throw new Error('kept alive to here')
}
