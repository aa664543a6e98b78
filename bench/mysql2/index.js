// CPU time, without that of the system, of a `SELECT 1` against a real MariaDB, through a pool of mysql2 by a promise and by a callback, bare and
// instrumented.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { difference, interleave, median, row, Spread, STARTS } from '../measure.js'
import { startMariaDb } from './server.js'

const SCRIPT = fileURLToPath(new URL('queries.js', import.meta.url))
/** Queries of one round. */
const QUERIES = 4000
const PATHS = ['promise', 'callback']
const NAMES = ['bare', 'ours', 'promClient', ...process.env.BENCH_BEFORE === undefined ? [] : ['before']]

export async function mysqlPool ({ rounds = 15, warmup = 25, starts = STARTS } = {}) {
  const server = await startMariaDb()
  try {
    const all = []
    for (let start = 1; start <= starts; start++) {
      process.stderr.write(`  start ${start} of ${starts}\n`)
      all.push(await inProcesses(server.config, rounds, warmup))
    }
    const over = (name) => new Spread(all.map((differences) => differences[name]))
    return PATHS.flatMap((path) => {
      const [ours, peer] = [over(`ours ${path}`), over(`promClient ${path}`)]
      const what = `CPU per SELECT 1 through a pool of mysql2, ${path}`
      return [
        row(what, `+${ours.text(2)} us on ${over(`bare ${path}`).median.toFixed(1)} us; the same set on prom-client +${peer.text(2)} us: ${share(ours.median, peer.median)}`, 'at most 1/4', ours.median <= peer.median / 4),
        ...NAMES.includes('before') ? [row('... the build before', `+${over(`before ${path}`).text(2)} us`, '', true)] : []
      ]
    })
  } finally {
    await server.close()
  }
}

const share = (ours, peer) => ours <= 0 ? '0' : `1/${(peer / ours).toFixed(1)}`

/** Starts one process of each kind. */
async function inProcesses (config, rounds, warmup) {
  const processes = NAMES.map((name) => ({ name, child: fork(SCRIPT, [name, JSON.stringify(config)]) }))
  const variants = {}
  for (const { name, child } of processes) {
    for (const path of PATHS) {
      variants[`${name} ${path}`] = async () => {
        child.send({ path, queries: QUERIES })
        const [cost] = await once(child, 'message')
        return cost
      }
    }
  }
  const costs = await interleave(variants, { rounds, warmup })
  for (const { child } of processes) {
    const exited = once(child, 'exit')
    child.disconnect()
    await exited
  }
  return differencesOf(costs)
}

/** What each way costs more than bare, in microseconds; and bare itself. */
function differencesOf (costs) {
  return Object.fromEntries(Object.keys(costs).map((name) => {
    const [who, path] = name.split(' ')
    return [name, who === 'bare' ? median(costs[name]) : difference(costs, name, `bare ${path}`)]
  }))
}
