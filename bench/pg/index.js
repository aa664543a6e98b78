// CPU time of a `SELECT 1` against a real PostgreSQL, through a pg pool and through its client, bare and instrumented.
import { fileURLToPath } from 'node:url'
import { startPostgres } from '../../test/support/postgres.js'
import { row, share } from '../measure.js'
import { rivals } from '../rivals.js'

const script = fileURLToPath(new URL('queries.js', import.meta.url))
/** Queries of one round. */
const paths = { pool: 800, client: 800 }
const names = ['bare', 'ours', 'promClient', ...process.env.BENCH_BEFORE === undefined ? [] : ['before']]

export async function pgPool () {
  const server = await startPostgres()
  try {
    const cost = await rivals({ script, names, paths, args: [JSON.stringify(server.config)], warmup: 25 })
    return Object.keys(paths).flatMap((path) => {
      const [ours, peer] = [cost('ours', path), cost('promClient', path)]
      return [
        row(`CPU per SELECT 1 through a ${path}`, `+${ours.text(2)} us on ${cost('bare', path).median.toFixed(1)} us; duration and rows on prom-client +${peer.text(2)} us: ${share(ours.median, peer.median)}`, 'at most 1/6', ours.median <= peer.median / 6),
        ...names.includes('before') ? [row('... the build before', `+${cost('before', path).text(2)} us`, '', true)] : []
      ]
    })
  } finally {
    await server.close()
  }
}
