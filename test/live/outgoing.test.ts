import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Gauge as PromGauge } from 'prom-client'
import t from 'tap'
import { instrumentOutgoing } from '../../adapters/undici.js'
import { CHARTED, MOST_HOSTS } from '../../src/live/outgoing.js'
import { Watched } from './watched.js'

const DURATION = 'http_client_request_duration_seconds'
const ERRORS = 'http_client_request_errors_total'
const answer = (host: string, status = '200') => ({ method: 'GET', host, status_code: status })
const error = (host: string, type: string) => ({ method: 'GET', host, type })

t.test('a service that calls no other one has nothing of them', async (t) => {
  const watched = new Watched()
  watched.observe('http_request_duration_seconds', { method: 'GET', route: '/', status_code: '200' }, 0.1)
  const told = await watched.next()
  t.same([...told.ids('outgoing'), ...told.ids('cache'), ...told.ids('own')], [])
  t.same(told.numbers.summary.map(({ id }) => id), ['requests', 'errors', 'p95', 'in_flight', 'loop', 'cpu', 'memory'])
  t.same(told.ids(), ['http.requests', 'http.latency', 'http.in_flight', 'http.oldest', 'process.loop', 'process.utilisation', 'process.cpu', 'process.memory'])
})

t.test('requests to other services, by host', async (t) => {
  const watched = new Watched()
  watched.observe(DURATION, answer('maps'), 0.05)
  watched.observe(DURATION, answer('mail'), 0.05)
  await watched.next()
  watched.observe(DURATION, answer('maps'), 0.05, 80)
  watched.observe(DURATION, answer('maps', '503'), 0.05, 10)
  watched.count(ERRORS, error('maps', 'ECONNREFUSED'), 10)
  watched.count(ERRORS, error('maps', 'AbortError'), 50)
  watched.observe(DURATION, answer('mail', '404'), 2, 20)
  watched.set('http_client_requests_in_flight', { host: 'maps' }, 3)
  watched.set('http_client_request_oldest_seconds', { host: 'maps' }, 12)
  const told = await watched.next()
  t.same(told.ids('outgoing'), ['outgoing.requests', 'outgoing.latency', 'outgoing.failed', 'outgoing.failures', 'outgoing.in_flight', 'outgoing.oldest'])
  t.same(told.ids('own'), [], 'they are in no other place')
  t.same(told.ratios('outgoing.requests', 'mail'), { maps: 5, mail: 1 }, 'those that were given up are none of them')
  t.same(told.last('outgoing.failed'), { maps: 0.2, mail: 0 })
  t.same(told.ratios('outgoing.failures', '5xx'), { '5xx': 1, 'ECONNREFUSED': 1, 'aborted': 5 })
  t.same(told.last('outgoing.in_flight'), { maps: 3 })
  t.same(told.last('outgoing.oldest'), { maps: 12 })
  const { maps, mail } = told.last('outgoing.latency')
  t.ok(Number(maps) <= 0.05 && Number(mail) > 1, `p95 of ${maps} and ${mail} s`)
  t.ok(Number(told.tile('outgoing')) > 0)
  t.equal(told.tile('outgoing_failed'), 20 / 120)
})

t.test('the first hosts have lines, and the rest has one together', async (t) => {
  const watched = new Watched()
  const hosts = Array.from({ length: 300 }, (_, i) => `host-${i}`)
  watched.observe(DURATION, answer('_OTHER'), 0.1)
  for (const host of hosts) watched.observe(DURATION, answer(host), 0.1)
  await watched.next()
  watched.observe(DURATION, answer('_OTHER'), 0.1, 7)
  for (const host of hosts) {
    watched.observe(DURATION, answer(host), 0.1)
    watched.count(ERRORS, error(host, `E${host}`))
    watched.set('http_client_requests_in_flight', { host }, 1)
    watched.set('http_client_request_oldest_seconds', { host }, Number(host.slice(5)))
  }
  const told = await watched.next()
  const names = told.chart('outgoing.requests').lines.map(({ name }) => name)
  t.same([...names].sort(), [...hosts.slice(0, CHARTED - 1), 'all others'].sort(), 'the one without a name is among the rest')
  t.equal(told.ratios('outgoing.requests', 'host-0')['all others'], (2 * (300 - CHARTED + 1) + 7) / 2, 'nothing is missing')
  t.equal(told.last('outgoing.in_flight')['all others'], 300 - CHARTED + 1)
  t.equal(told.last('outgoing.oldest')['all others'], 299)
  t.ok(told.chart('outgoing.failures').lines.length <= 13)
  t.ok(JSON.stringify(told.numbers.charts.filter(({ section }) => section === 'outgoing')).length < 20_000)
  t.ok(told.numbers.problems.length <= MOST_HOSTS)
})

t.test('what is observed for real', async (t) => {
  const server: Server = createServer((request, response) => {
    if (request.url === '/hang') return
    response.statusCode = request.url === '/broken' ? 500 : 200
    response.end('ok')
  }).listen(0, '127.0.0.1')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  await once(server, 'listening')
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`
  const watched = new Watched()
  t.teardown(instrumentOutgoing({ registry: watched.registry }))
  const ask = async (path: string) => await (await fetch(`http://${host}${path}`)).text()
  await ask('/')
  await watched.next()
  for (let i = 0; i < 3; i++) await ask('/')
  await ask('/broken')
  const hanging = new AbortController()
  const asked = once(server, 'request')
  const hung = fetch(`http://${host}/hang`, { signal: hanging.signal })
  await asked
  const told = await watched.next()
  t.same(told.last('outgoing.failed'), { [host]: 0.25 })
  t.same(told.last('outgoing.in_flight'), { [host]: 1 })
  t.same(Object.keys(told.last('outgoing.failures')), ['5xx'])
  hanging.abort()
  await t.rejects(hung)
  t.same(Object.keys((await watched.next()).last('outgoing.failures')), ['5xx', 'aborted'])
})

t.test("somebody's own metric of one of the names is among the service's own", async (t) => {
  const watched = new Watched()
  const registers = [watched.registry]
  const own = new PromGauge({ name: 'http_client_requests_in_flight', help: 'Of another library.', labelNames: ['service'], registers })
  const empty = new PromGauge({ name: 'cache_hits_total', help: 'Of another library.', labelNames: ['cache'], registers })
  await watched.next()
  own.set({ service: 'maps' }, 3)
  empty.set({ cache: 'walks' }, 5)
  const told = await watched.next()
  t.same(told.ids('outgoing'), [])
  t.same(told.ids('cache'), [])
  t.same(told.last('own.http_client_requests_in_flight'), { maps: 3 })
  t.same(told.last('own.cache_hits_total'), { walks: 5 })
})
