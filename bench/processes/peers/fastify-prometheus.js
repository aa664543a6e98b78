// As docs/processes.md says: the same option in each process that counts. With a port for it the primary serves a page, too.
import cluster from 'node:cluster'
import Fastify from 'fastify'
import { metricsPlugin } from 'fastify-prometheus'
import { answer, forkWorkers, HOST, METRICS_PORT, PORT } from './common.js'

const app = Fastify()
await app.register(metricsPlugin, { processes: true })
if (cluster.isPrimary) {
  forkWorkers()
  await app.listen({ port: METRICS_PORT, host: HOST })
} else {
  for (const path of ['/walk', '/ready', '/block', '/end']) app.get(path, async (_request, { raw }) => answer(path, raw))
  await app.listen({ port: PORT, host: HOST })
}
