import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { StartError, codeOf, reasonOf } from './errors.js'

const FIRST_PORT = 3000
const PORTS_TRIED = 100

/** Says early that a port cannot be had. @throws StartError */
export async function requireFree (host: string, port: number): Promise<void> {
  try {
    await tryPort(host, port)
  } catch (error) {
    throw new StartError(whyNot(error, host, port))
  }
}

/**
 * Listens, on the next free port from 3000 on where none is asked for.
 * @returns the address to open, such as http://127.0.0.1:3000
 * @throws StartError when the port or the host cannot be had
 */
export async function listen (app: FastifyInstance, host: string, asked: number | undefined): Promise<string> {
  try {
    await app.listen({ host, port: asked ?? await nextFreePort(host) })
  } catch (error) {
    throw new StartError(whyNot(error, host, asked))
  }
  const { port, address, family } = app.server.address() as AddressInfo
  const everywhere = address === '0.0.0.0' || address === '::'
  return `http://${everywhere ? 'localhost' : family === 'IPv6' ? `[${address}]` : address}:${port}`
}

/** Tried before Fastify does: one that could not listen is spent. */
export async function nextFreePort (host: string): Promise<number> {
  for (let port = FIRST_PORT; port < FIRST_PORT + PORTS_TRIED; port++) {
    try {
      await tryPort(host, port)
      return port
    } catch (error) {
      if (codeOf(error) !== 'EADDRINUSE') throw error
    }
  }
  throw new Error(`every port from ${FIRST_PORT} to ${FIRST_PORT + PORTS_TRIED - 1} is taken`)
}

async function tryPort (host: string, port: number): Promise<void> {
  const server = createServer().listen(port, host)
  await once(server, 'listening')
  server.close()
  await once(server, 'close')
}

function whyNot (error: unknown, host: string, port: number | undefined): string {
  switch (codeOf(error)) {
    case 'EADDRINUSE': return `port ${port} of ${host} is taken; set PORT to another, or leave it out for the next free one from ${FIRST_PORT} on`
    case 'EACCES': return `port ${port} is not allowed to this user; set PORT to one from 1024 on`
    case 'EADDRNOTAVAIL': case 'ENOTFOUND': case 'EAI_AGAIN': return `HOST ${host} is no address of this machine; set it to 127.0.0.1, or to 0.0.0.0 for all of them`
    default: return `cannot listen on ${host}: ${reasonOf(error)}`
  }
}
