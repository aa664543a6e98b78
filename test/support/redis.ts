import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ChildProcess } from 'node:child_process'
import { freePort } from './postgres.js'
import { startProgram, type Test } from './program.js'
import { temporaryFolder } from './temporary-folder.js'

/** A real Redis of the test's own, on a free port of the loopback interface. */
export interface RedisServer {
  readonly port: number
  readonly url: string
  /** Loses all that it has. */
  stop (): Promise<void>
  /** Starts again on the same port, after stop(). */
  start (): Promise<void>
}

const PATIENCE = 30_000

/**
 * Starts one; stopped at teardown, and its files removed.
 * @param flags more options of redis-server
 * @returns undefined where there is none on the PATH, which is said
 */
export async function startRedis (t: Test, ...flags: string[]): Promise<RedisServer | undefined> {
  let port = await freePort()
  // The nodes of a cluster talk to each other on the port 10,000 above.
  while (flags.includes('--cluster-enabled') && port > 55_535) port = await freePort()
  const folder = await temporaryFolder(t, 'redis')
  const options = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', '', '--appendonly', 'no', ...flags]
  let server: ChildProcess | undefined
  const start = async () => {
    server = await startProgram(t, 'redis-server', options, 'apt-get install redis-server', { stdio: 'ignore' })
    if (server !== undefined) await listens(server, port)
  }
  await start()
  if (server === undefined) return undefined
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    start,
    async stop () {
      if (server === undefined || server.exitCode !== null || server.signalCode !== null) return
      const exit = once(server, 'exit')
      server.kill('SIGKILL')
      await exit
    }
  }
}

/** Waits until it answers. Nothing that redis-server does tells when that is. */
async function listens (server: ChildProcess, port: number): Promise<void> {
  const until = Date.now() + PATIENCE
  while (!await answers(port)) {
    if (server.exitCode !== null) throw new Error(`redis-server ended with ${server.exitCode}`)
    if (Date.now() > until) throw new Error('redis-server does not answer')
    await sleep(20)
  }
}

async function answers (port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    socket.write('PING\r\n')
    const [reply] = await once(socket, 'data') as [Buffer]
    return reply.toString().startsWith('+PONG')
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}
