import { writeFile } from 'node:fs/promises'
import t from 'tap'
import { everyBlockIsTaken, guide } from '../support/guide.js'
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

t.test('every block of code was run', (t) => {
  everyBlockIsTaken(t, ['databases'])
  t.end()
})
