// node eight.js <library> <load> <label sets> <processes>: a cluster of which each process has so many label sets. It
// tells
// its parent the port of the page, and at 'read' what a scrape has cost since the last 'cpu', 'freeze' or 'memory'.
import cluster from 'node:cluster'
import { readFileSync, writeFileSync } from 'node:fs'
import process from 'node:process'
import Fastify from 'fastify'
import { fill } from './load.js'

const [library, load, sets, processes] = process.argv.slice(2)
/** Milliseconds between two looks at the clock. */
const TICK = 1
/** Of the main thread, which has the number of its process. */
const SCHEDSTAT = `/proc/self/task/${process.pid}/schedstat`

/**
 * The longest freeze: the time between two looks at the clock, as far as the thread of the event loop was at work. What it
 * waited for a processor, of which eight processes have fewer, is no freeze of its own.
 */
class Freezes {
  #longest = 0
  #last
  #timer

  begin () {
    this.#longest = 0
    this.#last = this.#now()
    this.#timer = setInterval(() => {
      const now = this.#now()
      this.#longest = Math.max(this.#longest, Math.min(now.time - this.#last.time, now.worked - this.#last.worked))
      this.#last = now
    }, TICK)
  }

  /**
   * Milliseconds. The first number of schedstat is what the thread has run (Linux, Documentation/scheduler/sched-
   * stats.rst).
   */
  #now () {
    return { time: performance.now(), worked: Number(readFileSync(SCHEDSTAT, 'latin1').split(' ')[0]) / 1e6 }
  }

  /** @returns milliseconds since `begin()` */
  end () {
    clearInterval(this.#timer)
    return this.#longest
  }
}

const freezes = new Freezes()
let cpu = process.cpuUsage()
let resident = 0

function reset (what) {
  // Each of these costs time that is none of the scrape's.
  if (what === 'memory') globalThis.gc()
  if (what === 'freeze') freezes.begin()
  // This makes Linux forget the highest memory use so far (proc(5), clear_refs).
  writeFileSync('/proc/self/clear_refs', '5')
  resident = memory('VmRSS')
  cpu = process.cpuUsage()
}

function read () {
  const { user, system } = process.cpuUsage(cpu)
  return { cpu: (user + system) / 1000, freeze: freezes.end(), above: (memory('VmHWM') - resident) / 1024 }
}

/** Kilobytes. */
function memory (what) {
  return Number(new RegExp(`^${what}:\\s+(\\d+)`, 'm').exec(readFileSync('/proc/self/status', 'utf8'))[1])
}

/** The first message of a worker that has something. The others are prom-client's. */
function answer (worker, what) {
  return new Promise((resolve) => {
    worker.on('message', function listen (message) {
      if (message[what] === undefined) return
      worker.off('message', listen)
      resolve(message[what])
    })
  })
}

async function primary () {
  const app = Fastify()
  if (library === 'prom-client') {
    const { AggregatorRegistry } = await import('prom-client')
    const registry = new AggregatorRegistry()
    app.get('/metrics', async (_request, reply) => await reply.type(registry.contentType).send(await registry.clusterMetrics()))
  }
  // prom-client's primary has nothing to count; ours is one of the eight.
  const workers = Array.from({ length: library === 'ours' ? processes - 1 : Number(processes) }, () => cluster.fork())
  await Promise.all(workers.map((worker) => answer(worker, 'up')))
  if (library === 'ours') {
    const { metricsPlugin } = await import('fastify-prometheus')
    app.register(metricsPlugin, { processes: true, runtime: false })
    await fill(library, load, Number(sets))
  }
  await app.listen({ port: 0, host: '127.0.0.1' })
  const all = async (what) => await Promise.all(workers.map(async (worker) => {
    const reading = answer(worker, 'reading')
    worker.send({ what })
    return await reading
  }))
  process.on('message', async (what) => {
    if (what === 'end') {
      for (const worker of workers) worker.process.kill('SIGKILL')
      process.exit()
    }
    const others = await all(what)
    if (what !== 'read') {
      reset(what)
      process.send('ready')
    } else {
      const own = read()
      process.send({ ...own, cpu: own.cpu + others.reduce((sum, { cpu }) => sum + cpu, 0), others: Math.max(...others.map(({ freeze }) => freeze)) })
    }
  })
  process.send({ port: app.server.address().port })
}

async function worker () {
  if (library === 'ours') {
    const { contributeMetrics } = await import('fastify-prometheus')
    await contributeMetrics({ processes: true })
  } else {
    // It answers the primary from the moment on that it is made.
    const { AggregatorRegistry } = await import('prom-client')
    new AggregatorRegistry().clear()
  }
  await fill(library, load, Number(sets))
  process.on('message', ({ what }) => {
    if (what === undefined) return
    if (what !== 'read') reset(what)
    process.send({ reading: what === 'read' ? read() : {} })
  })
  process.send({ up: true })
}

await (cluster.isPrimary ? primary() : worker())
