// CPU time of a server per request, read in the server's own process while another one sends the requests.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { difference, interleave, median, row, Spread, STARTS } from '../measure.js'
import { Connections } from './connections.js'

const REQUESTS = 600
/** Code that is not yet compiled is what else would be measured. */
const WARMUP = 30_000

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
    const connections = await Connections.open(port)
    await connections.load(WARMUP)
    servers.set(name, { child, connections })
  }
  const cpu = async ({ child }) => {
    child.send('cpu')
    const [{ cpu }] = await once(child, 'message')
    return cpu
  }
  const variants = Object.fromEntries(names.map((name) => [name, async () => {
    const server = servers.get(name)
    const before = await cpu(server)
    await server.connections.load(REQUESTS)
    return (await cpu(server) - before) / REQUESTS
  }]))
  const costs = await interleave(variants, { rounds })
  for (const { child, connections } of servers.values()) {
    connections.close()
    child.disconnect()
  }
  return costs
}
