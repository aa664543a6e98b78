// CPU time of an outgoing request to a server in another process, by fetch, by a Pool of undici and by node:http: bare
// and observed.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { difference, interleave, median, row, Spread, STARTS } from '../measure.js'

const file = (name) => fileURLToPath(new URL(name, import.meta.url))
/** Requests of one round. */
const REQUESTS = 2000
const PATHS = { fetch: 'a fetch', pool: 'a request of a Pool of undici', http: 'a request of node:http' }
const NAMES = ['bare', 'ours', 'promClient']
/** Microseconds that a fetch may cost more. */
const BUDGET = 3

export async function outgoing ({ rounds = 15, warmup = 15, starts = STARTS } = {}) {
  const server = fork(file('server.js'))
  const [port] = await once(server, 'message')
  try {
    const all = []
    for (let start = 1; start <= starts; start++) {
      process.stderr.write(`  start ${start} of ${starts}\n`)
      all.push(await inProcesses(port, rounds, warmup))
    }
    const over = (name) => new Spread(all.map((differences) => differences[name]))
    return Object.entries(PATHS).map(([path, what]) => {
      const [ours, peer] = [over(`ours ${path}`), over(`promClient ${path}`)]
      return row(`CPU per outgoing request, ${what}`, `+${ours.text(2)} us on ${over(`bare ${path}`).median.toFixed(1)} us; duration, errors and in flight by hand on prom-client +${peer.text(2)} us`,
        `at most +${BUDGET} us`, ours.median <= BUDGET)
    })
  } finally {
    server.disconnect()
  }
}

/** Starts one process of each kind for each path. */
async function inProcesses (port, rounds, warmup) {
  const processes = Object.fromEntries(NAMES.flatMap((name) => Object.keys(PATHS).map((path) => [`${name} ${path}`, fork(file('requests.js'), [name, path, String(port)])])))
  const variants = Object.fromEntries(Object.entries(processes).map(([variant, child]) => [variant, async () => {
    child.send(REQUESTS)
    const [cost] = await once(child, 'message')
    return cost
  }]))
  const costs = await interleave(variants, { rounds, warmup })
  for (const child of Object.values(processes)) {
    const exited = once(child, 'exit')
    child.disconnect()
    await exited
  }
  return Object.fromEntries(Object.keys(costs).map((name) => {
    const [who, path] = name.split(' ')
    return [name, who === 'bare' ? median(costs[name]) : difference(costs, name, `bare ${path}`)]
  }))
}
