import Fastify, { type FastifyInstance } from 'fastify'
import cluster from 'node:cluster'
import type { AddressInfo } from 'node:net'
import type { Pages } from '../exposition/index.js'
import { MetricsError } from '../validation/errors.js'
import { serveMetrics } from './route.js'
import type { PortSettings, RouteSettings } from './settings.js'

/** A server that serves nothing but metrics. */
export interface MetricsServer {
  readonly host: string
  /** The port that the server took. */
  readonly port: number
  /** The URL of the page, such as http://127.0.0.1:9464/metrics. */
  readonly url: string
  /** Cuts all connections and stops listening. */
  close (): Promise<void>
}

/**
 * Milliseconds in which a request must have arrived whole, with its body. No scraper sends a body, and without this
 * limit half a request would stay for ever.
 */
const REQUEST_TIMEOUT = 30_000

/**
 * Serves the page, and /-/healthy as Prometheus' own servers do, on the first free port of the range.
 * @throws MetricsError FP_ERR_PORT_TAKEN when no port is free, and any other error that keeps a server from listening
 */
export async function listen ({ from, to, host }: PortSettings, route: RouteSettings, pages: Pages): Promise<MetricsServer> {
  for (let port = from; port <= to; port++) {
    const server = Fastify({ forceCloseConnections: true, requestTimeout: REQUEST_TIMEOUT })
    serveMetrics(server, { ...route, counted: true }, pages)
    server.get('/-/healthy', async (_request, reply) => await reply.type('text/plain').send('Healthy\n'))
    try {
      // Without `exclusive`, all workers of a cluster would share one port, and a scraper would get the numbers of any
      // worker.
      await server.listen({ port, host, exclusive: true })
      return described(server, host, route.path)
    } catch (error) {
      await server.close()
      const { code } = error as NodeJS.ErrnoException
      if (code !== 'EADDRINUSE' && code !== 'EACCES') throw error
    }
  }
  throw new MetricsError('FP_ERR_PORT_TAKEN', `${from === to ? `port ${from}` : `each of the ports ${from} to ${to}`} of ${host} is taken or not ours to use; ` +
    (cluster.isWorker ? "each worker of a cluster needs one of its own: give 'port' a range, { from, to }" : "free one, or give 'port' another or a range, { from, to }"))
}

function described (server: FastifyInstance, host: string, path: string): MetricsServer {
  const { port } = server.server.address() as AddressInfo
  return { host, port, url: `http://${host.includes(':') ? `[${host}]` : host}:${port}${path}`, close: async () => { await server.close() } }
}
