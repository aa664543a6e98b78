import { execFile } from 'node:child_process'
import { createServer, type AddressInfo } from 'node:net'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import Fastify from 'fastify'
import { Registry } from 'prom-client'
import t from 'tap'
import { metricsPlugin, metricsServer } from '../../src/index.js'
import { unpackPackage } from '../support/package-folder.js'
import { freePort } from '../support/postgres.js'

const folder = await unpackPackage(t)

interface Server { pid: number, url?: string, page?: string, error?: { code: string, message: string } }

t.test('in a cluster each worker takes a port of its own, of a range and any; one port is for one worker', async (t) => {
  const [from, one] = [await freePort(), await freePort()]
  const range = { from, to: Math.min(from + 40, 65_535) }
  /** By worker, what it has of each: the plugin on a range, on any port and on one, and metricsServer on a range and on any. */
  const workers = JSON.parse(await folder.node('cluster.mjs', `
import cluster from 'node:cluster'
import Fastify from 'fastify'
import { Gauge, Registry } from 'prom-client'
import { metricsPlugin, metricsServer } from 'fastify-prometheus'

if (cluster.isPrimary) {
  const workers = [1, 2, 3].map(() => cluster.fork())
  const said = await Promise.all(workers.map((worker) => new Promise((resolve) => worker.once('message', resolve))))
  for (const server of said.flat()) if (server.url !== undefined) server.page = await (await fetch(server.url)).text()
  process.stdout.write(JSON.stringify(said))
  for (const worker of workers) worker.kill('SIGKILL')
} else {
  const registry = new Registry()
  new Gauge({ name: 'worker', help: 'Its process.', registers: [registry] }).set(process.pid)
  const said = []
  const say = async (serve) => {
    try {
      said.push({ pid: process.pid, url: (await serve()).url })
    } catch ({ code, message }) {
      said.push({ pid: process.pid, error: { code, message } })
    }
  }
  for (const port of [${JSON.stringify(range)}, 0, ${one}]) {
    await say(async () => {
      const app = Fastify()
      app.register(metricsPlugin, { registry, runtime: false, endpoint: { port } })
      await app.listen({ port: 0, host: '127.0.0.1' })
      return app.metrics.server
    })
  }
  for (const port of [${JSON.stringify(range)}, 0]) await say(() => metricsServer({ port, registry }))
  process.send(said)
}
`)) as Server[][]
  for (const at of [0, 1, 3, 4]) {
    const servers = workers.map((said) => said[at] as Server)
    t.equal(new Set(servers.map(({ url }) => url)).size, 3, servers.map(({ url }) => url).join())
    for (const { page, pid } of servers) t.match(page, `\nworker ${pid}\n`, 'a worker answers with its own numbers')
  }
  const ofOne = workers.map((said) => said[2] as Server)
  t.equal(ofOne.filter(({ url }) => url !== undefined).length, 1)
  for (const { error } of ofOne.filter(({ url }) => url === undefined)) {
    t.match(error, { code: 'FP_ERR_PORT_TAKEN', message: "each worker of a cluster needs one of its own: give 'port' a range, { from, to }" })
  }
})

t.test('processes that start at one moment on one range each take a port', async (t) => {
  const from = await freePort()
  await writeFile(folder.join('race.mjs'), `
import { metricsServer } from 'fastify-prometheus'
const { url } = await metricsServer({ port: { from: ${from}, to: ${Math.min(from + 40, 65_535)} } })
process.stdout.write(url)
process.stdin.once('end', () => process.exit()).resume()
`)
  const started = Array.from({ length: 4 }, () => {
    const running = promisify(execFile)(process.execPath, ['race.mjs'], { cwd: folder.path })
    const said = Promise.race([once(running.child.stdout as NodeJS.ReadableStream, 'data').then(([url]) => String(url)), running.then(({ stdout }) => stdout)])
    return { running, said }
  })
  const urls = await Promise.all(started.map(({ said }) => said))
  t.equal(new Set(urls).size, 4, urls.join())
  for (const url of urls) t.equal((await fetch(url)).status, 200)
  for (const { running } of started) running.child.stdin?.end()
  await Promise.all(started.map(({ running }) => running))
})

t.test('an address of IPv6 and a name are listened on, and a range goes on where one of their addresses is taken', async (t) => {
  for (const host of ['::1', 'localhost']) {
    const registry = new Registry()
    const server = await metricsServer({ port: 0, host, registry })
    t.equal(server.url, `http://${host === '::1' ? '[::1]' : host}:${server.port}/metrics`)
    t.equal((await fetch(server.url)).status, 200)
    const next = await metricsServer({ port: { from: server.port, to: Math.min(server.port + 40, 65_535) }, host, registry })
    t.not(next.port, server.port)
    await Promise.all([server.close(), next.close()])
  }
})

t.test('a port is let go when the application that failed to start is closed', async (t) => {
  const port = await freePort()
  const app = Fastify()
  app.register(metricsPlugin, { registry: new Registry(), runtime: false, endpoint: { port } })
  await app.register(async () => {})
  app.addHook('onReady', async () => { throw new Error('no database') })
  await t.rejects(async () => await app.ready(), { message: 'no database' })
  await app.close()
  const server = createServer().listen(port, '127.0.0.1')
  await once(server, 'listening')
  t.equal((server.address() as AddressInfo).port, port)
  server.close()
})
