import { readFileSync } from 'node:fs'
import { Registry } from 'prom-client'
import t from 'tap'
import { metric, type MetricName } from '../../src/catalogue.js'
import { Exposition } from '../../src/exposition/index.js'
import { EXPECTED as EXPECTED_OF_CACHES } from '../../src/live/cache.js'
import { EXPECTED } from '../../src/live/database.js'
import { Live, type LiveNumbers } from '../../src/live/index.js'
import { CANCELED } from '../../src/live/outgoing.js'
import { OUTGOING_SLOW, RUNBOOK } from '../../src/live/problems.js'
import { Guide } from '../support/guide.js'

const DATABASE = { alias: 'default', vendor: 'postgresql' }
const ROUTE = { method: 'GET', route: '/walks' }

/** A service that is well, until a test makes it sick. */
async function service () {
  const registry = new Registry()
  const live = new Live(new Exposition(registry, { maxScrapes: 1, created: false }, { counted () {}, failed () {}, ended () {}, refused () {} }), '', false)
  const levels = new Map<MetricName, Array<readonly [Record<string, string>, number]>>()
  /** Says what a gauge is from now on. */
  const set = (name: 'http_request_oldest_seconds' | 'http_client_request_oldest_seconds' | 'db_query_oldest_seconds' | 'db_pool_connections' | 'db_pool_connections_max' | 'db_pool_pending_requests', labels: Record<string, string>, value?: number) => {
    const known = levels.get(name)
    if (known !== undefined) {
      const rest = known.filter(([before]) => JSON.stringify(before) !== JSON.stringify(labels))
      levels.set(name, value === undefined ? rest : [...rest, [labels, value]])
      return
    }
    levels.set(name, value === undefined ? [] : [[labels, value]])
    const gauge = metric(name, { registry })
    gauge.addCallback(() => { for (const [labels, value] of levels.get(name) ?? []) gauge.inc(labels as never, value) })
  }
  const requests = metric('http_request_duration_seconds', { registry })
  const queries = metric('db_query_duration_seconds', { registry })
  const answer = (times: number, status = '200', seconds = 0.01) => { for (let i = 0; i < times; i++) requests.observe({ ...ROUTE, status_code: status }, seconds) }
  const query = (times: number) => { for (let i = 0; i < times; i++) queries.observe({ ...DATABASE, operation: 'select' }, 0.001) }
  const called = metric('http_client_request_duration_seconds', { registry })
  const call = (times: number, { host = 'maps', status = '200', seconds = 0.01 } = {}) => { for (let i = 0; i < times; i++) called.observe({ method: 'GET', host, status_code: status }, seconds) }
  const unanswered = (times: number, type = 'ECONNREFUSED', host = 'maps') => { metric('http_client_request_errors_total', { registry }).inc({ method: 'GET', host, type }, times) }
  const cached = metric('cache_operation_duration_seconds', { registry })
  const cache = (times: number, failed: number, type = 'ECONNREFUSED') => {
    for (let i = 0; i < times; i++) cached.observe({ backend: 'walks', operation: 'get' }, 0.001)
    if (failed > 0) metric('cache_errors_total', { registry }).inc({ backend: 'walks', operation: 'get', type }, failed)
  }
  set('db_pool_connections', { ...DATABASE, state: 'used' }, 2)
  set('db_pool_connections_max', DATABASE, 10)
  answer(10)
  query(10)
  call(10)
  cache(10, 0)
  await live.sample()
  const problems = async (): Promise<LiveNumbers['problems']> => {
    await live.sample()
    return live.whole({ range: '5m', route: undefined }).problems
  }
  return { registry, set, answer, query, call, unanswered, cache, problems, error: (name: 'db_connection_errors_total' | 'db_query_errors_total', type: string, times: number) => { metric(name, { registry }).inc({ ...DATABASE, type }, times) } }
}

type Service = Awaited<ReturnType<typeof service>>

const sick: Array<[id: string, severity: string, text: RegExp, make: (service: Service) => void]> = [
  ['http-errors', 'critical', /^6\.7 % of the requests failed .*: 10 of 150\.$/, ({ answer }) => { answer(140); answer(10, '500') }],
  ['http-errors', 'warning', /^2 % of the requests failed .*: 10 of 500\.$/, ({ answer }) => { answer(490); answer(10, '444') }],
  ['http-latency', 'warning', /^One request in twenty took longer than 990 ms /, ({ answer }) => { answer(20, '200', 0.99) }],
  ['http-latency', 'critical', /^One request in twenty took longer than [78].* s /, ({ answer }) => { answer(20, '200', 7) }],
  ['http-requests-hanging', 'critical', /^A request has not been answered for 3 min\.$/, ({ set }) => { set('http_request_oldest_seconds', ROUTE, 180) }],
  ['database-connection-errors', 'warning', /^3 connections to the database default failed /, ({ error }) => { error('db_connection_errors_total', 'ECONNRESET', 3) }],
  ['database-query-errors', 'critical', /^25 % of the queries of default failed /, ({ error, query }) => { error('db_query_errors_total', 'undefined_table', 5); query(20) }],
  ['database-queries-hanging', 'critical', /^A query of default has been under way for 61 s\.$/, ({ set }) => { set('db_query_oldest_seconds', DATABASE, 61) }],
  ['database-pool-near-exhaustion', 'warning', /^The pool default has 10 connections, all in use, and 4 requests waiting for one\.$/, ({ set }) => { set('db_pool_connections', { ...DATABASE, state: 'used' }, 10); set('db_pool_pending_requests', DATABASE, 4) }],
  ['database-pool-acquire-timeouts', 'critical', /^2 requests for a connection of the pool default gave up /, ({ registry }) => { metric('db_pool_acquire_timeouts_total', { registry }).inc(DATABASE, 2) }],
  ['migrations-unapplied', 'warning', /^The database default lacks 2 migrations /, ({ registry }) => { metric('db_migrations_pending', { registry }).set({ alias: 'default' }, 2) }],
  ['outgoing-request-errors', 'warning', /^10 % of the requests to maps failed in the last minute\.$/, ({ call, unanswered }) => { call(90); call(5, { status: '503' }); unanswered(5) }],
  ['outgoing-requests-slow', 'warning', /^One answer in twenty of maps took longer than 4\.\d s in the last minute\.$/, ({ call }) => { call(20, { seconds: 4 }) }],
  ['outgoing-requests-hanging', 'warning', /^A request to maps has been under way for 6 min\.$/, ({ set }) => { set('http_client_request_oldest_seconds', { host: 'maps' }, 360) }],
  ['cache-errors', 'warning', /^20 % of the operations of the cache walks failed in the last minute\.$/, ({ cache }) => { cache(50, 10) }],
  ['cache-errors', 'warning', /^100 % of the operations of the cache walks failed in the last minute\.$/, ({ cache }) => { cache(10, 30) }],
  ['instrumentation-errors', 'warning', /^1 error of instrumentation/, ({ registry }) => { metric('metrics_instrumentation_errors_total', { registry }).inc({ source: 'http' }) }],
  ['series-dropped', 'warning', /^9 writes went to the overflow series/, ({ registry }) => {
    const dropped = metric('metrics_series_dropped_total', { registry })
    dropped.addCallback(() => dropped.inc({ metric: 'walks_total' }, 9))
  }]
]

t.test('each problem is told when it is there, alone, with its first step and its entry in the runbook', async (t) => {
  const { anchors } = new Guide(new URL('../../docs/runbook.md', import.meta.url).pathname)
  for (const [id, severity, text, make] of sick) {
    const patient = await service()
    t.same(await patient.problems(), [], `${id}: well before`)
    make(patient)
    const found = await patient.problems()
    t.same(found.map(({ id }) => id), [id])
    t.match(found[0], { severity, text, runbook: `${RUNBOOK}#${id}` })
    t.ok((found[0]?.first.length ?? 0) > 20, 'a first step')
    t.ok(anchors.includes(id), `the runbook has ${id}`)
    const [since] = [found[0]?.since]
    t.equal((await patient.problems())[0]?.since, since, 'since then')
  }
})

t.test('a database that is down: connections fail again, and no query succeeds since', async (t) => {
  const { problems, error, query } = await service()
  const told = async () => (await problems()).map(({ id, severity, text }) => ({ id, severity, text }))
  error('db_connection_errors_total', 'ECONNRESET', 3)
  t.match(await told(), [{ id: 'database-connection-errors' }], 'connections that were idle are cut: perhaps a failover')
  error('db_connection_errors_total', 'ECONNREFUSED', 2)
  error('db_query_errors_total', 'ECONNREFUSED', 2)
  t.same(await told(), [{ id: 'database-down', severity: 'critical', text: 'The database default cannot be reached: 5 connections failed in the last minute, and no query has succeeded since.' }])
  t.match(await told(), [{ id: 'database-down' }], 'while nobody asks it')
  query(1)
  t.match(await told(), [{ id: 'database-connection-errors' }], 'one that succeeds says that it is back')
  error('db_connection_errors_total', 'ECONNREFUSED', 1)
  t.match(await told(), [{ id: 'database-connection-errors' }], 'once more')
})

t.test('what looks alike and is none', async (t) => {
  for (const [name, make] of [
    ['four failures', ({ answer }) => { answer(4, '500') }],
    ['clients that left, and answers that say no', ({ answer }) => { answer(50, '499'); answer(50, '404') }],
    ['upgrades that last', ({ answer }) => { answer(50, '101', 60) }],
    ['a slow one among few', ({ answer }) => { answer(4, '200', 9) }],
    ['broken constraints', ({ error, query }) => { error('db_query_errors_total', 'unique_violation', 50); query(50) }],
    ['requests that the application gave up itself, and few that failed', ({ call, unanswered }) => { call(96); unanswered(50, 'AbortError'); unanswered(5) }],
    ['answers that say no, and upgrades that last', ({ call }) => { call(50, { status: '404' }); call(50, { status: '101', seconds: 60 }) }],
    ['four failures of another service', ({ unanswered }) => { unanswered(4) }],
    ['services that have no name', ({ unanswered, call }) => { unanswered(50, 'ECONNREFUSED', '_OTHER'); call(50, { host: '_OTHER', seconds: 9 }) }],
    ['a long answer of another service', ({ set }) => { set('http_client_request_oldest_seconds', { host: 'maps' }, 299) }],
    ['transactions of a cache to repeat', ({ cache }) => { cache(50, 50, 'WatchError') }],
    ['one operation of a cache in a hundred', ({ cache }) => { cache(500, 5) }],
    ['a full pool for which nobody waits', ({ set }) => { set('db_pool_connections', { ...DATABASE, state: 'used' }, 10) }]
  ] as Array<[string, (service: Service) => void]>) {
    const patient = await service()
    make(patient)
    t.same(await patient.problems(), [], name)
  }
})

t.test('what is gone is no problem any more', async (t) => {
  const { set, problems } = await service()
  set('db_query_oldest_seconds', DATABASE, 61)
  set('http_client_request_oldest_seconds', { host: 'maps' }, 360)
  t.match(await problems(), [{ id: 'database-queries-hanging' }, { id: 'outgoing-requests-hanging' }])
  set('db_query_oldest_seconds', DATABASE)
  set('http_client_request_oldest_seconds', { host: 'maps' })
  t.same(await problems(), [], 'their pool has ended, and their client is not observed any more')
})

t.test('a database is looked at with the programs of its vendor', async (t) => {
  for (const [vendor, first] of [['mysql', 'mysqladmin ping'], ['mariadb', 'mariadb-admin ping'], ['sqlite', 'the file'], ['other', 'try to connect']] as const) {
    const { registry, problems } = await service()
    const fail = async () => {
      metric('db_connection_errors_total', { registry }).inc({ alias: 'walks', vendor, type: 'ECONNREFUSED' }, 2)
      return await problems()
    }
    await fail()
    t.match((await fail())[0], { id: 'database-down', first })
  }
})

t.test("the errors that are nobody's fault, and the bound of other services, are those of the alerts", (t) => {
  const [rules = '', settings = ''] = ['recordings', 'settings'].map((file) => readFileSync(new URL(`../../examples/prometheus/rules/${file}.js`, import.meta.url), 'utf8'))
  for (const [name, expected] of [['EXPECTED', EXPECTED], ['CANCELED', CANCELED], ['EXPECTED_OF_CACHES', EXPECTED_OF_CACHES]] as const) {
    t.equal(expected.source, `^(${new RegExp(`^const ${name} = '(.*)'$`, 'm').exec(rules)?.[1]})$`, name)
  }
  t.equal(String(OUTGOING_SLOW), /'outgoing-bound': \['([\d.]+)'/.exec(settings)?.[1])
  t.end()
})

t.test('an event loop that is blocked', async (t) => {
  const registry = new Registry()
  const live = new Live(new Exposition(registry, { maxScrapes: 1, created: false }, { counted () {}, failed () {}, ended () {}, refused () {} }), '', false)
  t.teardown(() => live.end())
  live.begin()
  const sampled = () => new Promise<void>((resolve) => {
    const unwatch = live.watch(() => {
      unwatch()
      resolve()
    })
  })
  const keepAlive = setInterval(() => {}, 1000)
  t.teardown(() => clearInterval(keepAlive))
  await sampled()
  await sampled()
  // Just after a sample, when Node's own histogram, emptied, sees nothing.
  const end = performance.now() + 1300
  while (performance.now() < end) { /* blocks it */ }
  await sampled()
  t.match(live.whole({ range: '5m', route: undefined }).problems, [{ id: 'event-loop-lag', severity: 'critical', text: /^The event loop was blocked for 1\.\d s: nothing was answered\.$/ }])
})
