// What the programs of all peers have in common.
import cluster from 'node:cluster'
import { createServer } from 'node:http'
import process from 'node:process'

export const HOST = '127.0.0.1'
const WORKERS = 3
/** Milliseconds. The scrape comes a moment later, and finds it blocked for 8 s. */
const BLOCKED = 8400
/** Milliseconds before a worker that is gone is replaced: one that cannot start must not keep the machine busy. */
const PAUSE = 100

/** The port that the workers share, that of the primary's page, and one for each worker. */
export const PORT = Number(process.env.PORT)
export const METRICS_PORT = Number(process.env.METRICS_PORT)
export const OWN_PORTS = (process.env.OWN_PORTS ?? '').split(',').map(Number)

/** Forks the workers; one that is gone is replaced, at the same place. */
export function forkWorkers () {
  const fork = (place) => cluster.fork({ PLACE: place }).once('exit', () => setTimeout(fork, PAUSE, place))
  for (let place = 0; place < WORKERS; place++) fork(place)
  // Whoever started this is gone.
  process.stdin.resume().on('end', () => process.exit())
}

/**
 * What a worker answers: its process id. When that is sent, it is blocked or ends, if it was asked to.
 * @param goodbye what the library wants to be done before process.exit()
 */
export function answer (path, response, goodbye = () => {}) {
  if (path === '/block') response.once('finish', () => setImmediate(block))
  if (path === '/end') {
    response.once('finish', async () => {
      try {
        await goodbye()
        process.exit()
      } catch (error) {
        process.stderr.write(`goodbye failed: ${error.message}\n`)
        process.exit(1)
      }
    })
  }
  return JSON.stringify({ pid: process.pid })
}

function block () {
  const end = Date.now() + BLOCKED
  while (Date.now() < end);
}

/** A server with a few pages: each is a function of the response. What it throws is answered 500. */
export function serve (port, pages) {
  createServer(async ({ url }, response) => {
    try {
      response.end(await (pages[url] ?? pages.any)(url, response))
    } catch (error) {
      response.writeHead(500).end(error.message)
    }
  }).listen(port, HOST)
}

/**
 * A service with a library whose primary asks the workers and serves the sum.
 * @param goodbye takes the registry
 */
export function primaryServes ({ Counter, register }, Registry, goodbye) {
  const registry = new Registry()
  if (cluster.isPrimary) {
    forkWorkers()
    serve(METRICS_PORT, { '/metrics': () => registry.clusterMetrics() })
  } else {
    const walks = new Counter({ name: 'walks_total', help: 'Walks.' })
    serve(PORT, {
      '/walk': (url, response) => {
        walks.inc()
        return answer(url, response)
      },
      // Under PM2 the primary is PM2's, and only the workers can be asked.
      '/metrics': () => register.metrics(),
      '/cluster_metrics': () => registry.clusterMetrics(),
      any: (url, response) => answer(url, response, () => goodbye?.(registry))
    })
  }
}
