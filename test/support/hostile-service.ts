import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createSecureServer, type ServerOptions } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { gzipSync } from 'node:zlib'

/** How the service answers, by the path. */
const answers: Record<string, (response: ServerResponse, request: IncomingMessage) => void> = {
  '/text': (response) => { response.end('hello') },
  '/large': (response) => { response.end(Buffer.alloc(1_000_000)) },
  '/nothing': (response) => { response.writeHead(204).end() },
  '/known': (response) => { response.writeHead(304).end() },
  '/failed': (response) => { response.writeHead(503).end('sorry') },
  '/redirected': (response) => { response.writeHead(302, { location: '/text' }).end() },
  '/cached': (response) => { response.setHeader('cache-control', 'max-age=1000').end('kept') },
  '/early': (response) => {
    response.writeEarlyHints({ link: '</style.css>; rel=preload' })
    response.writeHead(201).end('made')
  },
  '/chunks': (response) => {
    response.write('one')
    setImmediate(() => { response.end('two') })
  },
  '/bye': (response) => { response.setHeader('connection', 'close').end('bye') },
  '/silent': () => {},
  '/half': (response) => { response.writeHead(200, { 'content-length': 100 }).write('half') },
  '/cut': (response) => { response.destroy() },
  '/cut-in-the-body': (response) => { response.writeHead(200, { 'content-length': 100 }).write('half', () => { response.destroy() }) },
  '/cut-in-a-chunk': (response) => { response.write('half', () => { response.destroy() }) },
  '/reset': (response) => { response.socket?.resetAndDestroy() },
  '/trailers': (response) => {
    response.writeHead(200, { trailer: 'x-sum' }).write('hello')
    response.addTrailers({ 'x-sum': '5' })
    response.end()
  },
  '/loop': (response) => { response.writeHead(307, { location: '/loop' }).end() },
  '/away': (response) => { response.writeHead(301, { location: 'http://nobody.invalid/' }).end() },
  '/gzip': (response) => { response.setHeader('content-encoding', 'gzip').end(gzipSync('hello')) },
  '/garbage': (response) => { response.socket?.end('this is no HTTP\r\n\r\n') },
  '/echo': (response, request) => { request.pipe(response) }
}

export const paths: readonly string[] = Object.keys(answers)

/** A service that answers, or not, as its path says. */
export class HostileService {
  /** Resolved at the next request. */
  asked: Promise<unknown>
  readonly #server: Server
  /** Those that Node has handed out, too. */
  readonly #sockets = new Set<Socket>()

  private constructor (server: Server) {
    this.#server = server
    this.asked = once(server, 'request')
    server.on('request', (request, response) => {
      this.asked = once(server, 'request')
      const answer = answers[request.url?.split('?')[0] ?? '']
      if (answer === undefined) response.writeHead(404).end()
      else answer(response, request)
    })
    server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
      if (request.url === '/nothing') {
        response.writeHead(417).end()
        return
      }
      response.writeContinue()
      server.emit('request', request, response)
    })
    server.on('tlsClientError', () => {})
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket)
      socket.on('error', () => {}).on('close', () => { this.#sockets.delete(socket) })
    })
    server.on('upgrade', (_request, socket) => { socket.end('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n') })
    server.on('connect', (_request, socket) => { socket.end('HTTP/1.1 200 Connection established\r\n\r\n') })
  }

  /** @param secure what makes it a service of https: a key and a certificate */
  static async start (t: { teardown (fn: () => unknown): void }, secure?: ServerOptions): Promise<HostileService> {
    const server = secure === undefined ? createServer() : createSecureServer(secure)
    // A client that is slow finds its connection as it left it.
    server.keepAliveTimeout = 0
    const service = new HostileService(server)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.teardown(() => service.close())
    return service
  }

  get port (): number {
    return (this.#server.address() as AddressInfo).port
  }

  get origin (): string {
    return `http://127.0.0.1:${this.port}`
  }

  get host (): string {
    return `127.0.0.1:${this.port}`
  }

  /** Ends all connections at once. */
  hangUp (): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  async close (): Promise<void> {
    this.#server.close()
    this.hangUp()
    await once(this.#server, 'close')
  }
}
