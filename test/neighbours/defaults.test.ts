import caching from '@fastify/caching'
import compress from '@fastify/compress'
import cors from '@fastify/cors'
import rateLimit from '@fastify/rate-limit'
import swagger from '@fastify/swagger'
import underPressure from '@fastify/under-pressure'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { service } from '../support/http.js'
import { ask, ORDERS } from '../support/neighbours.js'

/** A neighbour that is registered for all routes, and what it would do to the page. */
interface Neighbour {
  name: string
  register: (app: FastifyInstance) => unknown
  /** Looks at a path once the application is ready. */
  look: (url: string, app: FastifyInstance, path: string) => unknown
  /** What is seen of a route that says nothing to it, where it is registered before. */
  elsewhere: unknown
  /** What is seen of the page. */
  page: unknown
}

const header = (name: string, headers: Record<string, string>) => async (url: string, _app: FastifyInstance, path: string) => {
  const answer = await fetch(url + path, { headers })
  await answer.arrayBuffer()
  return answer.headers.get(name)
}

const neighbours: Neighbour[] = [
  {
    name: '@fastify/under-pressure',
    register: (app) => app.register(underPressure, { maxHeapUsedBytes: 1, sampleInterval: 10 }),
    async look (url, app, path) {
      while (!app.isUnderPressure()) await new Promise(setImmediate)
      return await ask(url, path)
    },
    elsewhere: 503,
    page: 200
  },
  {
    name: '@fastify/rate-limit',
    register: (app) => app.register(rateLimit, { max: 1 }),
    look: async (url, _app, path) => [await ask(url, path), await ask(url, path)],
    elsewhere: [200, 429],
    page: [200, 200]
  },
  {
    name: '@fastify/cors',
    register: (app) => app.register(cors, { origin: true }),
    look: header('access-control-allow-origin', { origin: 'https://elsewhere.example' }),
    elsewhere: 'https://elsewhere.example',
    page: null
  },
  {
    name: '@fastify/compress',
    register: (app) => app.register(compress),
    look: header('content-encoding', { 'accept-encoding': 'br' }),
    elsewhere: 'br',
    page: null
  },
  {
    name: '@fastify/caching',
    register: (app) => app.register(caching, { privacy: caching.privacy.PUBLIC, expiresIn: 60 }),
    look: header('cache-control', {}),
    elsewhere: 'public, max-age=60',
    page: 'no-store'
  },
  {
    name: '@fastify/swagger',
    register: (app) => app.register(swagger),
    look: (_url, app, path) => Object.keys(app.swagger().paths ?? {}).filter((documented) => documented === path),
    elsewhere: ['/other'],
    page: []
  }
]

const routes = (app: FastifyInstance) => { app.register(async (scope) => { scope.get('/other', async () => 'x'.repeat(5_000)) }) }

for (const { name, register, look, elsewhere, page } of neighbours) {
  for (const order of ORDERS) {
    t.test(`${name}, registered ${order}: the page is what it is without it`, async (t) => {
      const { app, url } = await service(t, order === 'before' ? { before: register, routes } : { routes: register })
      t.same(await look(url, app, '/metrics'), page)
      if (order === 'before') t.same(await look(url, app, '/other'), elsewhere, 'it acts on others')
    })
  }
}

t.test("what the user says in the page's own route goes before", async (t) => {
  const { url } = await service(t, { before: (app) => { app.register(rateLimit) }, options: { endpoint: { config: { rateLimit: { max: 1 } } } } })
  t.same([await ask(url, '/metrics'), await ask(url, '/metrics')], [200, 429])
})
