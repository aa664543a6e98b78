// One pool of mysql2, instrumented as its arguments say, in a process of its own, as a service has it. For each message, a
// number, it sends so many `SELECT 1` on its path, and answers with the microseconds of CPU time of one, without that of
// the system.
import { pathToFileURL } from 'node:url'
import process from 'node:process'
import mysql from 'mysql2'
import prom from 'prom-client'
import { instrumentMysql } from 'fastify-prometheus/mysql2'

const CONNECTIONS = 8
const BUCKETS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10]

const variants = {
  bare () {},
  ours (pool) { instrumentMysql(pool, { registry: new prom.Registry() }) },
  // Another version of this package, to compare with.
  async before (pool) {
    const { instrumentMysql } = await import(pathToFileURL(`${process.env.BENCH_BEFORE}/adapters/mysql2.js`))
    instrumentMysql(pool, { registry: new prom.Registry() })
  },
  promClient: instrumentWithPromClient
}

const paths = {
  promise (queries) {
    const promised = pool.promise()
    return cpuOf(queries, () => promised.query('SELECT 1'))
  },
  callback: (queries) => cpuOf(queries, () => new Promise((resolve, reject) => {
    pool.query('SELECT 1', (error, rows) => error ? reject(error) : resolve(rows))
  }))
}

/**
 * CPU time of a query outside of the system. As many are under way as there are connections, so that this process does
 * not fall asleep. The server does: it has a thread for each connection, and who wakes it up pays for it in the system
 * call that sends the query. That takes 16 to 23 us, more or less by chance, and whoever instruments adds no call to it.
 * @param queries how many, a multiple of the connections
 * @param query sends one
 */
async function cpuOf (queries, query) {
  const before = process.cpuUsage()
  await Promise.all(Array.from({ length: CONNECTIONS }, async () => {
    for (let i = 0; i < queries / CONNECTIONS; i++) await query()
  }))
  const { user } = process.cpuUsage(before)
  return user / queries
}

/**
 * The same set written by hand: durations, errors and rows by operation, waits and uses of connections, connections
 * opened and closed, queries under way.
 */
function instrumentWithPromClient (pool) {
  const registers = [new prom.Registry()]
  const database = { alias: 'default', vendor: 'mysql' }
  const labelNames = Object.keys(database)
  const histogram = (name, more = []) => new prom.Histogram({ name, help: 'x', labelNames: [...labelNames, ...more], buckets: BUCKETS, registers })
  const counter = (name, more = []) => new prom.Counter({ name, help: 'x', labelNames: [...labelNames, ...more], registers })
  const duration = histogram('db_query_duration_seconds', ['operation'])
  const waits = histogram('db_pool_acquire_duration_seconds')
  const uses = histogram('db_connection_use_duration_seconds')
  const rowCount = counter('db_rows_total', ['operation'])
  const errors = counter('db_query_errors_total', ['type'])
  const opened = counter('db_connections_opened_total')
  const closed = counter('db_connections_closed_total')
  const inFlight = new prom.Gauge({ name: 'db_queries_in_flight', help: 'x', labelNames, registers })

  const { getConnection } = pool
  pool.getConnection = function (callback) {
    const endWait = waits.startTimer(database)
    return getConnection.call(this, (error, connection) => {
      if (!error) {
        endWait()
        connection.endUse = uses.startTimer(database)
      }
      callback(error, connection)
    })
  }
  pool.on('connection', (connection) => {
    opened.inc(database)
    connection.stream.once('close', () => closed.inc(database))
    const { query, release } = connection
    connection.release = function () {
      this.endUse?.()
      this.endUse = undefined
      return release.call(this)
    }
    // A pool gives a command that it has made.
    connection.query = function (command, ...rest) {
      const labels = { ...database, operation: String(command.sql).slice(0, 6).toLowerCase() }
      const endQuery = duration.startTimer(labels)
      inFlight.inc(database)
      const { onResult } = command
      command.onResult = (error, rows, fields) => {
        endQuery()
        inFlight.dec(database)
        if (error) errors.inc({ ...database, type: error.code })
        else rowCount.inc(labels, Array.isArray(rows) ? rows.length : rows.affectedRows)
        onResult(error, rows, fields)
      }
      return query.call(this, command, ...rest)
    }
  })
}

const [name, path, config] = process.argv.slice(2)
const pool = mysql.createPool({ ...JSON.parse(config), connectionLimit: CONNECTIONS })
await variants[name](pool)
process.on('message', async (queries) => { process.send(await paths[path](queries)) })
process.on('disconnect', () => pool.end())
