import { once } from 'node:events'
import { connect, type AddressInfo, type Socket } from 'node:net'
import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import { Registry } from 'prom-client'
import { metricsPlugin, type MetricsPluginOptions } from '../../src/index.js'
import { Page } from './page.js'

/** A Fastify with the plugin on a registry of its own; closed at teardown. */
export async function service (
  t: { teardown: (fn: () => unknown) => void },
  { options = {}, server = {}, before, routes }: {
    options?: MetricsPluginOptions
    server?: FastifyServerOptions
    before?: (app: FastifyInstance) => void
    routes?: (app: FastifyInstance) => void
  } = {}
): Promise<{ app: FastifyInstance, registry: Registry, port: number, url: string, page: () => Promise<Page> }> {
  const registry = new Registry()
  const app = Fastify({ forceCloseConnections: true, ...server })
  t.teardown(() => app.close())
  before?.(app)
  app.register(metricsPlugin, { registry, runtime: false, ...options })
  routes?.(app)
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  return { app, registry, port, url: `http://127.0.0.1:${port}`, page: async () => new Page(await app.metrics.render()) }
}

/** The bytes of a request without a body; the server closes the connection after the answer. */
export function get (path: string, method = 'GET'): string {
  return `${method} ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`
}

/** Sends bytes over a connection of its own, and gives what came back when the server closed it. */
export async function exchange (port: number, ...chunks: Array<string | Buffer>): Promise<string> {
  const socket = await open(port)
  let answer = ''
  socket.setEncoding('latin1').on('data', (chunk: string) => { answer += chunk })
  for (const chunk of chunks) socket.write(chunk)
  await once(socket, 'close')
  return answer
}

/** A connection to a server of the test's, and the server's side of it. */
export async function openBoth (app: FastifyInstance, port: number): Promise<{ socket: Socket, connection: Socket }> {
  const connected = once(app.server, 'connection') as Promise<[Socket]>
  const socket = await open(port)
  const [connection] = await connected
  return { socket, connection }
}

/** A connection to a server of the test's. */
export async function open (port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  await once(socket, 'connect')
  return socket
}
