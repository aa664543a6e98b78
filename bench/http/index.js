// Measures the CPU time of a server per request. The server reads it in its own process, and this process sends the
// requests.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { difference, interleave, median, row } from '../measure.js'

const REQUESTS = 600
/** Requests before the measurement: without them, code that is not yet compiled would be measured. */
const WARMUP = 30_000
const CONNECTIONS = 16
const REQUEST = Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')

/** The `dist` folder of an older build, which the current build is to replace. */
const BEFORE = process.env.BENCH_BEFORE

/** @param starts how often each server is started: how well a process is compiled differs from one start to the next */
export async function http ({ rounds = 21, starts = 10 } = {}) {
  const names = ['bare', 'hooks', 'ours', ...BEFORE === undefined ? [] : ['before'], 'promClient', 'fastifyMetrics']
  const all = []
  for (let start = 0; start < starts; start++) all.push(await oneStart(names, rounds))
  const costs = Object.fromEntries(names.map((name) => [name, all.flatMap((costs) => costs[name])]))
  const bare = median(costs.bare)
  // The median over the starts, each of which has a median of its own.
  const over = (name) => median(all.map((costs) => difference(costs, name, 'bare')))
  const percent = (name) => `+${(over(name) / bare * 100).toFixed(0)} %`
  return [
    row('CPU per request over bare Fastify', `${percent('ours')} (+${over('ours').toFixed(1)} us on ${bare.toFixed(1)} us)`, 'at most +20 %', over('ours') <= 0.2 * bare),
    ...BEFORE === undefined ? [] : [row('... before', `${percent('before')} (+${over('before').toFixed(1)} us)`, '', true)],
    row('... of what fastify-metrics adds', `${(over('ours') / over('fastifyMetrics') * 100).toFixed(0)} % (it adds ${percent('fastifyMetrics')})`, 'at most 33 %', over('ours') <= over('fastifyMetrics') / 3),
    row('... the same set on prom-client', percent('promClient'), 'more than ours', over('promClient') > over('ours')),
    row('... two empty hooks', percent('hooks'), '', true)
  ]
}

/** Starts each server once. @returns the costs of each server by round */
async function oneStart (names, rounds) {
  const servers = new Map()
  for (const name of names) {
    const child = fork(fileURLToPath(new URL('server.js', import.meta.url)), [name])
    const [{ port }] = await once(child, 'message')
    const server = { child, sockets: [], onData () {} }
    for (let i = 0; i < CONNECTIONS; i++) {
      const socket = connect(port, '127.0.0.1').on('data', () => server.onData(socket))
      await once(socket, 'connect')
      server.sockets.push(socket)
    }
    await load(server, WARMUP)
    servers.set(name, server)
  }
  const cpu = async ({ child }) => {
    child.send('cpu')
    const [{ cpu }] = await once(child, 'message')
    return cpu
  }
  const variants = Object.fromEntries(names.map((name) => [name, async () => {
    const server = servers.get(name)
    const before = await cpu(server)
    await load(server, REQUESTS)
    return (await cpu(server) - before) / REQUESTS
  }]))
  const costs = await interleave(variants, { rounds })
  for (const { child, sockets } of servers.values()) {
    for (const socket of sockets) socket.destroy()
    child.disconnect()
  }
  return costs
}

/**
 * Sends requests over a few open connections, one at a time on each. This client never sleeps: a server pays for waking
 * a sleeping client, in the system call that sends the response, and a slower server would pay for it more often.
 */
function load (server, requests) {
  let left = requests
  let answered = 0
  return new Promise((resolve) => {
    const spin = () => { if (answered < requests) setImmediate(spin) }
    server.onData = (socket) => {
      if (left-- > 0) socket.write(REQUEST)
      if (++answered === requests) resolve()
    }
    for (const socket of server.sockets) if (left-- > 0) socket.write(REQUEST)
    spin()
  })
}
