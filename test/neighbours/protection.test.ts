import basicAuth from '@fastify/basic-auth'
import bearerAuth from '@fastify/bearer-auth'
import cookie from '@fastify/cookie'
import cors from '@fastify/cors'
import helmet from '@fastify/helmet'
import jwt from '@fastify/jwt'
import session from '@fastify/session'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { ended } from '../support/books.js'
import { service } from '../support/http.js'
import { ask, checkBooks, ORDERS, scrape } from '../support/neighbours.js'

const SECRET = 'a secret of this test, long enough'
const bearer = { headers: { authorization: `Bearer ${SECRET}` } }

/** Every route of the application wants a token, but those that say `config: { public: true }`. */
function tokens (app: FastifyInstance): void {
  app.register(jwt, { secret: SECRET })
  app.addHook('onRequest', async (request) => { if (request.routeOptions.config.public !== true) await request.jwtVerify() })
  app.register(async (app) => { app.get('/', async () => 'ok') })
}

for (const order of ORDERS) {
  t.test(`a hook that authenticates every request, ${order}: it holds for the page too, unless the endpoint says that it is public`, async (t) => {
    const closed = await service(t, { [order]: tokens })
    t.equal(await ask(closed.url, '/metrics'), 401)
    const { app, url } = await service(t, { [order]: tokens, options: { endpoint: { config: { public: true } } } })
    t.equal(await ask(url, '/'), 401)
    t.equal(await ask(url, '/nothing'), 401)
    t.equal(await ask(url, '/', { headers: { authorization: `Bearer ${app.jwt.sign({ dog: 'Rex' })}` } }), 200)
    const page = await scrape(url)
    t.equal(ended(page, { route: '/', status_code: '401' }), 1)
    t.equal(ended(page, { route: '/', status_code: '200' }), 1)
    t.equal(ended(page, { route: '__unmatched__', status_code: '401' }), 1)
    t.equal(page.sum('http_exceptions_total', { type: 'FST_JWT_NO_AUTHORIZATION_IN_HEADER' }), 2)
    checkBooks(t, page, 3)
  })

  t.test(`@fastify/bearer-auth for all routes, ${order}: the page wants the same key, which the scraper can have`, async (t) => {
    const { url } = await service(t, {
      [order]: (app: FastifyInstance) => {
        app.register(bearerAuth, { keys: new Set([SECRET]) })
        app.register(async (app) => { app.get('/', async () => 'ok') })
      }
    })
    t.equal(await ask(url, '/metrics'), 401)
    t.equal(await ask(url, '/metrics', bearer), 200)
    t.equal(await ask(url, '/'), 401)
    const answer = await fetch(`${url}/metrics`, bearer)
    t.match(await answer.text(), 'http_request_duration_seconds_count{method="GET",route="/",status_code="401"} 1')
  })

  t.test(`@fastify/basic-auth in a scope of its own, ${order}: the page is outside`, async (t) => {
    const { url } = await service(t, {
      [order]: (app: FastifyInstance) => {
        app.register(async (app) => {
          app.register(basicAuth, { validate: async () => {}, authenticate: true })
          app.after(() => { app.addHook('onRequest', app.basicAuth) })
          app.get('/inside', async () => 'ok')
        })
      }
    })
    t.equal(await ask(url, '/inside'), 401)
    const page = await scrape(url)
    t.equal(ended(page, { route: '/inside', status_code: '401' }), 1)
    checkBooks(t, page, 1)
  })

  t.test(`@fastify/helmet, ${order}: the page has its headers, and stays what it is`, async (t) => {
    const { url } = await service(t, { [order]: (app: FastifyInstance) => app.register(helmet) })
    const answer = await fetch(`${url}/metrics`, { headers: { accept: 'application/openmetrics-text' } })
    t.equal(answer.headers.get('x-content-type-options'), 'nosniff')
    t.match(answer.headers.get('content-type'), /^application\/openmetrics-text/)
    t.match(await answer.text(), /# EOF\n$/)
  })

  t.test(`@fastify/cors, ${order}: preflights are one route, whatever they ask for`, async (t) => {
    const { url } = await service(t, {
      [order]: (app: FastifyInstance) => {
        app.register(cors)
        app.register(async (app) => { app.get('/', async () => 'ok') })
      }
    })
    const preflight = { method: 'OPTIONS', headers: { origin: 'https://elsewhere.example', 'access-control-request-method': 'GET' } }
    for (const path of ['/', '/nothing', '/nothing/else']) t.equal(await ask(url, path, preflight), 204)
    const page = await scrape(url)
    t.equal(ended(page, { method: 'OPTIONS', route: '*', status_code: '204' }), 3)
    checkBooks(t, page, 3)
    const without = await service(t, { [order]: (app: FastifyInstance) => app.register(cors), options: { excludeRoutes: ['*'] } })
    t.equal(await ask(without.url, '/', preflight), 204)
    checkBooks(t, await scrape(without.url), 0)
  })

  t.test(`@fastify/session, ${order}: each scrape begins a session, but not with saveUninitialized: false`, async (t) => {
    for (const saveUninitialized of [true, false]) {
      const kept = new Map<string, unknown>()
      const { url } = await service(t, {
        [order]: (app: FastifyInstance) => {
          app.register(cookie)
          app.register(session, {
            secret: SECRET,
            cookie: { secure: false },
            saveUninitialized,
            store: {
              set (id, session, done) {
                kept.set(id, session)
                done()
              },
              get: (_id, done) => { done(null, null) },
              destroy: (_id, done) => { done() }
            }
          })
        }
      })
      for (let scrapes = 0; scrapes < 3; scrapes++) await scrape(url)
      t.equal(kept.size, saveUninitialized ? 3 : 0, `saveUninitialized: ${saveUninitialized}`)
    }
  })
}

t.test('on a port of its own the page is behind none of them', async (t) => {
  let sessions = 0
  const { app, url } = await service(t, {
    before: (app) => {
      app.register(cookie)
      app.register(session, { secret: SECRET, cookie: { secure: false }, store: { set: (_id, _session, done) => { sessions++; done() }, get: (_id, done) => { done(null, null) }, destroy: (_id, done) => { done() } } })
      app.register(cors)
      app.register(helmet)
      tokens(app)
    },
    options: { endpoint: { port: 0 } }
  })
  const page = await fetch(app.metrics.server?.url ?? '', { headers: { origin: 'https://elsewhere.example' } })
  t.equal(page.status, 200)
  t.same([...page.headers.keys()].filter((name) => /^(access-control|x-|set-cookie)/.test(name)), [])
  t.equal(sessions, 0)
  t.equal(await ask(url, '/'), 401)
  await page.arrayBuffer()
})
