// Sends requests on one path, observed as its argument says, in a process of its own: undici, once it is loaded, is what
// the global fetch sends with. For each message, a number of requests, it sends so many, and answers with the microseconds
// of CPU time of one.
import { Agent, get } from 'node:http'
import process from 'node:process'
import prom from 'prom-client'
import { instrumentOutgoing } from 'fastify-prometheus/undici'

const CONNECTIONS = 8

const [name, path, port] = process.argv.slice(2)
const origin = `http://127.0.0.1:${port}`
const pool = path === 'pool' ? new (await import('undici')).Pool(origin, { connections: CONNECTIONS, pipelining: 1 }) : undefined
const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS })
const registry = new prom.Registry()

const variants = {
  bare: (send) => send,
  ours (send) {
    instrumentOutgoing({ registry })
    return send
  },
  promClient: withPromClient()
}

/** Each sends one request and reads the answer; what it gives has the status. */
const paths = {
  async fetch () {
    const response = await fetch(`${origin}/json`)
    await response.text()
    return response
  },
  async pool () {
    const { statusCode, body } = await pool.request({ path: '/json', method: 'GET' })
    await body.text()
    return { status: statusCode }
  },
  http: () => new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, path: '/json', agent }, (response) => {
      response.resume().on('end', () => { resolve({ status: response.statusCode }) })
    }).on('error', reject)
  })
}

const observed = variants[name](paths[path])

/** CPU time of a request. As many are under way as there are connections, so that this process does not fall asleep. */
async function cpuOf (send, requests) {
  const before = process.cpuUsage()
  await Promise.all(Array.from({ length: CONNECTIONS }, async () => {
    for (let i = 0; i < requests / CONNECTIONS; i++) await send()
  }))
  const { user, system } = process.cpuUsage(before)
  return (user + system) / requests
}

/** What is written by hand around each call: less than ours, which has the oldest request and exemplars as well. */
function withPromClient () {
  const registers = [new prom.Registry()]
  const duration = new prom.Histogram({ name: 'http_client_request_duration_seconds', help: 'x', labelNames: ['method', 'host', 'status_code'], registers })
  const errors = new prom.Counter({ name: 'http_client_request_errors_total', help: 'x', labelNames: ['method', 'host', 'type'], registers })
  const inFlight = new prom.Gauge({ name: 'http_client_requests_in_flight', help: 'x', labelNames: ['host'], registers })
  return (send) => async () => {
    const { host } = new URL(origin)
    const end = duration.startTimer({ method: 'GET', host })
    inFlight.inc({ host })
    try {
      const response = await send()
      end({ status_code: response.status })
      return response
    } catch (error) {
      errors.inc({ method: 'GET', host, type: error.code ?? error.name })
      throw error
    } finally {
      inFlight.dec({ host })
    }
  }
}

process.on('message', async (requests) => { process.send(await cpuOf(observed, requests)) })
process.on('disconnect', () => process.exit())
