// A process that ends by an error of SQLite, with a database that is observed or bare.
import { Registry } from 'prom-client'
import { instrumentSqlite } from '../../adapters/sqlite.js'
import { sqliteDrivers } from '../support/sqlite-drivers.js'

const [name, how] = process.argv.slice(2)
const driver = (await sqliteDrivers({ pass: () => {} })).find((driver) => driver.name === name)
if (driver === undefined) throw new Error(`there is no ${name}`)
const database = driver.open()
if (how === 'observed') instrumentSqlite(database, { registry: new Registry() })
database.exec('CREATE TABLE walker (name TEXT UNIQUE)')
const insert = database.prepare("INSERT INTO walker VALUES ('ann')")
console.log('before')
insert.run()
insert.run()
