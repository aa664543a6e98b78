import { fork } from 'node:child_process'
import { once } from 'node:events'
import process from 'node:process'
import { difference, interleave, median, Spread, STARTS } from './measure.js'

/**
 * Measures ways to do the same in processes of their own, one for each way and path, all of them started anew for each
 * start.
 * @param {object} race
 * @param {string} race.script it gets the name of its way, its path and `args`; for each number that it is sent, it does so
 * many and answers with the microseconds of one
 * @param {string[]} race.names of the ways; the first one, `bare`, is what the others are compared with
 * @param {Record<string, number>} race.paths how many are one round, by path
 * @param {string[]} [race.args]
 * @returns {Promise<(way: string, path: string) => Spread>} what a way costs more than the bare one, and of that what it costs
 */
export async function rivals ({ script, names, paths, args = [], rounds = 15, warmup = 15, starts = STARTS }) {
  const all = []
  for (let start = 1; start <= starts; start++) {
    process.stderr.write(`  ${Object.keys(paths).join(', ')}: start ${start} of ${starts}\n`)
    all.push(await raced({ script, names, paths, args, rounds, warmup }))
  }
  return (name, path) => new Spread(all.map((costs) => name === 'bare' ? median(costs[`bare ${path}`]) : difference(costs, `${name} ${path}`, `bare ${path}`)))
}

/** The costs of one start, by way and path, round by round. */
async function raced ({ script, names, paths, args, rounds, warmup }) {
  const children = names.flatMap((name) => Object.entries(paths).map(([path, count]) => ({ name: `${name} ${path}`, count, child: fork(script, [name, path, ...args]) })))
  const costs = await interleave(Object.fromEntries(children.map(({ name, count, child }) => [name, async () => {
    child.send(count)
    const [cost] = await once(child, 'message')
    return cost
  }])), { rounds, warmup })
  for (const { child } of children) {
    const exited = once(child, 'exit')
    child.disconnect()
    await exited
  }
  return costs
}
