// CPU time, without that of the system, of a `SELECT 1` against a real MariaDB, through a pool of mysql2 by a promise and by a callback, bare and
// instrumented.
import { fileURLToPath } from 'node:url'
import { row, share } from '../measure.js'
import { rivals } from '../rivals.js'
import { startMariaDb } from './server.js'

const script = fileURLToPath(new URL('queries.js', import.meta.url))
/** Queries of one round. What is of the system and what is not is told by samples, so it takes many. */
const paths = { promise: 8000, callback: 8000 }
const names = ['bare', 'ours', 'promClient', ...process.env.BENCH_BEFORE === undefined ? [] : ['before']]

export async function mysqlPool () {
  const server = await startMariaDb()
  try {
    const cost = await rivals({ script, names, paths, args: [JSON.stringify(server.config)], warmup: 4 })
    return Object.keys(paths).flatMap((path) => {
      const [ours, peer] = [cost('ours', path), cost('promClient', path)]
      return [
        row(`CPU per SELECT 1 through a pool of mysql2, ${path}`, `+${ours.text(2)} us on ${cost('bare', path).median.toFixed(1)} us; the same set on prom-client +${peer.text(2)} us: ${share(ours.median, peer.median)}`, 'at most 1/4', ours.median <= peer.median / 4),
        ...names.includes('before') ? [row('... the build before', `+${cost('before', path).text(2)} us`, '', true)] : []
      ]
    })
  } finally {
    await server.close()
  }
}
