import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { freePort } from '../support/postgres.js'
import { startProgram, type Test } from '../support/program.js'
import { startRedis, type RedisServer } from '../support/redis.js'
import { temporaryFolder } from '../support/temporary-folder.js'

/** A master with a replica, and the sentinel that watches them. */
export interface WatchedRedis {
  readonly master: RedisServer
  readonly replica: RedisServer
  /** The port of the sentinel, which knows the master as 'walks'. */
  readonly port: number
}

/** Starts them; stopped at teardown. @returns undefined where there is no Redis, which is said */
export async function startWatchedRedis (t: Test): Promise<WatchedRedis | undefined> {
  const master = await startRedis(t)
  if (master === undefined) return undefined
  const replica = await startRedis(t, '--replicaof', '127.0.0.1', String(master.port), '--repl-diskless-sync-delay', '0')
  if (replica === undefined) return undefined
  const port = await freePort()
  const file = join(await temporaryFolder(t, 'sentinel'), 'sentinel.conf')
  await writeFile(file, [
    `port ${port}`,
    'bind 127.0.0.1',
    `sentinel monitor walks 127.0.0.1 ${master.port} 1`,
    'sentinel down-after-milliseconds walks 1000',
    'sentinel failover-timeout walks 10000',
    ''
  ].join('\n'))
  if (await startProgram(t, 'redis-server', [file, '--sentinel'], 'apt-get install redis-server', { stdio: 'ignore' }) === undefined) return undefined
  const isSynced = new Redis({ port: replica.port })
  while (!(await isSynced.info('replication')).includes('master_link_status:up')) await sleep(20)
  isSynced.disconnect()
  const sentinel = new Redis({ port, retryStrategy: () => 20 })
  sentinel.on('error', () => {})
  const knowsReplica = async () => {
    const replicas = await sentinel.call('SENTINEL', 'REPLICAS', 'walks') as unknown[][]
    return replicas.some((each) => each[each.indexOf('master-link-status') + 1] === 'ok')
  }
  while (!await knowsReplica()) await sleep(50)
  sentinel.disconnect()
  return { master, replica, port }
}
