import { execFile } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import type { Test } from '../support/program.js'
import { startRedis } from '../support/redis.js'

/** A cluster of three nodes, and what an operator does to it. */
export interface RedisCluster {
  readonly ports: readonly number[]
  /** Says something to a node, by redis-cli. */
  tell (port: number, ...command: string[]): Promise<string>
  /** Begins to move the slot of a key to another node: keys that are not there are asked for at the other. */
  beginMove (key: string): Promise<Move>
}

export interface Move {
  /** Moves keys. */
  keys (...keys: string[]): Promise<void>
  /** The slot is the other node's from now on. */
  end (): Promise<void>
}

/** Starts one; stopped at teardown. @returns undefined where there is no Redis, which is said */
export async function startRedisCluster (t: Test): Promise<RedisCluster | undefined> {
  const ports: number[] = []
  for (let i = 0; i < 3; i++) {
    const node = await startRedis(t, '--cluster-enabled', 'yes', '--cluster-node-timeout', '60000')
    if (node === undefined) return undefined
    ports.push(node.port)
  }
  const cli = async (...args: string[]) => (await promisify(execFile)('redis-cli', args)).stdout.trim()
  const tell = async (port: number, ...command: string[]) => await cli('-p', String(port), ...command)
  await cli('--cluster', 'create', ...ports.map((port) => `127.0.0.1:${port}`), '--cluster-yes')
  for (const port of ports) while (!(await tell(port, 'CLUSTER', 'INFO')).includes('cluster_state:ok')) await sleep(20)
  return {
    ports,
    tell,
    async beginMove (key) {
      const slot = await tell(ports[0] as number, 'CLUSTER', 'KEYSLOT', key)
      const owners = await Promise.all(ports.map(async (port) => ({ port, id: await tell(port, 'CLUSTER', 'MYID'), has: isIn(slot, await tell(port, 'CLUSTER', 'NODES')) })))
      const from = owners.find(({ has }) => has)
      const to = owners.find(({ has }) => !has)
      if (from === undefined || to === undefined) throw new Error(`nobody has slot ${slot}`)
      await tell(to.port, 'CLUSTER', 'SETSLOT', slot, 'IMPORTING', from.id)
      await tell(from.port, 'CLUSTER', 'SETSLOT', slot, 'MIGRATING', to.id)
      return {
        async keys (...keys) { await tell(from.port, 'MIGRATE', '127.0.0.1', String(to.port), '', '0', '30000', 'KEYS', ...keys) },
        async end () { for (const { port } of [to, from, ...owners]) await tell(port, 'CLUSTER', 'SETSLOT', slot, 'NODE', to.id) }
      }
    }
  }
}

/** Whether the line of a node about itself has a slot. */
function isIn (slot: string, nodes: string): boolean {
  const own = nodes.split('\n').find((line) => line.includes('myself')) ?? ''
  return own.split(' ').slice(8).filter((range) => !range.startsWith('[')).some((range) => {
    const [first, last = first] = range.split('-').map(Number)
    return first !== undefined && last !== undefined && Number(slot) >= first && Number(slot) <= last
  })
}
