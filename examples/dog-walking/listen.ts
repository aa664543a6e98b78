import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { StartError, codeOf, reasonOf } from './errors.js'
import type { Settings } from './settings.js'

/** Where to listen. */
type Where = Pick<Settings, 'host' | 'port' | 'firstPort'>

const PORTS_TRIED = 100

/**
 * Listens, on the first free port where none is asked for.
 * @returns the address to open, such as http://127.0.0.1:3000
 * @throws StartError when the port or the host cannot be had
 */
export async function listen (app: FastifyInstance, { host, port: asked, firstPort }: Where): Promise<string> {
  try {
    await app.listen({ host, port: asked ?? await nextFreePort(host, firstPort) })
  } catch (error) {
    throw new StartError(whyNot(error, host, asked))
  }
  return addressOf(app.server.address() as AddressInfo)
}

/**
 * The port on which the service will listen, if nobody takes it first: it is said before everything else.
 * @throws StartError when the port or the host cannot be had
 */
export async function portToBe ({ host, port, firstPort }: Where): Promise<number> {
  try {
    return port === undefined ? await nextFreePort(host, firstPort) : await tryPort(host, port)
  } catch (error) {
    throw new StartError(whyNot(error, host, port))
  }
}

/** The address to open, of what somebody listens on. */
export function addressOf ({ port, address }: Pick<AddressInfo, 'port' | 'address'>): string {
  const everywhere = address === '0.0.0.0' || address === '::'
  return `http://${everywhere ? 'localhost' : address.includes(':') ? `[${address}]` : address}:${port}`
}

/** Tried before Fastify does: one that could not listen is spent. */
export async function nextFreePort (host: string, firstPort: number): Promise<number> {
  for (let port = firstPort; port < firstPort + PORTS_TRIED; port++) {
    try {
      return await tryPort(host, port)
    } catch (error) {
      if (codeOf(error) !== 'EADDRINUSE') throw error
    }
  }
  throw new Error(`every port from ${firstPort} to ${firstPort + PORTS_TRIED - 1} is taken`)
}

/** @returns the port, which is another one where 0 stands for any that is free */
async function tryPort (host: string, port: number): Promise<number> {
  const server = createServer().listen(port, host)
  await once(server, 'listening')
  const { port: free } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return free
}

function whyNot (error: unknown, host: string, port: number | undefined): string {
  switch (codeOf(error)) {
    case 'EADDRINUSE': return `port ${port} of ${host} is taken; set PORT to another, or leave it out for the next free one`
    case 'EACCES': return `port ${port} is not allowed to this user; set PORT to one from 1024 on`
    case 'EADDRNOTAVAIL': case 'ENOTFOUND': case 'EAI_AGAIN': return `HOST ${host} is no address of this machine; set it to 127.0.0.1, or to 0.0.0.0 for all of them`
    default: return `cannot listen on ${host}: ${reasonOf(error)}`
  }
}
