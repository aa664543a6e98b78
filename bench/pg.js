// CPU time of a `SELECT 1` against a real PostgreSQL, through a pg pool and through its client, bare and instrumented.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath, pathToFileURL } from 'node:url'
import pg from 'pg'
import prom from 'prom-client'
import { instrumentPool } from 'fastify-prometheus/pg'
import { startPostgres } from '../test/support/postgres.js'
import { difference, interleave, median, row, Spread, STARTS } from './measure.js'

const QUERIES = 800
const CONNECTIONS = 8
/** A build to compare with, its folder dist. */
const BEFORE = process.env.BENCH_BEFORE

export async function pgPool ({ rounds = 15, starts = STARTS } = {}) {
  const server = await startPostgres()
  try {
    const all = []
    for (let start = 1; start <= starts; start++) {
      process.stderr.write(`  start ${start} of ${starts}\n`)
      all.push(await inProcess(server.config, rounds))
    }
    const over = (name) => new Spread(all.map((differences) => differences[name]))
    return ['pool', 'client'].flatMap((path) => {
      const [ours, peer] = [over(`ours ${path}`), over(`promClient ${path}`)]
      const what = `CPU per SELECT 1 through a ${path}`
      return [
        row(what, `+${ours.text(2)} us on ${over(`bare ${path}`).median.toFixed(1)} us; duration and rows on prom-client +${peer.text(2)} us: ${share(ours.median, peer.median)}`, 'at most 1/6', ours.median <= peer.median / 6),
        ...BEFORE === undefined ? [] : [row('... the build before', `+${over(`before ${path}`).text(2)} us`, '', true)]
      ]
    })
  } finally {
    await server.close()
  }
}

const share = (ours, peer) => ours <= 0 ? '0' : `1/${(peer / ours).toFixed(1)}`

/** What each way costs more than bare, in microseconds, measured in a process of its own; and bare itself. */
async function inProcess (config, rounds) {
  const child = fork(fileURLToPath(import.meta.url), [JSON.stringify(config), String(rounds)])
  const [differences] = await once(child, 'message')
  await once(child, 'exit')
  return differences
}

async function measure (config, rounds) {
  const settings = { ...config, max: CONNECTIONS }
  const pools = { bare: new pg.Pool(settings), ours: new pg.Pool(settings), promClient: new pg.Pool(settings) }
  instrumentPool(pools.ours, { registry: new prom.Registry() })
  instrumentWithPromClient(pools.promClient)
  if (BEFORE !== undefined) {
    pools.before = new pg.Pool(settings)
    const before = await import(pathToFileURL(`${BEFORE}/adapters/pg.js`))
    before.instrumentPool(pools.before, { registry: new prom.Registry() })
  }
  const variants = {}
  for (const [name, pool] of Object.entries(pools)) {
    // end() resolves before its connections are closed, and the server is stopped then.
    pool.on('error', () => {})
    variants[`${name} pool`] = () => cpuOf(() => pool.query('SELECT 1'))
    variants[`${name} client`] = async () => {
      const clients = await Promise.all(Array.from({ length: CONNECTIONS }, () => pool.connect()))
      const cost = await cpuOf((connection) => clients[connection].query('SELECT 1'))
      for (const client of clients) client.release()
      return cost
    }
  }
  const costs = await interleave(variants, { rounds, warmup: 15 })
  await Promise.all(Object.values(pools).map((pool) => pool.end()))
  return Object.fromEntries(Object.keys(costs).map((name) => {
    const [who, path] = name.split(' ')
    return [name, who === 'bare' ? median(costs[name]) : difference(costs, name, `bare ${path}`)]
  }))
}

/**
 * CPU time of a query. As many are under way as there are connections, so that neither side falls asleep and no wake-up
 * is measured.
 * @param query sends one
 */
async function cpuOf (query) {
  const before = process.cpuUsage()
  await Promise.all(Array.from({ length: CONNECTIONS }, async (_, connection) => {
    for (let i = 0; i < QUERIES / CONNECTIONS; i++) await query(connection)
  }))
  const { user, system } = process.cpuUsage(before)
  return (user + system) / QUERIES
}

/** Duration by operation and rows, as it is written by hand: less than ours, for it knows no pool. */
function instrumentWithPromClient (pool) {
  const registers = [new prom.Registry()]
  const duration = new prom.Histogram({ name: 'db_query_duration_seconds', help: 'x', labelNames: ['alias', 'vendor', 'operation'], buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10], registers })
  const rows = new prom.Counter({ name: 'db_rows_total', help: 'x', labelNames: ['alias', 'vendor', 'operation'], registers })
  const connections = new prom.Histogram({ name: 'db_pool_acquire_duration_seconds', help: 'x', labelNames: ['alias', 'vendor'], buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10], registers })
  const database = { alias: 'default', vendor: 'postgresql' }
  const connect = pool.connect
  pool.connect = function (callback) {
    const end = connections.startTimer(database)
    if (callback === undefined) return connect.call(this).finally(end)
    return connect.call(this, (...answer) => {
      end()
      callback(...answer)
    })
  }
  pool.on('connect', (client) => {
    const query = client.query
    client.query = function (text, values, callback) {
      const labels = { ...database, operation: String(text).slice(0, 6).toLowerCase() }
      const end = duration.startTimer(labels)
      const ended = (result) => {
        end()
        rows.inc(labels, result?.rowCount ?? 0)
      }
      if (typeof callback === 'function') {
        return query.call(this, text, values, (error, result) => {
          ended(result)
          callback(error, result)
        })
      }
      return query.call(this, text, values).then((result) => {
        ended(result)
        return result
      })
    }
  })
}

if (process.send !== undefined && process.argv[1] === fileURLToPath(import.meta.url)) {
  const [config, rounds] = process.argv.slice(2).map((argument) => JSON.parse(argument))
  process.send(await measure(config, rounds))
  process.disconnect()
}
