import Fastify, { type FastifyInstance } from 'fastify'
import cluster from 'node:cluster'
import { rm } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { MetricsError } from '../validation/errors.js'
import type { OwnSettings, PortSettings } from './settings.js'
import { beside, NUMBER, takePath } from './socket.js'

/** A server that serves nothing but metrics. */
export interface MetricsServer {
  /** Its address; 'localhost' if it listens on a Unix socket. */
  readonly host: string
  /** The port that the server took; 0 if it listens on a Unix socket. */
  readonly port: number
  /** The path of its Unix socket; undefined if it listens on a port. */
  readonly socket: string | undefined
  /** The URL of the page, such as http://127.0.0.1:9464/metrics; of a socket http://unix:/run/app.sock:/metrics. */
  readonly url: string
  /** Cuts all connections and stops listening. */
  close (): Promise<void>
}

/**
 * Milliseconds in which a request must have arrived whole, with its body. No scraper sends a body, and without this
 * limit half a request would stay for ever.
 */
const REQUEST_TIMEOUT = 30_000
const MOST_SOCKETS = 1000

/**
 * Serves pages, and /-/healthy as Prometheus' own servers do, on the first free port of the range, or on the first free
 * socket.
 * @param path of the page of the metrics
 * @param serve adds the pages
 * @throws MetricsError FP_ERR_PORT_TAKEN when none is free, and any other error that keeps a server from listening
 */
export async function listen (own: OwnSettings, path: string, serve: (server: FastifyInstance) => void): Promise<MetricsServer> {
  const made = () => {
    const server = Fastify({ forceCloseConnections: true, requestTimeout: REQUEST_TIMEOUT })
    serve(server)
    server.get('/-/healthy', async (_request, reply) => await reply.type('text/plain').send('Healthy\n'))
    return server
  }
  return 'socket' in own ? await listenOnSocket(own.socket, made, path) : await listenOnPort(own, made, path)
}

async function listenOnPort ({ from, to, host }: PortSettings, made: () => FastifyInstance, page: string): Promise<MetricsServer> {
  for (let port = from; port <= to; port++) {
    const server = made()
    try {
      // Without `exclusive`, all workers of a cluster would share one port, and a scraper would get the numbers of any
      // worker.
      await server.listen({ port, host, exclusive: true })
      const taken = (server.server.address() as AddressInfo).port
      return { host, port: taken, socket: undefined, url: `http://${host.includes(':') ? `[${host}]` : host}:${taken}${page}`, close: async () => { await server.close() } }
    } catch (error) {
      await server.close()
      const { code } = error as NodeJS.ErrnoException
      if (code !== 'EADDRINUSE' && code !== 'EACCES') throw error
    }
  }
  throw new MetricsError('FP_ERR_PORT_TAKEN', `${from === to ? `port ${from}` : `each of the ports ${from} to ${to}`} of ${host} is taken or not ours to use; ` +
    (cluster.isWorker ? "each worker of a cluster needs one of its own: give 'port' a range, { from, to }" : "free one, or give 'port' another or a range, { from, to }"))
}

async function listenOnSocket (pattern: string, made: () => FastifyInstance, page: string): Promise<MetricsServer> {
  for (let n = 0; n < MOST_SOCKETS; n++) {
    const socket = pattern.replace(NUMBER, String(n))
    const server = made()
    try {
      const draft = beside(socket)
      await server.listen({ path: draft, exclusive: true })
      if (await takePath(draft, socket)) {
        const close = async () => {
          // Node removes the path on which it began to listen, and this is another one.
          await rm(socket, { force: true })
          await server.close()
        }
        return { host: 'localhost', port: 0, socket, url: `http://unix:${socket}:${page}`, close }
      }
    } catch (error) {
      await server.close()
      // What the system calls ENOENT, Node calls EACCES here.
      if ((error as NodeJS.ErrnoException).code !== 'EACCES') throw error
      throw new MetricsError('FP_ERR_PORT_TAKEN', `the folder of the socket ${socket} is not there, or this process may not write to it; make it, or give 'socket' another path`)
    }
    await server.close()
    if (socket === pattern) break
  }
  throw new MetricsError('FP_ERR_PORT_TAKEN', `another process listens on the socket ${pattern}; end it, give 'socket' another path, or put ${NUMBER} into the path, which is the first number that is free`)
}
