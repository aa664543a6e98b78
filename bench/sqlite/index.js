// CPU time of statements on an SQLite database in memory, bare and instrumented, with each driver that this Node has.
import { fileURLToPath } from 'node:url'
import { row } from '../measure.js'
import { rivals } from '../rivals.js'
import { drivers } from './drivers.js'

const script = fileURLToPath(new URL('statements.js', import.meta.url))
/** Statements of one round. */
const STATEMENTS = 20_000
/** What is run, the most that it may cost more, in microseconds, and what a row of the table says of it. */
const PATHS = {
  get: [0.4, 'CPU per get'],
  all: [0.4, 'CPU per all of one row'],
  run: [0.4, 'CPU per run of an UPDATE'],
  iterate: [undefined, 'CPU per iterate of one row'],
  prepare: [undefined, 'CPU per prepare and get']
}
const paths = Object.fromEntries(Object.keys(PATHS).map((path) => [path, STATEMENTS]))
const names = ['bare', 'ours', 'promClient', ...process.env.BENCH_BEFORE === undefined ? [] : ['before']]

export async function sqlite () {
  const rows = []
  for (const driver of Object.keys(await drivers())) {
    const cost = await rivals({ script, names, paths, args: [driver], warmup: 5 })
    for (const [path, [budget, what]] of Object.entries(PATHS)) {
      const [ours, peer] = [cost('ours', path), cost('promClient', path)]
      rows.push(
        row(`${what}, ${driver}`, `+${ours.text(2)} us on ${cost('bare', path).median.toFixed(2)} us; duration and rows on prom-client +${peer.text(2)} us`, budget === undefined ? '' : `at most +${budget} us`, ours.median <= budget),
        ...names.includes('before') ? [row('... the build before', `+${cost('before', path).text(2)} us`, '', true)] : []
      )
    }
  }
  return rows
}
