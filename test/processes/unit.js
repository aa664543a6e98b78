// node unit.js <kind> <options as JSON> [kinds of children]: one process of a service. Its kind is 'app', 'server' or 'contribute'; what it forks are others, which get
// the same options. It says 'up' and the URLs of its pages, and then answers each line of its input: 'count <number>', or 'end'.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import process from 'node:process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { contributeMetrics, metricsPlugin, metricsServer } from 'fastify-prometheus'
import { Counter, Histogram, Summary } from 'prom-client'

const [kind, text, ...kinds] = process.argv.slice(2)
const options = JSON.parse(text)
const walks = new Counter({ name: 'walks_total', help: 'Walks.' })
const distances = [Histogram, Summary].map((Kind) => new Kind({ name: `distance_${Kind.name.toLowerCase()}`, help: 'Distance.', labelNames: ['dog'] }))
const count = (number) => {
  walks.inc(number)
  for (const distance of distances) distance.observe({ dog: 'Rex' }, number)
}

const begin = {
  async app () {
    const { default: fastify } = await import('fastify')
    const app = fastify()
    app.register(metricsPlugin, options)
    app.get('/walk', async () => ({ pid: process.pid }))
    return [`${await app.listen({ host: '127.0.0.1', port: 0 })}/metrics`]
  },
  async server () {
    const { url } = await metricsServer({ host: '127.0.0.1', port: 0, ...options })
    return [url]
  },
  async contribute () {
    await contributeMetrics(options)
    return []
  }
}

const urls = await begin[kind]()
const children = await Promise.all(kinds.map(async (kind) => {
  const child = fork(fileURLToPath(import.meta.url), [kind, text], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const [told] = await once(child, 'message')
  urls.push(...told)
  return child
}))
if (process.send === undefined) {
  process.stdout.write(`up ${urls.join(' ')}\n`)
  createInterface({ input: process.stdin }).on('line', async (line) => {
    const [what, number] = line.split(' ')
    if (what === 'end') process.exit()
    count(Number(number))
    await Promise.all(children.map((child) => {
      child.send(Number(number))
      return once(child, 'message')
    }))
    process.stdout.write('counted\n')
  }).on('close', () => process.exit())
} else {
  process.on('message', (number) => {
    count(number)
    process.send('counted')
  }).on('disconnect', () => process.exit())
  process.send(urls)
}
