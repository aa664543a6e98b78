// One pg pool, instrumented as its arguments say, in a process of its own, as a service has it. For each message, a number,
// it sends so many `SELECT 1` on its path, and answers with the microseconds of CPU time of one.
import { pathToFileURL } from 'node:url'
import process from 'node:process'
import pg from 'pg'
import prom from 'prom-client'
import { instrumentPool } from 'fastify-prometheus/pg'

const CONNECTIONS = 8

const variants = {
  bare () {},
  ours (pool) { instrumentPool(pool, { registry: new prom.Registry() }) },
  // Another version of this package, to compare with.
  async before (pool) {
    const { instrumentPool } = await import(pathToFileURL(`${process.env.BENCH_BEFORE}/adapters/pg.js`))
    instrumentPool(pool, { registry: new prom.Registry() })
  },
  promClient: instrumentWithPromClient
}

const paths = {
  pool: (queries) => cpuOf(queries, () => pool.query('SELECT 1')),
  async client (queries) {
    const clients = await Promise.all(Array.from({ length: CONNECTIONS }, () => pool.connect()))
    const cost = await cpuOf(queries, (connection) => clients[connection].query('SELECT 1'))
    for (const client of clients) client.release()
    return cost
  }
}

/**
 * CPU time of a query. As many are under way as there are connections, so that this process does not fall asleep. The
 * server may: who wakes it up pays for it, in the system call that sends the query.
 * @param queries how many, a multiple of the connections
 * @param query sends one
 */
async function cpuOf (queries, query) {
  const before = process.cpuUsage()
  await Promise.all(Array.from({ length: CONNECTIONS }, async (_, connection) => {
    for (let i = 0; i < queries / CONNECTIONS; i++) await query(connection)
  }))
  const { user, system } = process.cpuUsage(before)
  return (user + system) / queries
}

/** Durations and rows by operation and the waits for a connection, as they are written by hand: less than ours. */
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

const [name, path, config] = process.argv.slice(2)
const pool = new pg.Pool({ ...JSON.parse(config), max: CONNECTIONS })
// end() resolves before its connections are closed, and the server may be stopped then.
pool.on('error', () => {})
await variants[name](pool)
process.on('message', async (queries) => { process.send(await paths[path](queries)) })
process.on('disconnect', () => pool.end())
