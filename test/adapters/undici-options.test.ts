import t from 'tap'
import { AsyncLocalStorage } from 'node:async_hooks'
import { channel, subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { context, trace } from '@opentelemetry/api'
import { NodeTracerProvider } from '@opentelemetry/sdk-trace-node'
import fastify from 'fastify'
import { Registry } from 'prom-client'
import * as undici from 'undici'
import { instrumentOutgoing } from '../../adapters/undici.js'
import { metricsPlugin, type Histogram, type Labels } from '../../src/index.js'
import { HostileService } from '../support/hostile-service.js'
import { observedOutgoing } from '../support/outgoing.js'
import { Page } from '../support/page.js'

const service = await HostileService.start(t)
const { origin, port } = service

/** Sends requests to hosts of any name, all of which are the service. */
function anywhere (t: { teardown (fn: () => unknown): void }): (url: string, headers?: Record<string, string>) => Promise<void> {
  const connect = undici.buildConnector({})
  const agent = new undici.Agent({ connect: (options, done) => { connect({ ...options, protocol: 'http:', hostname: '127.0.0.1', host: service.host, port: String(port) }, done) } })
  t.teardown(() => agent.destroy())
  return async (url, headers) => { await (await undici.request(url, { dispatcher: agent, headers: headers ?? {} })).body.dump() }
}

t.test('a host has its port where that is not the own of its scheme', async (t) => {
  const outgoing = observedOutgoing(t)
  const send = anywhere(t)
  for (const url of ['http://API.example.com/text', 'http://api.example.com:80/text?password=secret', 'http://api.example.com:8080/text', 'http://[::1]:3000/text']) await send(url)
  t.same(await outgoing.hosts(), ['[::1]:3000', 'api.example.com', 'api.example.com:8080'])
  t.notMatch((await outgoing.page()).text, /secret/)
})

t.test('hosts are bounded, and one warning says so', async (t) => {
  const outgoing = observedOutgoing(t, { maxHosts: 3 })
  const send = anywhere(t)
  const warned: Error[] = []
  const warning = (error: Error & { code?: string }) => { if (error.code === 'FP_WARN_MAX_HOSTS') warned.push(error) }
  process.on('warning', warning)
  t.teardown(() => process.removeListener('warning', warning))
  for (let i = 0; i < 10; i++) await send(`http://host-${i}.example.com/text`)
  await send('http://host-0.example.com/text')
  t.same(await outgoing.hosts(), ['_OTHER', 'host-0.example.com', 'host-1.example.com', 'host-2.example.com'])
  const page = await outgoing.page()
  t.equal(page.sum('http_client_request_duration_seconds_count', { host: '_OTHER' }), 7)
  t.equal(page.sum('http_client_request_duration_seconds_count', { host: 'host-0.example.com' }), 2)
  t.equal(warned.length, 1)
  t.notMatch(warned[0]?.message, /host-3/)
})

t.test('only the listed hosts are named, and those below a wildcard are one', async (t) => {
  const outgoing = observedOutgoing(t, { hosts: ['api.example.com', '*.tenants.example.com'] })
  const send = anywhere(t)
  for (const host of ['api.example.com', 'a.tenants.example.com', 'b.tenants.example.com', 'tenants.example.com', 'api.example.com:81']) await send(`http://${host}/text`)
  t.same(await outgoing.hosts(), ['*.tenants.example.com', '_OTHER', 'api.example.com'])
})

t.test('a listed host is named however it is written', async (t) => {
  const outgoing = observedOutgoing(t, { hosts: ['API.example.com', 'b\u00fccher.example', '*.b\u00fccher.example:8080', 'my_service:3000', '[::1]:3000'] })
  const send = anywhere(t)
  for (const host of ['api.EXAMPLE.com', 'b\u00fccher.example', 'a.b\u00fccher.example:8080', 'my_service:3000', '[::1]:3000']) await send(`http://${host}/text`)
  t.same(await outgoing.hosts(), ['*.xn--bcher-kva.example:8080', '[::1]:3000', 'api.example.com', 'my_service:3000', 'xn--bcher-kva.example'])
})

t.test('an address is named by a Host header that is listed, as with the interceptor dns, and by no other', async (t) => {
  const outgoing = observedOutgoing(t, { hosts: ['api.example.com'] })
  const send = anywhere(t)
  for (const host of ['api.example.com', 'evil.example.com', 'api.example.com']) await send(`${origin}/text`, { host })
  await send('http://other.example.com/text', { host: 'api.example.com' })
  const page = await outgoing.page()
  t.equal(page.sum('http_client_request_duration_seconds_count', { host: 'api.example.com' }), 2)
  t.equal(page.sum('http_client_request_duration_seconds_count', { host: '_OTHER' }), 2)
})

t.test('wrong options are refused, and no address with a password is told', (t) => {
  const wrong: Array<[unknown, RegExp]> = [
    [{ hosts: 'api' }, /'hosts' must be an array/], [{ hosts: ['https://user:secret@api'] }, /'hosts\[0\]' must be a host/],
    [{ hosts: ['api/path'] }, /'hosts\[0\]'/], [{ hosts: ['api', 'api:99999'] }, /'hosts\[1\]'/], [{ hosts: ['*'] }, /'hosts\[0\]'/], [{ maxHosts: 0 }, /'maxHosts' must be/], [{ buckets: [2, 1] }, /'buckets' must be/],
    [{ ignoreRequestHook: () => true }, /write 'hosts' here/], [{ unknown: 1 }, /the options are hosts, maxHosts/]
  ]
  for (const [options, message] of wrong) {
    try {
      instrumentOutgoing(options as never)()
      t.fail('it was taken')
    } catch (error) {
      t.match(error, { code: 'FP_ERR_INVALID_OPTION', message })
      t.notMatch((error as Error).message, /secret/)
    }
  }
  t.notOk(channel('undici:request:create').hasSubscribers)
  t.end()
})

t.test('the first call of a process counts', async (t) => {
  const registry = new Registry()
  const undo = instrumentOutgoing({ registry })
  t.equal(instrumentOutgoing({ registry }), undo)
  t.equal(instrumentOutgoing(), undo)
  const warned = once(process, 'warning') as Promise<[Error & { code: string }]>
  instrumentOutgoing({ registry: new Registry(), maxHosts: 5 })()
  const [{ code, message }] = await warned
  t.equal(code, 'FP_WARN_OBSERVED_ALREADY')
  t.match(message, /maxHosts, registry|registry, maxHosts/)
  await (await fetch(`${origin}/text`)).text()
  t.equal(new Page(await registry.metrics()).sum('http_client_request_duration_seconds_count'), 1)
  undo()
  undo()
  for (const name of ['undici:request:create', 'undici:request:headers', 'undici:request:trailers', 'undici:request:error', 'http.client.request.start']) {
    t.notOk(channel(name).hasSubscribers, name)
  }
  t.notOk(Object.getOwnPropertySymbols(channel('undici:request:create')).some((symbol) => String(symbol).includes('fastify-prometheus')))
})

t.test('a request that is under way at undo is forgotten, also by the next observation', async (t) => {
  const first = observedOutgoing(t)
  const { asked } = service
  const controller = new AbortController()
  const answer = fetch(`${origin}/silent`, { signal: controller.signal })
  await asked
  t.same(await first.kinds(), { 'in flight': 1 })
  first.undo()
  const second = observedOutgoing(t)
  controller.abort()
  await t.rejects(answer)
  t.same(await first.kinds(), {})
  t.same(await second.kinds(), {})
})

t.test('other subscribers are told the same, and one that throws harms nobody', async (t) => {
  const seen: string[] = []
  const failure = new Error('of a subscriber')
  const uncaught: unknown[] = []
  const other = (message: unknown) => {
    seen.push(Object.keys(message as object).join())
    throw failure
  }
  const caught = (error: unknown) => { uncaught.push(error) }
  // tap listens too, and a subscriber's error is the process' own.
  const before = process.listeners('uncaughtException')
  process.removeAllListeners('uncaughtException')
  process.on('uncaughtException', caught)
  subscribe('undici:request:create', other)
  t.teardown(() => {
    unsubscribe('undici:request:create', other)
    process.removeListener('uncaughtException', caught)
    for (const listener of before) process.on('uncaughtException', listener)
  })
  const outgoing = observedOutgoing(t)
  t.equal(await (await fetch(`${origin}/text`)).text(), 'hello')
  t.same(await outgoing.settled(), { 'GET 200': 1 })
  t.same(seen, ['request'])
  t.same(uncaught, [failure])
})

t.test('requests are counted for the request that made them', async (t) => {
  const registry = new Registry()
  observedOutgoing(t, { registry })
  const app = fastify()
  await app.register(metricsPlugin, { registry, runtime: false, metrics: { http_request_outgoing_requests: true, http_request_outgoing_duration_seconds: true } })
  app.get('/two', async () => {
    await Promise.all([fetch(`${origin}/text`).then((answer) => answer.text()), undici.request(`${origin}/text`).then(({ body }) => body.text())])
    await t.rejects(undici.request(`${origin}/cut`))
    return 'done'
  })
  app.get('/none', async () => 'done')
  t.teardown(() => app.close())
  await app.inject('/two')
  await app.inject('/none')
  const page = new Page(await registry.metrics())
  t.equal(page.sum('http_request_outgoing_requests_sum', { route: '/two' }), 3)
  t.equal(page.sum('http_request_outgoing_requests_count', { route: '/two' }), 1)
  t.ok(page.sum('http_request_outgoing_duration_seconds_sum', { route: '/two' }) > 0)
  t.equal(page.sum('http_request_outgoing_requests_sum', { route: '/none' }), 0)
  t.equal(page.sum('http_request_outgoing_requests_count', { route: '/none' }), 1)
  t.same(page.of('http_request_db_queries_count'), [])
})

/** The labels of the exemplars of the durations. */
function exemplarsOf (registry: Registry): Labels[] {
  const histogram = registry.getSingleMetric('http_client_request_duration_seconds') as unknown as Histogram
  return [...histogram.snapshot().series()].flatMap(({ buckets }) => (buckets?.exemplars ?? []).flatMap((exemplar) => exemplar == null ? [] : [exemplar.labelSet]))
}

t.test('a request has the exemplar of where it was made', async (t) => {
  const local = new AsyncLocalStorage<string>()
  const first = observedOutgoing(t, { exemplars: () => ({ trace_id: local.getStore() ?? 'none' }) })
  await local.run('trace-of-the-caller', async () => { await (await fetch(`${origin}/text`)).text() })
  await first.settled()
  t.same(exemplarsOf(first.registry), [{ trace_id: 'trace-of-the-caller' }])
  first.undo()

  new NodeTracerProvider().register()
  t.teardown(() => {
    trace.disable()
    context.disable()
  })
  const outgoing = observedOutgoing(t)
  const span = trace.getTracer('test').startSpan('caller')
  await context.with(trace.setSpan(context.active(), span), async () => (await fetch(`${origin}/text`)).text())
  await outgoing.settled()
  t.same(exemplarsOf(outgoing.registry), [{ trace_id: span.spanContext().traceId, span_id: span.spanContext().spanId }])
})

t.test('the plugin has none of its own metrics, and its buckets are not theirs', async (t) => {
  const registry = new Registry()
  const app = fastify()
  t.teardown(() => app.close())
  await app.register(metricsPlugin, { registry, buckets: { duration: [1, 2] } })
  t.equal(registry.getSingleMetric('http_client_request_duration_seconds'), undefined)
  t.teardown(instrumentOutgoing({ registry, buckets: [3] }))
  t.same((registry.getSingleMetric('http_client_request_duration_seconds') as unknown as Histogram).buckets, [3])
  await t.rejects(async () => { await fastify().register(metricsPlugin, { registry: new Registry(), metrics: { http_client_request_duration_seconds: false } as object }) }, { code: 'FP_ERR_INVALID_OPTION' })
})
