// CPU time of statements on an SQLite database in memory, bare and instrumented, with each driver that this Node has.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { difference, interleave, median, row, Spread, STARTS } from '../measure.js'
import { drivers } from './drivers.js'

const SCRIPT = fileURLToPath(new URL('statements.js', import.meta.url))
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
const NAMES = ['bare', 'ours', 'promClient', ...process.env.BENCH_BEFORE === undefined ? [] : ['before']]

export async function sqlite ({ rounds = 15, warmup = 5, starts = STARTS } = {}) {
  const rows = []
  for (const driver of Object.keys(await drivers())) {
    const all = []
    for (let start = 1; start <= starts; start++) {
      process.stderr.write(`  ${driver}, start ${start} of ${starts}\n`)
      all.push(await inProcesses(driver, rounds, warmup))
    }
    const over = (name) => new Spread(all.map((differences) => differences[name]))
    for (const [path, [budget, what]] of Object.entries(PATHS)) {
      const [ours, peer] = [over(`ours ${path}`), over(`promClient ${path}`)]
      rows.push(
        row(`${what}, ${driver}`, `+${ours.text(2)} us on ${over(`bare ${path}`).median.toFixed(2)} us; duration and rows on prom-client +${peer.text(2)} us`, budget === undefined ? '' : `at most +${budget} us`, ours.median <= budget),
        ...NAMES.includes('before') ? [row('... the build before', `+${over(`before ${path}`).text(2)} us`, '', true)] : []
      )
    }
  }
  return rows
}

/** Starts one process of each kind. */
async function inProcesses (driver, rounds, warmup) {
  const processes = NAMES.map((name) => ({ name, child: fork(SCRIPT, [name, driver]) }))
  const variants = {}
  for (const { name, child } of processes) {
    for (const path of Object.keys(PATHS)) {
      variants[`${name} ${path}`] = async () => {
        child.send({ path, statements: STATEMENTS })
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
  return Object.fromEntries(Object.keys(costs).map((name) => {
    const [who, path] = name.split(' ')
    return [name, who === 'bare' ? median(costs[name]) : difference(costs, name, `bare ${path}`)]
  }))
}
