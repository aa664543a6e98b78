// CPU time of a read from a cache, of a real Redis and in the process, bare and instrumented.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { row } from '../measure.js'
import { rivals } from '../rivals.js'

const script = fileURLToPath(new URL('reads.js', import.meta.url))
const names = ['bare', 'ours', 'promClient']
/** Reads of one round. */
const paths = { 'lru-cache': 100_000, ioredis: 1600, 'node-redis': 1600, keyv: 8000, 'cache-manager': 8000 }
/** What a read of a cache in the process may cost more, in microseconds. */
const MOST = 0.4
const IN_PROCESS = ['lru-cache', 'keyv', 'cache-manager']

export async function cache () {
  const { port, stop } = await startRedis()
  try {
    const cost = await rivals({ script, names, paths, args: [String(port)], warmup: 20 })
    return Object.keys(paths).map((which) => {
      const [ours, peer] = [cost('ours', which), cost('promClient', which)]
      const isInProcess = IN_PROCESS.includes(which)
      return row(`CPU per get of ${which}`, `+${ours.text(2)} us on ${cost('bare', which).median.toFixed(2)} us; the same by hand on prom-client +${peer.text(2)} us`,
        isInProcess ? `at most +${MOST} us` : 'less than by hand', isInProcess ? ours.median <= MOST : ours.median < peer.median)
    })
  } finally {
    await stop()
  }
}

async function startRedis () {
  const free = createServer().listen(0, '127.0.0.1')
  await once(free, 'listening')
  const { port } = free.address()
  free.close()
  const server = spawn('redis-server', ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'], { stdio: 'ignore' })
  const exited = once(server, 'exit')
  const listens = async () => {
    const socket = connect(port, '127.0.0.1')
    try {
      await once(socket, 'connect')
      return true
    } catch {
      return false
    } finally {
      socket.destroy()
    }
  }
  while (!await listens()) await sleep(20)
  return {
    port,
    async stop () {
      server.kill()
      await exited
    }
  }
}
