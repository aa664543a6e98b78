// CPU time of a server per request, read in the server's own process while another one sends the requests.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { fileURLToPath } from 'node:url'
import { difference, interleave, median, row } from '../measure.js'

const REQUESTS = 2000
const CONNECTIONS = 16
const REQUEST = Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')

export async function http ({ rounds = 41 } = {}) {
  const names = ['bare', 'hooks', 'ours', 'promClient', 'fastifyMetrics']
  const servers = new Map()
  for (const name of names) {
    const child = fork(fileURLToPath(new URL('server.js', import.meta.url)), [name])
    const [{ port }] = await once(child, 'message')
    servers.set(name, { child, port })
  }
  const cpu = async ({ child }) => {
    child.send('cpu')
    const [{ cpu }] = await once(child, 'message')
    return cpu
  }
  const variants = Object.fromEntries(names.map((name) => [name, async () => {
    const server = servers.get(name)
    const before = await cpu(server)
    await load(server.port)
    return (await cpu(server) - before) / REQUESTS
  }]))
  const costs = await interleave(variants, { rounds, warmup: 5 })
  for (const { child } of servers.values()) child.disconnect()

  const bare = median(costs.bare)
  const over = (name) => difference(costs, name, 'bare')
  const percent = (name) => `+${(over(name) / bare * 100).toFixed(0)} %`
  return [
    row('CPU per request over bare Fastify', `${percent('ours')} (+${over('ours').toFixed(1)} us on ${bare.toFixed(1)} us)`, 'at most +20 %', over('ours') <= 0.2 * bare),
    row('... of what fastify-metrics adds', `${(over('ours') / over('fastifyMetrics') * 100).toFixed(0)} % (it adds ${percent('fastifyMetrics')})`, 'at most 33 %', over('ours') <= over('fastifyMetrics') / 3),
    row('... the same set on prom-client', percent('promClient'), 'more than ours', over('promClient') > over('ours')),
    row('... two empty hooks', percent('hooks'), '', true)
  ]
}

/** Sends the requests over a few connections, one at a time on each. */
function load (port) {
  let left = REQUESTS
  let answered = 0
  return new Promise((resolve, reject) => {
    for (let i = 0; i < CONNECTIONS; i++) {
      const socket = connect(port, '127.0.0.1')
      const next = () => left-- > 0 ? socket.write(REQUEST) : socket.end()
      socket.on('connect', next).on('error', reject).on('data', () => {
        next()
        if (++answered === REQUESTS) resolve()
      })
    }
  })
}
