// A service of several processes: node service.js <directory> <number of workers> <flush interval>, and 'live' for a live page. It says 'up <pid> <port>' for each worker, whose port is
// its own, and 'shared <path>' for all that a worker listens on by its primary. A worker that is gone is replaced.
import cluster from 'node:cluster'
import process from 'node:process'
import fastify from 'fastify'
import { metricsPlugin } from 'fastify-prometheus'

const [dir, workers, flushInterval, live] = process.argv.slice(2)

if (cluster.isPrimary) {
  for (let i = 0; i < Number(workers); i++) cluster.fork()
  cluster.on('exit', () => cluster.fork())
  process.on('SIGTERM', () => {
    cluster.removeAllListeners('exit').on('exit', () => { if (Object.keys(cluster.workers).length === 0) process.exit() })
    for (const worker of Object.values(cluster.workers)) worker.process.kill('SIGKILL')
  })
  cluster.on('listening', (_worker, { address }) => process.stdout.write(`shared ${address}\n`))
  cluster.on('message', (worker, { port }) => process.stdout.write(`up ${worker.process.pid} ${port}\n`))
} else {
  const app = fastify()
  app.register(metricsPlugin, { processes: { dir, flushInterval: Number(flushInterval) }, live: live === 'live' })
  app.get('/walk', async () => ({ pid: process.pid }))
  app.get('/block/:ms', async ({ params }) => {
    const end = Date.now() + Number(params.ms)
    while (Date.now() < end);
    return {}
  })
  app.get('/wait/:ms', async ({ params }) => {
    await new Promise((resolve) => setTimeout(resolve, Number(params.ms)))
    return {}
  })
  app.get('/throw', async () => { setImmediate(() => { throw new Error('on purpose') }) })
  process.on('SIGTERM', async () => {
    await app.close()
    process.exit()
  })
  await app.listen({ host: '127.0.0.1', port: 0, exclusive: true })
  process.send({ port: app.server.address().port })
}
