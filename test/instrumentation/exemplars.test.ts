import { AsyncLocalStorage } from 'node:async_hooks'
import type { IncomingMessage, ServerResponse } from 'node:http'
import Module from 'node:module'
import { context, trace } from '@opentelemetry/api'
import { NodeTracerProvider, SamplingDecision } from '@opentelemetry/sdk-trace-node'
import type { FastifyInstance } from 'fastify'
import pg from 'pg'
import Cursor from 'pg-cursor'
import { Registry } from 'prom-client'
import t, { type Test } from 'tap'
import { DataSource } from 'typeorm'
import { instrumentPg, instrumentPool, type PgOptions } from '../../adapters/pg.js'
import { instrumentDataSource } from '../../adapters/typeorm.js'
import { catalogue, type Definition, type Histogram, type Labels, type MetricsPluginOptions, type RegistryLike } from '../../src/index.js'
import { QueryExemplars } from '../../src/instrumentation/exemplars.js'
import { HTTP_METRICS } from '../../src/http/families.js'
import { exchange, open, service } from '../support/http.js'
import { startPostgres } from '../support/postgres.js'

const HISTOGRAMS = HTTP_METRICS.filter((name) => (catalogue[name] as Definition).type === 'histogram')
const DURATION = 'http_request_duration_seconds'
const QUERIES = 'db_query_duration_seconds'
const UNSAMPLED = 'unsampled'

const server = await startPostgres()
t.teardown(() => server.close())

/** Runs something with a new span active, as an instrumentation does; its labels, and what came out. */
function inSpan<R> (run: () => R, name = 'sampled'): { labels: Labels, result: R } {
  const span = trace.getTracer('test').startSpan(name, { root: true })
  const { traceId, spanId } = span.spanContext()
  const result = context.with(trace.setSpan(context.active(), span), run)
  span.end()
  return { labels: { trace_id: traceId, span_id: spanId }, result }
}

/** The labels of the exemplars of a histogram's series, and how many values were observed in them. */
function read (registry: RegistryLike, name: string, labels: Record<string, string> = {}): { count: number, exemplars: Labels[] } {
  const found = { count: 0, exemplars: [] as Labels[] }
  for (const series of (registry.getSingleMetric(name) as Histogram).snapshot().series()) {
    const values = Object.fromEntries(series.labels.map(({ name, value }) => [name, value]))
    if (!Object.entries(labels).every(([name, value]) => values[name] === value)) continue
    const { counts, at, exemplars = [] } = series.buckets ?? { counts: [], at: 0 }
    const buckets = (registry.getSingleMetric(name) as Histogram).buckets.length + 1
    for (let i = at; i < at + buckets; i++) found.count += counts[i] ?? 0
    found.exemplars.push(...exemplars.flatMap((exemplar) => exemplar === undefined ? [] : [exemplar.labelSet]))
  }
  return found
}

/** What instrumentation failed at, by source. */
async function failures (registry: Registry): Promise<Record<string, number>> {
  const { values = [] } = await registry.getSingleMetric('metrics_instrumentation_errors_total')?.get() ?? {}
  return Object.fromEntries(values.map(({ value, labels }) => [labels.source, value]))
}

/** A service whose requests are in spans of their own from before Fastify sees them, as OpenTelemetry's HTTP instrumentation has it. */
async function traced (t: Test, exemplars: MetricsPluginOptions['exemplars'], routes: (app: FastifyInstance) => void, before?: (app: FastifyInstance) => void) {
  /** By URL. */
  const spans = new Map<string, Labels>()
  let closed = () => {}
  const started = await service(t, {
    options: { ...exemplars !== undefined && { exemplars }, metrics: Object.fromEntries(HISTOGRAMS.map((name) => [name, true])) },
    before: (app) => {
      const emit = app.server.emit.bind(app.server) as (event: string, ...args: unknown[]) => boolean
      app.server.emit = (event: string, ...args: unknown[]) => {
        if (event !== 'request') return emit(event, ...args)
        const [request, response] = args as [IncomingMessage, ServerResponse]
        response.on('close', () => setImmediate(closed))
        const { labels, result } = inSpan(() => emit(event, ...args), request.url?.includes(UNSAMPLED) === true ? UNSAMPLED : 'sampled')
        spans.set(request.url ?? '', labels)
        return result
      }
      before?.(app)
    },
    routes
  })
  /** When so many responses are closed on the server's side too. */
  const closings = (open: number) => new Promise<void>((resolve) => { closed = () => { if (--open === 0) resolve() } })
  /** Gets some paths at once. */
  const get = async (...paths: string[]) => { await Promise.all([closings(paths.length), ...paths.map(async (path) => (await fetch(started.url + path)).text())]) }
  return { ...started, spans, closings, get }
}

t.test('with the API and no tracer there are no exemplars and no trouble', async (t) => {
  const { registry, get } = await traced(t, undefined, (app) => { app.get('/', async () => 'ok') })
  await get('/')
  t.same(read(registry, DURATION), { count: 1, exemplars: [] })
  t.same(await failures(registry), {})
})

t.test('a tracer', async (t) => {
  const provider = new NodeTracerProvider({
    sampler: {
      shouldSample: (_context, _traceId, name) => ({ decision: name === UNSAMPLED ? SamplingDecision.NOT_RECORD : SamplingDecision.RECORD_AND_SAMPLED }),
      toString: () => 'by name'
    }
  })
  const early = new QueryExemplars({ registry: new Registry() })
  t.equal(early.here(), undefined)
  provider.register()
  t.ok(inSpan(() => trace.getActiveSpan()).result, 'is there from now on')
  const { labels, result } = inSpan(() => early.here())
  t.same(result, labels, 'also for who asked before')
})

t.test('the span is found where @opentelemetry/api cannot be loaded, as in a bundle', async (t) => {
  const node = Module as unknown as { _load (request: string, ...rest: unknown[]): unknown }
  const load = node._load
  t.teardown(() => { node._load = load })
  node._load = function (request, ...rest) {
    if (request === '@opentelemetry/api') throw Object.assign(new Error('Cannot find module'), { code: 'MODULE_NOT_FOUND' })
    return load.call(this, request, ...rest)
  }
  // A copy of its own, that has not asked yet.
  const { QueryExemplars } = await t.mockImport('../../src/instrumentation/exemplars.js', {}) as typeof import('../../src/instrumentation/exemplars.js')
  const registry = new Registry()
  const { labels, result } = inSpan(() => new QueryExemplars({ registry }).here())
  t.same(result, labels)
  t.same(await failures(registry), {})
})

t.test('what stands at the global symbol and is no API costs the exemplar alone', async (t) => {
  const global = globalThis as { [key: symbol]: unknown }
  const symbol = Symbol.for('opentelemetry.js.api.1')
  const api = global[symbol]
  t.teardown(() => { global[symbol] = api })
  for (const [other, errors] of [[null, {}], [{ version: '1.9.0' }, {}], [5, {}], [{ context: {} }, { exemplars: 1 }], [{ context: { active: () => undefined } }, { exemplars: 1 }]]) {
    const registry = new Registry()
    const exemplars = new QueryExemplars({ registry })
    global[symbol] = other
    t.equal(exemplars.here(), undefined)
    t.same(await failures(registry), errors)
  }
})

t.test('every HTTP histogram has the request\'s own, in one object', async (t) => {
  const { registry, url, spans, closings, get } = await traced(t, undefined, (app) => { app.post('/', async () => 'ok') })
  const headers = { 'x-request-start': `t=${Date.now() / 1000 - 1}`, 'content-type': 'text/plain' }
  await Promise.all([closings(1), fetch(url, { method: 'POST', body: 'a body', headers }).then((response) => response.text())])
  await get('/elsewhere')
  const [first] = read(registry, DURATION, { route: '/' }).exemplars
  t.equal(HISTOGRAMS.length, 9)
  for (const name of HISTOGRAMS) {
    const { count, exemplars } = read(registry, name, { route: '/' })
    t.equal(count, 1, name)
    t.same(exemplars, [spans.get('/')], name)
    t.equal(exemplars[0], first, `${name} shares it`)
  }
  t.same(read(registry, DURATION, { route: '__unmatched__' }).exemplars, [spans.get('/elsewhere')])
})

t.test('requests that are served at once keep theirs apart, and what is not sampled has none', async (t) => {
  const paths = Array.from({ length: 20 }, (_, i) => i % 4 === 3 ? `/${UNSAMPLED}/${i}` : `/walks/${i}`)
  let waiting = 0
  let openAll = () => {}
  const all = new Promise<void>((resolve) => { openAll = resolve })
  const { registry, spans, get } = await traced(t, true, (app) => {
    for (const path of paths) {
      app.get(path, async () => {
        if (++waiting === paths.length) openAll()
        await all
        return 'ok'
      })
    }
  })
  await get(...paths)
  t.equal(new Set([...spans.values()].map(({ trace_id: id }) => id)).size, paths.length)
  for (const route of paths) {
    const expected = route.includes(UNSAMPLED) ? [] : [spans.get(route)]
    for (const name of [DURATION, 'http_handler_duration_seconds']) t.same(read(registry, name, { route }), { count: 1, exemplars: expected }, `${name} of ${route}`)
  }
})

t.test('a request has its own however it comes in and whoever answers it', async (t) => {
  let inner: Labels | undefined
  let handling = () => {}
  const handled = new Promise<void>((resolve) => { handling = resolve })
  const { app, registry, port, spans, closings, get } = await traced(t, undefined, (app) => {
    app.get('/', async () => 'ok')
    app.get('/inner', async () => 'ok')
    app.get('/injected', async () => 'ok')
    app.get('/early', async () => 'ok')
    app.get('/left', () => new Promise(() => { handling() }))
  }, (app) => {
    app.addHook('onRequest', (request, reply, done) => {
      if (request.url === '/early') reply.send('answered before any hook of ours')
      else if (request.url === '/inner') setImmediate(() => { inner = inSpan(done).labels })
      else setImmediate(done)
    })
  })
  await get('/', '/early', '/inner')
  await Promise.all([closings(1), exchange(port, 'GET /% HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')])
  const gone = closings(1)
  const connection = await open(port)
  connection.write('GET /left HTTP/1.1\r\nHost: x\r\n\r\n')
  await handled
  connection.destroy()
  await gone
  const { labels, result } = inSpan(async () => { await app.inject('/injected') })
  await result
  t.same(read(registry, DURATION, { route: '/' }), { count: 1, exemplars: [spans.get('/')] }, 'after a hook that waits')
  t.same(read(registry, DURATION, { route: '/early' }), { count: 1, exemplars: [spans.get('/early')] }, 'answered by an earlier hook')
  t.same(read(registry, DURATION, { route: '/inner' }), { count: 1, exemplars: [inner] }, 'the span of an earlier hook is nearer')
  t.same(read(registry, DURATION, { route: '__unmatched__' }), { count: 1, exemplars: [spans.get('/%')] }, 'no hook ran')
  t.same(read(registry, DURATION, { route: '/left' }), { count: 1, exemplars: [spans.get('/left')] }, 'the client left')
  t.same(read(registry, DURATION, { route: '/injected' }), { count: 1, exemplars: [labels] }, 'injected')
})

t.test('a function is asked instead, once a request, and its answer is kept as it was', async (t) => {
  const asked: string[] = []
  const answer: Record<string, string | number | undefined> = { walk: 'w1', length: 12, nothing: undefined }
  const { registry, get } = await traced(t, (request) => {
    asked.push(request.url)
    return request.url === '/none' ? undefined : request.url === '/null' ? null : answer
  }, (app) => { for (const path of ['/walk', '/none', '/null']) app.get(path, async () => 'ok') })
  await get('/walk')
  await get('/none')
  await get('/null')
  await get('/elsewhere')
  answer.walk = 'another'
  t.same(asked, ['/walk', '/none', '/null', '/elsewhere'])
  const shown = [{ walk: 'w1', length: 12 }]
  t.same(read(registry, DURATION, { route: '/walk' }), { count: 1, exemplars: shown })
  t.same(read(registry, 'http_handler_duration_seconds', { route: '/walk' }), { count: 1, exemplars: shown })
  t.same(read(registry, 'http_response_size_bytes', { route: '/walk' }), { count: 1, exemplars: shown })
  for (const route of ['/none', '/null']) t.same(read(registry, DURATION, { route }), { count: 1, exemplars: [] }, 'not the span\'s')
  t.same(await failures(registry), {})
})

t.test('a function that throws or gives no label set costs the exemplar alone', async (t) => {
  const bad: Array<() => unknown> = [
    () => { throw new Error('no exemplar') },
    async () => { throw new Error('no exemplar, later') },
    async () => ({ trace_id: 'x' }),
    () => 'x',
    () => ['x'],
    () => ({ 'trace-id': 'x' }),
    () => ({ __name__: 'x' }),
    () => ({ trace_id: { nested: 'x' } }),
    () => ({ trace_id: null }),
    () => ({ trace_id: 'x'.repeat(121) }),
    () => ({ get trace_id () { throw new Error('no trace') } })
  ]
  const longest = { trace_id: 'x'.repeat(120) }
  const source = (request: { url: string }) => (request.url === '/longest' ? longest : bad[Number(request.url.slice(1))]?.()) as Labels
  const { registry, get } = await traced(t, source, (app) => { app.get('/:n', async () => 'ok') })
  await get('/longest')
  t.same(read(registry, DURATION), { count: 1, exemplars: [longest] })
  for (const n of bad.keys()) await get(`/${n}`)
  t.same(read(registry, DURATION), { count: 1 + bad.length, exemplars: [longest] })
  t.same(read(registry, 'http_response_size_bytes'), { count: 1 + bad.length, exemplars: [longest] })
  t.same(await failures(registry), { exemplars: bad.length }, 'each is counted once')
})

t.test('false leaves none', async (t) => {
  const { registry, get } = await traced(t, false, (app) => { app.get('/', async () => 'ok') })
  await get('/')
  for (const name of HISTOGRAMS) t.same(read(registry, name).exemplars, [], name)
  const { pool, registry: queries } = startPool(t, { exemplars: false })
  await inSpan(() => pool.query('SELECT 1')).result
  t.same(read(queries, QUERIES), { count: 1, exemplars: [] })
})

t.test('a query has that of its caller, in every form and also where it waited for the connection', async (t) => {
  const { pool, registry } = startPool(t)
  await pool.query('CREATE TABLE walks (id int)')
  const callback = <T>(send: (done: (error: Error | undefined, result: T) => void) => void) => new Promise<T>((resolve, reject) => {
    send((error, result) => error === undefined || error === null ? resolve(result) : reject(error))
  })
  const queries: Record<string, () => Promise<unknown>> = {
    select: () => pool.query('SELECT 1'),
    insert: () => callback((done) => pool.query('INSERT INTO walks VALUES (1)', done)),
    update: () => callback<void>((done) => pool.connect((_error, client, release) => client?.query('UPDATE walks SET id = 2', (error) => {
      release()
      done(error)
    }))),
    delete: async () => {
      const client = await pool.connect()
      await client.query('DELETE FROM walks')
      client.release()
    },
    other: async () => {
      const client = await pool.connect()
      const cursor = client.query(new Cursor('SHOW work_mem'))
      await cursor.read(10)
      await cursor.close()
      client.release()
    },
    ddl: () => t.rejects(pool.query('DROP TABLE nothing')),
    begin: async () => {
      const client = await pool.connect()
      await inSpan(() => client.query('BEGIN'), UNSAMPLED).result
      client.release(true)
    }
  }
  const made = Object.entries(queries).map(([operation, query]) => ({ operation, ...inSpan(query) }))
  await Promise.all(made.map(({ result }) => result))
  for (const { operation, labels } of made) {
    const { exemplars } = read(registry, QUERIES, { operation })
    t.same(exemplars, operation === 'begin' ? [] : [labels], operation)
  }
  t.same(await failures(registry), {})
})

t.test('a function is asked for each query, in the async context of its caller', async (t) => {
  const walks = new AsyncLocalStorage<string>()
  const asked: Array<string | undefined> = []
  const exemplars = () => {
    const walk = walks.getStore()
    asked.push(walk)
    if (walk === 'broken') throw new Error('no exemplar')
    return { walk }
  }
  const { pool, registry } = startPool(t, { exemplars })
  await Promise.all([
    walks.run('1', () => pool.query('SELECT 1')),
    walks.run('2', () => pool.query('SHOW work_mem')),
    walks.run('broken', () => pool.query('BEGIN')),
    pool.query('ROLLBACK')
  ])
  t.same(asked, ['1', '2', 'broken', undefined])
  t.same(read(registry, QUERIES, { operation: 'select' }), { count: 1, exemplars: [{ walk: '1' }] })
  t.same(read(registry, QUERIES, { operation: 'other' }), { count: 1, exemplars: [{ walk: '2' }] })
  t.same(read(registry, QUERIES, { operation: 'begin' }), { count: 1, exemplars: [] })
  t.same(read(registry, QUERIES, { operation: 'rollback' }), { count: 1, exemplars: [] }, 'labels that are all undefined are none')
  t.same(await failures(registry), { exemplars: 1 })
})

t.test('a tracer that fails costs the exemplar alone', async (t) => {
  const { pool, registry } = startPool(t)
  const spans = [
    { spanContext () { throw new Error('no span') } },
    { spanContext: () => ({ traceId: 'x'.repeat(128), spanId: 'y', traceFlags: 1 }) },
    { spanContext: () => undefined }
  ]
  for (const span of spans) await context.with(trace.setSpan(context.active(), span as never), () => pool.query('SELECT 1'))
  t.same(read(registry, QUERIES), { count: 3, exemplars: [] })
  t.same(await failures(registry), { exemplars: 2 })
})

t.test('queries of TypeORM and of pools it makes have them as well', async (t) => {
  const pools = new Registry()
  const bound = instrumentPg(pg, { registry: pools })
  const own = new bound.Pool({ ...server.config, max: 1 })
  endAfter(t, own)
  const { labels, result } = inSpan(() => own.query('SELECT 1'))
  await result
  t.same(read(pools, QUERIES), { count: 1, exemplars: [labels] })

  for (const options of [{ type: 'sqljs' } as const, { type: 'postgres', ...server.config } as const]) {
    const dataSource = await new DataSource(options).initialize()
    t.teardown(() => dataSource.destroy())
    const registry = new Registry()
    instrumentDataSource(dataSource, { registry, migrations: false })
    const { labels, result } = inSpan(() => dataSource.query('SELECT 1'))
    await result
    t.same(read(registry, QUERIES, { operation: 'select' }), { count: 1, exemplars: [labels] }, options.type)
  }
})

function startPool (t: Test, options: PgOptions = {}): { pool: pg.Pool, registry: Registry } {
  const pool = new pg.Pool({ ...server.config, max: 1 })
  const registry = new Registry()
  instrumentPool(pool, { registry, ...options })
  endAfter(t, pool)
  return { pool, registry }
}

function endAfter (t: Test, pool: pg.Pool): void {
  // end() does not wait until its connections have ended, so the server may stop under them.
  pool.on('error', () => {})
  t.teardown(() => pool.end())
}
