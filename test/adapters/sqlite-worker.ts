// A worker thread that observes a database of its own, runs one statement, and tells what its page says.
import { Registry } from 'prom-client'
import { parentPort, workerData } from 'node:worker_threads'
import { instrumentSqlite } from '../../adapters/sqlite.js'
import { sqliteDrivers } from '../support/sqlite-drivers.js'

const driver = (await sqliteDrivers({ pass: () => {} })).find(({ name }) => name === workerData)
if (driver === undefined) throw new Error(`there is no ${workerData}`)
const registry = new Registry()
const database = driver.open()
instrumentSqlite(database, { registry })
database.prepare('SELECT 1').get()
database.close()
parentPort?.postMessage(await registry.metrics())
