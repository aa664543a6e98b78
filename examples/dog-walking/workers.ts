import cluster, { type Worker } from 'node:cluster'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { StartError } from './errors.js'
import { addressOf, nextFreePort } from './listen.js'
import type { Settings } from './settings.js'
import type { Shutdown } from './shutdown.js'

/**
 * The service in several processes on one port. Whichever of them is scraped, its page is of all of them. A process that
 * ends is replaced.
 * @param url of the database, which is migrated
 * @returns the address to open
 * @throws StartError when one of them ends before all listen
 */
export async function startWorkers (count: number, url: string, { host, port, firstPort }: Settings, shutdown: Shutdown): Promise<string> {
  cluster.setupPrimary({ args: ['--serve'] })
  const env = { HOST: host, PORT: String(port ?? await nextFreePort(host, firstPort)), DATABASE_URL: url, FASTIFY_PROMETHEUS_PROCESSES: process.env['FASTIFY_PROMETHEUS_PROCESSES'] ?? '1' }
  const replace = () => { if (!shutdown.begun) cluster.fork(env) }
  shutdown.add(async () => {
    cluster.off('exit', replace)
    await Promise.all(Object.values(cluster.workers ?? {}).map((worker) => worker && end(worker)))
  })
  const workers = Array.from({ length: count }, () => cluster.fork(env))
  const addresses = await Promise.all(workers.map(listening))
  cluster.on('exit', replace)
  const address = addresses[0] as AddressInfo
  return addressOf({ address: host, port: address.port })
}

async function listening (worker: Worker): Promise<AddressInfo> {
  const ended = once(worker, 'exit').then(() => { throw new StartError('one of the processes ended before it listened; what it said stands above') })
  const [address] = await Promise.race([once(worker, 'listening'), ended]) as [AddressInfo]
  ended.catch(() => {})
  return address
}

async function end (worker: Worker): Promise<void> {
  if (worker.isDead()) return
  const exit = once(worker, 'exit')
  worker.process.kill('SIGTERM')
  await exit
}
