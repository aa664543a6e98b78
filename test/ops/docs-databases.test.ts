import { writeFile } from 'node:fs/promises'
import t from 'tap'
import { everyBlockIsTaken, guide } from '../support/guide.js'
import { startMariaDb } from '../support/mariadb.js'
import { unpackPackage } from '../support/package-folder.js'
import { startPostgres } from '../support/postgres.js'

/*
 * docs/databases.md: its code runs. Knex is not installed here, so its dialect is a class that asks for a driver as Knex does.
 */
const page = guide('databases')
const folder = await unpackPackage(t)
const server = await startPostgres()
t.teardown(() => server.close())

t.test('a dialect whose driver is ours has observed clients', async (t) => {
  const code = page.code('js', 'ObservedPostgres').replace(/^const Postgres = .*$/m, 'class Postgres { driver () { return this._driver() } }').replace(/^import \{ createRequire.*$/m, '')
  await writeFile(folder.join('config.json'), JSON.stringify(server.config))
  const printed = await folder.node('knex.js', `${code}
import { readFileSync } from 'node:fs'
import { register } from 'prom-client'
const { Client } = new ObservedPostgres().driver()
const client = new Client(JSON.parse(readFileSync('config.json')))
await client.connect()
await client.query('SELECT 1')
await client.end()
console.log(await register.metrics())
`)
  t.match(printed, /db_connections_opened_total\{alias="default",vendor="postgresql"\} 1/)
  t.match(printed, /db_query_duration_seconds_count\{.*operation="select"\} 1/)
})

t.test('mysql2, SQLite, and all from one call', async (t) => {
  const mariaDb = await startMariaDb(t)
  if (mariaDb === undefined) return
  await writeFile(folder.join('config.json'), JSON.stringify(server.config))
  const printed = await folder.node('together.mjs', `import { readFileSync } from 'node:fs'
import Fastify from 'fastify'
import fastifyPostgres from '@fastify/postgres'
import { metricsPlugin } from 'fastify-prometheus'
import { instrumentPool } from 'fastify-prometheus/pg'
process.env.MYSQL_PORT = '${mariaDb.port}'
const fastify = Fastify()
${page.code('js', 'createPool')}
${page.code('js', 'better-sqlite3')}
console.log(await pool.query('SELECT 1') && dogs.prepare('SELECT 1').all() && 'asked')
${page.code('js', 'onReady')}
fastify.register(fastifyPostgres, JSON.parse(readFileSync('config.json')))
await fastify.ready()
await fastify.pg.query('SELECT 1')
await pool.query('SELECT 1')
dogs.prepare('SELECT 1').all()
console.log(await fastify.metrics.render())
await fastify.close()
await pool.query('SELECT 1')
dogs.prepare('SELECT 1').all()
console.log('closed', typeof undo, typeof undoSqlite, await (await import('prom-client')).register.getSingleMetric('db_query_duration_seconds').get().then(({ values }) => values.filter(({ metricName }) => metricName?.endsWith('_count')).map(({ value }) => value).join()))
await pool.end()
`)
  for (const line of ['alias="walks",vendor="mysql",operation="select"} 2', 'alias="dogs",vendor="sqlite",operation="select"} 2', 'alias="default",vendor="postgresql",operation="select"} 1']) {
    t.match(printed, `db_query_duration_seconds_count{${line}`)
  }
  t.match(printed, /closed function function (2,2,1|2,1,2|1,2,2)$/m, 'what the plugin observes is over when it closes')
})

t.test('every block of code was run', (t) => {
  everyBlockIsTaken(t, ['databases'])
  t.end()
})
