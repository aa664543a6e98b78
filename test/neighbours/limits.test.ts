import { once } from 'node:events'
import circuitBreaker from '@fastify/circuit-breaker'
import rateLimit from '@fastify/rate-limit'
import underPressure from '@fastify/under-pressure'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { ended } from '../support/books.js'
import { exchange, get, service } from '../support/http.js'
import { ask, checkBooks, ORDERS, scrape } from '../support/neighbours.js'

/** Is under pressure from its first request on: no heap is this small. */
function press (app: FastifyInstance): void {
  app.register(underPressure, { maxHeapUsedBytes: 1, sampleInterval: 10, exposeStatusRoute: true })
  app.register(async (app) => { app.get('/', async () => 'ok') })
}

/** Waits until @fastify/under-pressure has taken its first sample. */
async function pressed (app: FastifyInstance): Promise<void> {
  while (!app.isUnderPressure()) await new Promise(setImmediate)
}

for (const order of ORDERS) {
  t.test(`@fastify/under-pressure, ${order}: with a pressureHandler the page is served, and what was refused is on it`, async (t) => {
    const { app, url } = await service(t, { [order]: press, options: { endpoint: { config: { pressureHandler () {} } } } })
    await pressed(app)
    t.equal(await ask(url, '/'), 503)
    t.equal(await ask(url, '/status'), 503)
    const page = await scrape(url)
    t.equal(ended(page, { route: '/', status_code: '503' }), 1)
    t.equal(ended(page, { route: '/status', status_code: '503' }), 1, 'its status route is a route like others')
    t.equal(page.sum('http_exceptions_total', { type: 'FST_UNDER_PRESSURE', route: '/' }), 1)
    checkBooks(t, page, 2)
  })

  t.test(`@fastify/rate-limit, ${order}: with rateLimit: false the page is served, and what was refused is on it`, async (t) => {
    const { url } = await service(t, {
      [order]: (app: FastifyInstance) => {
        app.register(rateLimit, { max: 1 })
        app.register(async (app) => { app.get('/', async () => 'ok') })
      },
      options: { endpoint: { config: { rateLimit: false } } }
    })
    t.same([await ask(url, '/'), await ask(url, '/')], [200, 429])
    for (let scrapes = 0; scrapes < 3; scrapes++) t.equal(await ask(url, '/metrics'), 200)
    const page = await scrape(url)
    t.equal(ended(page, { route: '/', status_code: '429' }), 1)
    checkBooks(t, page, 2)
  })
}

t.test('@fastify/circuit-breaker: what it answers is a 503 of its route, and the page is not behind it', async (t) => {
  const { url } = await service(t, {
    routes: (app) => {
      app.register(circuitBreaker, { threshold: 1, resetTimeout: 500 })
      app.register(async (app) => {
        app.get('/', { preHandler: app.circuitBreaker() }, async () => { throw new RangeError('upstream') })
      })
    }
  })
  t.same([await ask(url, '/'), await ask(url, '/')], [503, 503], 'the failure opens the circuit, and is answered so already')
  const page = await scrape(url)
  t.equal(ended(page, { route: '/', status_code: '503' }), 2)
  t.equal(page.sum('http_exceptions_total', { type: 'RangeError' }), 1, 'the handler failed once')
  t.equal(page.sum('http_handler_duration_seconds_count', { route: '/' }), 1, 'and ran once')
  checkBooks(t, page, 2)
})

t.test('on a port of its own the page is behind none of them', async (t) => {
  const { app, url } = await service(t, {
    before: (app) => {
      app.register(rateLimit, { max: 1 })
      press(app)
    },
    options: { endpoint: { port: 0 } }
  })
  await pressed(app)
  t.equal(await ask(url, '/'), 503)
  const { origin } = new URL(app.metrics.server?.url ?? '')
  for (let scrapes = 0; scrapes < 3; scrapes++) t.equal(await ask(origin, '/metrics'), 200)
  const page = await scrape(origin)
  t.equal(ended(page, { status_code: '503' }), 1)
  checkBooks(t, page, 1)
})

t.test('@fastify/under-pressure: its status route is left out like any other', async (t) => {
  const { app, url } = await service(t, { routes: press, options: { excludeRoutes: ['/status'], endpoint: { port: 0 } } })
  await pressed(app)
  t.equal(await ask(url, '/status'), 503)
  checkBooks(t, await scrape(new URL(app.metrics.server?.url ?? '').origin), 0)
})

t.test('while the application closes, a port of its own answers until the last request has its answer', async (t) => {
  const { app, url, port } = await service(t, {
    options: { endpoint: { port: 0 } },
    server: { forceCloseConnections: false },
    routes: (app) => {
      app.get('/slow', async () => {
        app.server.emit('entered')
        await once(app.server, 'release')
        return 'done'
      })
    }
  })
  const entered = once(app.server, 'entered')
  const slow = exchange(port, get('/slow'))
  await entered
  const closed = app.close()
  while (app.server.listening) await new Promise(setImmediate)
  await t.rejects(ask(url, '/metrics'), 'the application listens no more')
  const { origin } = new URL(app.metrics.server?.url ?? '')
  const answer = await fetch(`${origin}/metrics`, { headers: { connection: 'close' } })
  t.match(await answer.text(), 'http_requests_in_flight{method="GET",route="/slow"} 1')
  app.server.emit('release')
  t.match(await slow, /^HTTP\/1.1 200/)
  await closed
})
