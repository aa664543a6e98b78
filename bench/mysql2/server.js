// A MariaDB of the bench's own, on a free port of the loopback interface. The tests have theirs in TypeScript.
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import mysql from 'mysql2/promise'
import { freePort } from '../../test/support/postgres.js'

/** Asks so many times, 50 ms apart, whether it takes connections. */
const TRIES = 600

export async function startMariaDb () {
  const port = await freePort()
  const folder = await mkdtemp(join(tmpdir(), 'fastify-prometheus-mariadb-'))
  const files = ['--no-defaults', `--datadir=${join(folder, 'data')}`, `--tmpdir=${folder}`, '--user=root']
  await promisify(execFile)('mariadb-install-db', [...files, '--auth-root-authentication-method=normal', '--skip-test-db'])
  const options = ['--skip-log-bin', '--innodb-buffer-pool-size=32M', '--performance-schema=OFF', `--port=${port}`, '--bind-address=127.0.0.1', `--socket=${join(folder, 'socket')}`, `--pid-file=${join(folder, 'pid')}`]
  const server = spawn('mariadbd', [...files, ...options], { stdio: 'ignore', env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` } })
  const exit = once(server, 'exit')
  const config = { host: '127.0.0.1', port, user: 'root', password: '' }
  for (let i = 1; ; i++) {
    try {
      const connection = await mysql.createConnection(config)
      await connection.end()
      break
    } catch (error) {
      if (i === TRIES || server.exitCode !== null) throw error
      await sleep(50)
    }
  }
  return {
    config,
    async close () {
      server.kill()
      await exit
      await rm(folder, { recursive: true, force: true })
    }
  }
}
