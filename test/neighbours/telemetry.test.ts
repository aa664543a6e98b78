import { FastifyOtelInstrumentation } from '@fastify/otel'
import { trace } from '@opentelemetry/api'
import { InMemorySpanExporter, NodeTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-node'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { ended } from '../support/books.js'
import { service } from '../support/http.js'
import { ask, checkBooks, ORDERS, scrape } from '../support/neighbours.js'

const spans = new InMemorySpanExporter()
const provider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] })
provider.register()
t.teardown(() => provider.shutdown())

/** @fastify/otel, and a route that says the trace it is in. */
function traced (app: FastifyInstance): void {
  const instrumentation = new FastifyOtelInstrumentation()
  instrumentation.setTracerProvider(provider)
  app.register(instrumentation.plugin())
  app.register(async (app) => {
    app.get('/', async () => trace.getActiveSpan()?.spanContext().traceId)
    app.get('/broken', async () => { throw new RangeError('broken') })
  })
}

/** The traces that the exemplars of a metric name. */
async function exemplars (url: string, metric: string): Promise<string[]> {
  const answer = await fetch(`${url}/metrics`, { headers: { accept: 'application/openmetrics-text; version=1.0.0' } })
  return [...(await answer.text()).matchAll(new RegExp(`^${metric}_bucket.* # \\{trace_id="(\\w+)"`, 'gm'))].map(([, trace = '']) => trace)
}

async function served (t: Test, url: string): Promise<string> {
  spans.reset()
  const answer = await fetch(`${url}/`)
  const traceId = await answer.text()
  t.match(traceId, /^\w{32}$/, 'the handler is in a trace')
  t.equal(await ask(url, '/broken'), 500)
  const page = await scrape(url)
  t.equal(ended(page, { route: '/', status_code: '200' }), 1)
  t.equal(ended(page, { route: '/broken', status_code: '500' }), 1)
  t.equal(page.sum('http_exceptions_total', { type: 'RangeError' }), 1)
  t.equal(page.sum('http_handler_duration_seconds_count'), 2)
  checkBooks(t, page, 2)
  t.ok(spans.getFinishedSpans().some((span) => span.spanContext().traceId === traceId && span.attributes['http.route'] === '/'), 'its spans are as they were')
  return traceId
}

for (const order of ORDERS) {
  t.test(`@fastify/otel, ${order}: both see every request; durations have its traces where it was registered before`, async (t) => {
    const { url } = await service(t, { [order]: traced })
    const traceId = await served(t, url)
    const named = await exemplars(url, 'http_request_duration_seconds')
    if (order === 'before') t.ok(named.includes(traceId))
    else t.same(named, [], 'no span is active yet when the plugin sees a request')
  })
}

t.test('@fastify/otel, after: with a function of the request durations have its traces', async (t) => {
  const { url } = await service(t, {
    routes: traced,
    options: { exemplars: (request) => ({ trace_id: request.opentelemetry().span?.spanContext().traceId ?? '' }) }
  })
  const traceId = await served(t, url)
  t.ok((await exemplars(url, 'http_request_duration_seconds')).includes(traceId))
})
