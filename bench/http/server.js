// One hello-world server, instrumented as its argument says. It sends its port, and its CPU time on each message.
import { subscribe } from 'node:diagnostics_channel'
import process from 'node:process'
import { pathToFileURL } from 'node:url'
import Fastify from 'fastify'
import client from 'prom-client'

const DURATIONS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]
const SIZES = [64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864]

const variants = {
  bare () {},
  hooks (app) {
    app.addHook('onRequest', (_request, _reply, done) => done())
    app.addHook('onResponse', (_request, _reply, done) => done())
  },
  async ours (app) {
    const { metricsPlugin } = await import('fastify-prometheus')
    await app.register(metricsPlugin)
  },
  // Another version of this package, to compare with.
  async before (app) {
    const { metricsPlugin } = await import(pathToFileURL(`${process.env.BENCH_BEFORE}/src/index.js`))
    await app.register(metricsPlugin)
  },
  // The same metrics as our default set, as a careful engineer writes them with prom-client.
  promClient (app) {
    const labelNames = ['method', 'route']
    const received = new client.Counter({ name: 'http_requests_received_total', help: 'x', labelNames: [...labelNames, 'scheme'] })
    const duration = new client.Histogram({ name: 'http_request_duration_seconds', help: 'x', labelNames: [...labelNames, 'status_code'], buckets: DURATIONS })
    const handler = new client.Histogram({ name: 'http_handler_duration_seconds', help: 'x', labelNames, buckets: DURATIONS })
    const requestSize = new client.Histogram({ name: 'http_request_size_bytes', help: 'x', labelNames, buckets: SIZES })
    const responseSize = new client.Histogram({ name: 'http_response_size_bytes', help: 'x', labelNames, buckets: SIZES })
    const inFlight = new client.Gauge({ name: 'http_requests_in_flight', help: 'x', labelNames })
    const starts = new WeakMap()
    const labelsOf = (request) => ({ method: request.method, route: request.routeOptions.url ?? '__unmatched__' })
    app.addHook('onRequest', (request, _reply, done) => {
      const labels = labelsOf(request)
      received.inc({ ...labels, scheme: request.protocol })
      inFlight.inc(labels)
      done()
    })
    subscribe('tracing:fastify.request.handler:start', ({ reply }) => starts.set(reply, performance.now()))
    subscribe('tracing:fastify.request.handler:end', ({ request, reply, async }) => {
      if (!async) handler.observe(labelsOf(request), (performance.now() - starts.get(reply)) / 1000)
    })
    app.addHook('onResponse', (request, reply, done) => {
      const labels = labelsOf(request)
      duration.observe({ ...labels, status_code: reply.statusCode }, reply.elapsedTime / 1000)
      requestSize.observe(labels, Number(request.headers['content-length'] ?? 0))
      responseSize.observe(labels, Number(reply.getHeader('content-length') ?? 0))
      inFlight.dec(labels)
      done()
    })
  },
  async fastifyMetrics (app) {
    const { default: plugin } = await import('fastify-metrics')
    await app.register(plugin.default ?? plugin, { endpoint: '/metrics' })
  }
}

const app = Fastify()
await variants[process.argv[2]](app)
app.get('/', (_request, reply) => { reply.send({ hello: 'world' }) })
await app.listen({ port: 0, host: '127.0.0.1' })
process.on('message', () => {
  const { user, system } = process.cpuUsage()
  process.send({ cpu: user + system })
})
process.on('disconnect', () => process.exit())
process.send({ port: app.server.address().port })
