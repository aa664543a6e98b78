// CPU time of an outgoing request to a server in another process, by fetch, by a Pool of undici and by node:http: bare
// and observed.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { row } from '../measure.js'
import { rivals } from '../rivals.js'

const file = (name) => fileURLToPath(new URL(name, import.meta.url))
/** Requests of one round. */
const REQUESTS = 2000
const PATHS = { fetch: 'a fetch', pool: 'a request of a Pool of undici', http: 'a request of node:http' }
/** Microseconds that a request may cost more. */
const BUDGET = 3

export async function outgoing () {
  const server = fork(file('server.js'))
  const [port] = await once(server, 'message')
  try {
    const paths = Object.fromEntries(Object.keys(PATHS).map((path) => [path, REQUESTS]))
    const cost = await rivals({ script: file('requests.js'), names: ['bare', 'ours', 'promClient'], paths, args: [String(port)] })
    return Object.entries(PATHS).map(([path, what]) => {
      const [ours, peer] = [cost('ours', path), cost('promClient', path)]
      return row(`CPU per outgoing request, ${what}`, `+${ours.text(2)} us on ${cost('bare', path).median.toFixed(1)} us; duration, errors and in flight by hand on prom-client +${peer.text(2)} us`,
        `at most +${BUDGET} us`, ours.median <= BUDGET)
    })
  } finally {
    server.disconnect()
  }
}
