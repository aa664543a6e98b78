// One SQLite database in memory, instrumented as its arguments say, in a process of its own, as a service has it. For each
// message, a number, it runs so many statements on its path, and answers with the microseconds of CPU time of one.
import process from 'node:process'
import { pathToFileURL } from 'node:url'
import prom from 'prom-client'
import { instrumentSqlite } from 'fastify-prometheus/sqlite'
import { drivers } from './drivers.js'

const ROWS = 100

const variants = {
  bare () {},
  ours (database) { instrumentSqlite(database, { registry: new prom.Registry() }) },
  // Another version of this package, to compare with.
  async before (database) {
    const { instrumentSqlite } = await import(pathToFileURL(`${process.env.BENCH_BEFORE}/adapters/sqlite.js`))
    instrumentSqlite(database, { registry: new prom.Registry() })
  },
  promClient: instrumentWithPromClient
}

/** Durations and rows by operation, as they are written by hand: less than ours. */
function instrumentWithPromClient (database) {
  const registers = [new prom.Registry()]
  const duration = new prom.Histogram({ name: 'db_query_duration_seconds', help: 'x', labelNames: ['alias', 'vendor', 'operation'], buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10], registers })
  const rows = new prom.Counter({ name: 'db_rows_total', help: 'x', labelNames: ['alias', 'vendor', 'operation'], registers })
  const prepare = database.prepare
  database.prepare = function (text) {
    const statement = prepare.call(this, text)
    const labels = { alias: 'default', vendor: 'sqlite', operation: text.slice(0, 6).toLowerCase() }
    const counts = { run: ({ changes }) => changes, get: (row) => row === undefined ? 0 : 1, all: (all) => all.length }
    for (const [name, count] of Object.entries(counts)) {
      const method = statement[name]
      statement[name] = function (...values) {
        const end = duration.startTimer(labels)
        const result = method.apply(this, values)
        end()
        rows.inc(labels, count(result))
        return result
      }
    }
    const iterate = statement.iterate
    statement.iterate = function * (...values) {
      const end = duration.startTimer(labels)
      let read = 0
      for (const row of iterate.apply(this, values)) {
        read++
        yield row
      }
      end()
      rows.inc(labels, read)
    }
    return statement
  }
}

const [name, path, driver] = process.argv.slice(2)
const database = (await drivers())[driver]()
await variants[name](database)
database.exec('CREATE TABLE walk (id INTEGER PRIMARY KEY, metres INT)')
const insert = database.prepare('INSERT INTO walk (metres) VALUES (?)')
for (let i = 0; i < ROWS; i++) insert.run(i)
const SELECT = 'SELECT metres FROM walk WHERE id = ?'
const select = database.prepare(SELECT)
const update = database.prepare('UPDATE walk SET metres = metres + 1 WHERE id = ?')

const paths = {
  get: (id) => select.get(id),
  all: (id) => select.all(id),
  run: (id) => update.run(id),
  iterate (id) { for (const row of select.iterate(id)) if (row === undefined) throw new Error('no row') },
  prepare: (id) => database.prepare(SELECT).get(id)
}

function cpuOf (statements, run) {
  const before = process.cpuUsage()
  for (let i = 0; i < statements; i++) run(i % ROWS + 1)
  const { user, system } = process.cpuUsage(before)
  return (user + system) / statements
}

process.on('message', (statements) => { process.send(cpuOf(statements, paths[path])) })
process.on('disconnect', () => database.close())
