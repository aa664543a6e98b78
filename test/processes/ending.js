// node ending.js <how> <options of processes as JSON>: a process that counts, says 'up', and at a line of its input counts more and ends in that way at once. In one that is
// 'killed' or closes something, nothing of the process' end can save what it counted.
import cluster from 'node:cluster'
import { once } from 'node:events'
import process from 'node:process'
import { createInterface } from 'node:readline'
import * as platformatic from '@platformatic/prom-client'
import * as prometheusIo from '@prometheus-io/client'
import * as own from 'fastify-prometheus'
import { contributeMetrics, metricsPlugin, metricsServer } from 'fastify-prometheus'
import promClient from 'prom-client'

const [how, text] = process.argv.slice(2)
const processes = JSON.parse(text)
const registry = [new promClient.Registry(), new prometheusIo.Registry(), new platformatic.Registry()]

const libraries = { own: [own, registry[0]], prom_client: [promClient, registry[0]], prometheus_io: [prometheusIo, registry[1]], platformatic: [platformatic, registry[2]] }

/** Metrics of each library, which have no series yet. @returns what counts in all of them */
function metrics (prefix) {
  const all = Object.entries(libraries).map(([name, [{ Counter, Histogram, Summary }, register]]) => {
    const config = { help: 'Some.', labelNames: ['how', 'dog'], registers: [register] }
    const metric = (Kind, what) => new Kind({ ...config, name: `${prefix}_${name}_${what}`, ...what === 'distance' ? { buckets: [1, 50] } : {} })
    return { walks: metric(Counter, 'walks_total'), distances: [metric(Histogram, 'distance'), ...Summary === undefined ? [] : [metric(Summary, 'weight')]] }
  })
  return (dog, number) => {
    for (const { walks, distances } of all) {
      walks.inc({ how, dog }, number)
      for (const metric of distances) metric.observe({ how, dog }, number)
    }
  }
}

const early = metrics('early')
const first = metrics('first')
const last = () => {
  early('Rex', 10)
  early('Waldi', 100)
  first('Rex', 7)
  metrics('made_late')('Rex', 8)
}

const ways = {
  exit: () => process.exit(),
  'falls off the end': () => process.stdin.destroy(),
  'uncaught exception': () => { throw new Error('on purpose') },
  'unhandled rejection': () => { Promise.reject(new Error('on purpose')) },
  'signal with a handler': () => process.exit(),
  disconnect: () => cluster.worker.disconnect(),
  'primary is killed': () => process.kill(process.ppid, 'SIGKILL')
}

/** Those that close, and what does. */
const closing = {
  async 'app.close' () {
    const app = (await import('fastify')).default()
    app.register(metricsPlugin, { registry, processes, runtime: false })
    app.get('/walk', async () => {})
    await app.listen({ host: '127.0.0.1', port: 0 })
    return app
  },
  'server.close': () => metricsServer({ host: '127.0.0.1', port: 0, registry, processes })
}

async function begin () {
  early('Rex', 1)
  const closable = await (closing[how] ?? contributeMetrics)({ registry, processes })
  const end = ways[how] ?? (async () => {
    await closable.close()
    process.kill(process.pid, 'SIGKILL')
  })
  return () => {
    last()
    end()
  }
}

if (how === 'disconnect' || how === 'primary is killed') {
  if (cluster.isPrimary) {
    const worker = cluster.fork()
    await once(worker, 'message')
    process.stdout.write('up\n')
    createInterface({ input: process.stdin }).once('line', () => worker.send('end')).once('close', () => process.exit())
    await once(worker, 'exit')
    process.exit()
  } else {
    process.once('message', await begin())
    process.send('up')
  }
} else {
  const end = await begin()
  if (how === 'signal with a handler') process.on('SIGTERM', end)
  createInterface({ input: process.stdin }).once('line', end).once('close', () => { if (how !== 'falls off the end') process.exit() })
  process.stdout.write('up\n')
}
