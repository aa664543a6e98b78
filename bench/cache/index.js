// CPU time of a read from a cache, of a real Redis and in the process, bare and instrumented.
import { fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { difference, interleave, median, row, Spread, STARTS } from '../measure.js'

const SCRIPT = fileURLToPath(new URL('reads.js', import.meta.url))
const NAMES = ['bare', 'ours', 'promClient']
/** Reads of one round. */
const READS = { 'lru-cache': 100_000, ioredis: 1600, 'node-redis': 1600, keyv: 8000, 'cache-manager': 8000 }
/** What a read of a cache in the process may cost more, in microseconds. */
const MOST_SYNC = 0.4

export async function cache ({ rounds = 15, warmup = 20, starts = STARTS } = {}) {
  const { port, stop } = await startRedis()
  try {
    const rows = []
    for (const which of Object.keys(READS)) {
      const all = []
      for (let start = 1; start <= starts; start++) {
        process.stderr.write(`  ${which}: start ${start} of ${starts}\n`)
        all.push(await inProcesses(which, port, rounds, warmup))
      }
      const over = (name) => new Spread(all.map((differences) => differences[name]))
      const [ours, peer] = [over('ours'), over('promClient')]
      const result = `+${ours.text(2)} us on ${over('bare').median.toFixed(2)} us; the same by hand on prom-client +${peer.text(2)} us`
      rows.push(which === 'lru-cache'
        ? row(`CPU per get of ${which}`, result, `at most +${MOST_SYNC} us`, ours.median <= MOST_SYNC)
        : row(`CPU per get of ${which}`, result, 'less than by hand', ours.median < peer.median))
    }
    return rows
  } finally {
    await stop()
  }
}

/** Starts one process of each kind. */
async function inProcesses (which, port, rounds, warmup) {
  const processes = NAMES.map((name) => ({ name, child: fork(SCRIPT, [name, which, port]) }))
  const variants = Object.fromEntries(processes.map(({ name, child }) => [name, async () => {
    child.send(READS[which])
    const [cost] = await once(child, 'message')
    return cost
  }]))
  const costs = await interleave(variants, { rounds, warmup })
  for (const { child } of processes) {
    const exited = once(child, 'exit')
    child.disconnect()
    await exited
  }
  return Object.fromEntries(NAMES.map((name) => [name, name === 'bare' ? median(costs.bare) : difference(costs, name, 'bare')]))
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
