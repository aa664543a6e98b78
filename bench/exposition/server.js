// A server with one page of 112,000 series, made by the library that its argument names. On each message it sends a
// reading: its CPU time, longest freeze and peak memory since the last reading.
import { readFileSync, writeFileSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import process from 'node:process'
import Fastify from 'fastify'

/** With +Inf, sum and count these are 14 series for each label set. */
const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5]
const SETS = 8000
const config = { name: 'http_request_duration_seconds', help: 'Duration of requests, in seconds.', labelNames: ['method', 'route', 'status_code'], buckets: BUCKETS }

const app = Fastify()

const variants = {
  async ours () {
    const { Registry } = await import('prom-client')
    const { Histogram, metricsPlugin } = await import('fastify-prometheus')
    const registry = new Registry()
    await app.register(metricsPlugin, { registry, prefix: 'bench_', runtime: false })
    return new Histogram({ ...config, registers: [registry] })
  },
  'prom-client': async () => served(await import('prom-client')),
  '@prometheus-io/client': async () => served(await import('@prometheus-io/client')),
  async OpenTelemetry () {
    const { PrometheusSerializer, PrometheusExporter } = await import('@opentelemetry/exporter-prometheus')
    const { MeterProvider } = await import('@opentelemetry/sdk-metrics')
    const exporter = new PrometheusExporter({ preventServerStart: true })
    const serializer = new PrometheusSerializer()
    app.get('/metrics', async (_request, reply) => {
      const { resourceMetrics } = await exporter.collect()
      return await reply.type('text/plain').send(serializer.serialize(resourceMetrics))
    })
    // By default, the views of OpenTelemetry cap attribute sets at 2000.
    const provider = new MeterProvider({ readers: [exporter], views: [{ instrumentName: config.name, aggregationCardinalityLimit: SETS + 1 }] })
    const histogram = provider.getMeter('bench').createHistogram(config.name, { advice: { explicitBucketBoundaries: BUCKETS } })
    return { observe: (labels, value) => histogram.record(value, labels) }
  }
}

function served ({ Registry, Histogram }) {
  const registry = new Registry()
  app.get('/metrics', async (_request, reply) => await reply.type(registry.contentType).send(await registry.metrics()))
  return new Histogram({ ...config, registers: [registry] })
}

const histogram = await variants[process.argv[2]]()
for (let i = 0; i < SETS; i++) {
  const labels = { method: 'GET', route: `/api/v1/things/${i % 2000}/details`, status_code: String(200 + Math.floor(i / 2000)) }
  for (let k = 0; k < 8; k++) histogram.observe(labels, (i * 31 + k * 379) % 3000 / 1000)
}
await app.listen({ port: 0, host: '127.0.0.1' })

const delay = monitorEventLoopDelay({ resolution: 1 })
delay.enable()
let cpuBefore = process.cpuUsage()
let residentBefore = 0
process.on('message', (collectGarbage) => {
  const { user, system } = process.cpuUsage(cpuBefore)
  // The monitor knows a freeze only when the timer that the freeze held up has run, which is after this message.
  setTimeout(() => {
    process.send({ cpu: (user + system) / 1000, freeze: delay.max / 1e6, peak: (memory('VmHWM') - residentBefore) * 1024 }, () => {
      if (collectGarbage) globalThis.gc()
      // This makes Linux forget the highest memory use so far (proc(5), clear_refs).
      writeFileSync('/proc/self/clear_refs', '5')
      residentBefore = memory('VmRSS')
      cpuBefore = process.cpuUsage()
      delay.reset()
      process.send('ready')
    })
  }, 5)
})
process.on('disconnect', () => process.exit())
process.send({ port: app.server.address().port })

/** One of the memory figures of this process, in kilobytes. */
function memory (what) {
  return Number(new RegExp(`${what}:\\s+(\\d+) kB`).exec(readFileSync('/proc/self/status', 'utf8'))[1])
}
