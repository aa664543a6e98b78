// CPU time of a server per request, read in the server's own process while another one sends the requests.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { difference, interleave, median, row, Spread, STARTS } from '../measure.js'

const REQUESTS = 600
/** Code that is not yet compiled is what else would be measured. */
const WARMUP = 30_000
const CONNECTIONS = 16
const REQUEST = Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')

/** The build of another version, in whose place the current one is to come: its `dist` folder. */
const BEFORE = process.env.BENCH_BEFORE

export async function http ({ rounds = 21, starts = STARTS } = {}) {
  const names = ['bare', 'hooks', 'ours', ...BEFORE === undefined ? [] : ['before'], 'promClient', 'fastifyMetrics']
  const all = []
  for (let start = 1; start <= starts; start++) {
    process.stderr.write(`  start ${start} of ${starts}\n`)
    all.push(await oneStart(names, rounds))
  }
  const bare = median(all.flatMap((costs) => costs.bare))
  const over = Object.fromEntries(names.slice(1).map((name) => [name, new Spread(all.map((costs) => difference(costs, name, 'bare')))]))
  const percent = (name) => `+${new Spread(over[name].sorted.map((each) => each / bare * 100)).text(0)} %`
  const ratio = over.fastifyMetrics.median / over.ours.median
  return [
    row('CPU per request over bare Fastify', `${percent('ours')}: +${over.ours.text(1)} us on ${bare.toFixed(1)} us`, 'at most +10 %', over.ours.median <= 0.1 * bare),
    ...BEFORE === undefined ? [] : [row('... before', `${percent('before')}: +${over.before.text(1)} us`, '', true)],
    row('... of what fastify-metrics adds', `1/${ratio.toFixed(1)} (it adds ${percent('fastifyMetrics')})`, 'at most 1/5', ratio >= 5),
    row('... the same set on prom-client', percent('promClient'), 'more than ours', over.promClient.median > over.ours.median),
    row('... two empty hooks', percent('hooks'), '', true)
  ]
}

/** @returns the costs of each server by round, of one start of each */
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
 * Sends requests over a few connections that stay, one at a time on each. It never sleeps: waking a sleeping client is paid for by the
 * server, in the system call that sends the response, and a slower server would pay it more often.
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
