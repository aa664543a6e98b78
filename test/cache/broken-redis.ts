import { createServer, type Server, type Socket } from 'node:net'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'

/** A server that reads what clients of Redis send, and answers what it is told to. */
export interface BrokenRedis {
  readonly port: number
  /** The connections that are open. */
  readonly sockets: ReadonlySet<Socket>
}

/**
 * Starts one, and stops it at teardown.
 * @param answer is given each command but those about the connection, which are answered well
 */
export async function startBrokenRedis (t: { teardown (fn: () => unknown): void }, answer: (socket: Socket, command: readonly string[]) => void): Promise<BrokenRedis> {
  const sockets = new Set<Socket>()
  const server: Server = createServer((socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => {})
    let text = ''
    socket.on('data', (data) => {
      text += data.toString('latin1')
      for (let command = read(); command !== undefined; command = read()) {
        if (/^(?:client|info|select|quit)$/i.test(command[0] ?? '')) socket.write('+OK\r\n')
        else answer(socket, command)
      }
    })

    /** Takes one whole command from the text. */
    function read (): string[] | undefined {
      const lines = text.split('\r\n')
      const count = Number(lines[0]?.slice(1))
      if (!text.startsWith('*') || lines.length <= 2 * count + 1) return undefined
      text = lines.slice(2 * count + 1).join('\r\n')
      return lines.slice(1, 2 * count + 1).filter((_, i) => i % 2 === 1)
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  })
  return { port: (server.address() as AddressInfo).port, sockets }
}
