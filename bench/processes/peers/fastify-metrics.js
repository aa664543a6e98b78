// Its README says nothing about several processes, so each worker serves its page on the port that they share.
import cluster from 'node:cluster'
import Fastify from 'fastify'
import plugin from 'fastify-metrics'
import { answer, forkWorkers, HOST, PORT } from './common.js'

if (cluster.isPrimary) {
  forkWorkers()
} else {
  const app = Fastify()
  await app.register(plugin.default ?? plugin, { endpoint: '/metrics' })
  for (const path of ['/walk', '/ready', '/block', '/end']) app.get(path, async (_request, { raw }) => answer(path, raw))
  await app.listen({ port: PORT, host: HOST })
}
