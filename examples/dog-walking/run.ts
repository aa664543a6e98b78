import cluster from 'node:cluster'
import type { FastifyServerOptions } from 'fastify'
import type { DataSource } from 'typeorm'
import { buildApp } from './app.js'
import { connectDataSource, connectStatusPool, migrate, requireMigrated } from './database.js'
import { listen } from './listen.js'
import { seed } from './seed.js'
import type { Settings } from './settings.js'
import type { Shutdown } from './shutdown.js'
import { smoke } from './smoke.js'
import { keepTraffic } from './traffic.js'
import { startWorkers } from './workers.js'

/** A stop waits so long for requests that are being answered; then they are cut. */
const GRACE_MS = 5000

/** What the command can do. Each says whether that was all, or it serves until the shutdown. @throws StartError */
type Run = (url: string, settings: Settings, shutdown: Shutdown) => Promise<boolean>

/** Everything, with a little traffic. */
export const runDemo: Run = async (url, settings, shutdown) => {
  const dataSource = await connect(url, shutdown)
  await prepare(dataSource, true)
  const address = await startService(url, dataSource, settings, shutdown, { level: 'error' })
  begin(address, shutdown)
  return false
}

/** The same in several processes. */
export async function runWorkers (count: number, url: string, settings: Settings, shutdown: Shutdown): Promise<boolean> {
  const dataSource = await connect(url, shutdown)
  await prepare(dataSource, true)
  const address = await startWorkers(count, url, settings, shutdown)
  say(`${count} processes are listening on ${address}`)
  begin(address, shutdown)
  return false
}

/** One round through every page, on a port of its own. */
export const runSmoke: Run = async (url, settings, shutdown) => {
  const dataSource = await connect(url, shutdown)
  await prepare(dataSource, true)
  const address = await startService(url, dataSource, { ...settings, port: 0 }, shutdown, { level: 'error' })
  const moved = await smoke(address)
  say(`\nOne round through every page moved:\n\n${moved.join('\n')}\n\nsmoke: ok`)
  return true
}

/** The service alone, for a container. */
export const serve: Run = async (url, settings, shutdown) => {
  const dataSource = await connect(url, shutdown)
  await requireMigrated(dataSource)
  // As a process of the demo it leaves the terminal to that.
  await startService(url, dataSource, settings, shutdown, cluster.isWorker ? { level: 'error' } : true)
  return false
}

/** What runs before the containers of a new version. */
export async function migrateOnly (url: string, shutdown: Shutdown, seeds: boolean): Promise<boolean> {
  await prepare(await connect(url, shutdown), seeds)
  return true
}

async function connect (url: string, shutdown: Shutdown): Promise<DataSource> {
  const dataSource = await connectDataSource(url)
  shutdown.add(() => dataSource.destroy())
  say('connected to PostgreSQL')
  return dataSource
}

async function prepare (dataSource: DataSource, seeds: boolean): Promise<void> {
  const applied = await migrate(dataSource)
  say(applied.length === 0 ? 'no migration was pending' : `migrated: ${applied.join(', ')}`)
  if (seeds) say(await seed(dataSource) ? 'seeded: walkers and dogs' : 'walkers and dogs are there already')
}

async function startService (
  url: string, dataSource: DataSource, settings: Settings, shutdown: Shutdown, logger: FastifyServerOptions['logger']
): Promise<string> {
  const statusPool = connectStatusPool(url)
  shutdown.add(() => statusPool.end())
  const app = await buildApp({ dataSource, statusPool, logger })
  shutdown.add(async () => {
    const cut = setTimeout(() => app.server.closeAllConnections(), GRACE_MS)
    await app.close()
    clearTimeout(cut)
  })
  const address = await listen(app, settings)
  say(`listening on ${address}`)
  return address
}

function begin (address: string, shutdown: Shutdown): void {
  shutdown.add(keepTraffic(address))
  say(`
  Live          ${address}/metrics/live

  The service   ${address}/
  Its status    ${address}/status
  Its metrics   ${address}/metrics

A little traffic is on its way. Ctrl-C stops it all.`)
}

function say (text: string): void {
  if (cluster.isWorker) return
  process.stdout.write(`${text}\n`)
}
