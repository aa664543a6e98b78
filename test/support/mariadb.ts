import { execFile, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import mysql from 'mysql2/promise'
import { freePort } from './postgres.js'
import { startProgram, unavailable, type Test } from './program.js'
import { temporaryFolder } from './temporary-folder.js'

/** A real MariaDB of the test's own, on a free port of the loopback interface. */
export interface MariaDb {
  readonly port: number
  /** Connection settings of mysql2; TypeORM's `username` is their `user`. */
  readonly config: { host: string, port: number, user: string, password: string, database: string }
  stop (): Promise<void>
  /** Starts again on the same port, after stop(). */
  start (): Promise<void>
}

const FROM = 'apt-get install mariadb-server'
const PATIENCE = 30_000
/** Durability costs time, and a test's database ends with the test. */
const FAST = ['--skip-log-bin', '--innodb-flush-log-at-trx-commit=0', '--innodb-buffer-pool-size=32M', '--innodb-log-file-size=16M', '--performance-schema=OFF']

/**
 * Starts one; stopped at teardown, and its files removed.
 * @param flags more options of mariadbd
 * @returns undefined where there is none on the PATH, which is said
 */
export async function startMariaDb (t: Test, ...flags: string[]): Promise<MariaDb | undefined> {
  const port = await freePort()
  const folder = await temporaryFolder(t, 'mariadb')
  // One that starts removes the temporary tables of whoever shares its folder for these.
  const files = ['--no-defaults', `--datadir=${join(folder, 'data')}`, `--tmpdir=${folder}`, '--user=root']
  try {
    await promisify(execFile)('mariadb-install-db', [...files, '--auth-root-authentication-method=normal', '--skip-test-db'])
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    unavailable(t, `mariadb-install-db is not on the PATH: ${FROM}`)
    return undefined
  }
  const config = { host: '127.0.0.1', port, user: 'root', password: '', database: 'walks' }
  const options = [...files, ...FAST, `--port=${port}`, '--bind-address=127.0.0.1', `--socket=${join(folder, 'socket')}`, `--pid-file=${join(folder, 'pid')}`, ...flags]
  let server: ChildProcess | undefined
  const start = async () => {
    server = await startProgram(t, 'mariadbd', options, FROM, { stdio: 'ignore', env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` } })
    if (server !== undefined) await answers(server, config)
  }
  await start()
  if (server === undefined) return undefined
  return {
    port,
    config,
    start,
    async stop () {
      if (server === undefined || server.exitCode !== null || server.signalCode !== null) return
      const exit = once(server, 'exit')
      server.kill()
      await exit
    }
  }
}

/**
 * Waits until it takes connections, and makes the database. Nothing that mariadbd does tells when that is, but that it
 * answers.
 */
async function answers (server: ChildProcess, { host, port, user, database }: MariaDb['config']): Promise<void> {
  const until = Date.now() + PATIENCE
  for (;;) {
    try {
      const connection = await mysql.createConnection({ host, port, user })
      await connection.query(`CREATE DATABASE IF NOT EXISTS ${database}`)
      await connection.end()
      return
    } catch (error) {
      if (server.exitCode !== null) throw new Error(`mariadbd ended with ${server.exitCode}`)
      if (Date.now() > until) throw error
      await sleep(50)
    }
  }
}
