import caching from '@fastify/caching'
import compress from '@fastify/compress'
import cors from '@fastify/cors'
import rateLimit from '@fastify/rate-limit'
import swagger from '@fastify/swagger'
import underPressure from '@fastify/under-pressure'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import type { EndpointOptions } from '../../src/index.js'
import { service } from '../support/http.js'
import { ask, ORDERS } from '../support/neighbours.js'

/** What a neighbour that is registered for all routes does to the page, where nothing is said and with its cure. */
interface Neighbour {
  name: string
  register: (app: FastifyInstance) => unknown
  /** Looks at the page once the application is ready. */
  look: (url: string, app: FastifyInstance) => unknown
  /** What is seen where nothing is said. */
  bare: unknown
  /** The same where the neighbour is registered after the plugin, and never sees the route of the page. */
  bareAfter?: unknown
  cure: EndpointOptions
  cured: unknown
}

const header = (name: string, headers: Record<string, string>) => async (url: string) => {
  const answer = await fetch(`${url}/metrics`, { headers })
  await answer.arrayBuffer()
  return answer.headers.get(name)
}

const neighbours: Neighbour[] = [
  {
    name: '@fastify/under-pressure',
    register: (app) => app.register(underPressure, { maxHeapUsedBytes: 1, sampleInterval: 10 }),
    async look (url, app) {
      while (!app.isUnderPressure()) await new Promise(setImmediate)
      return await ask(url, '/metrics')
    },
    bare: 503,
    cure: { config: { pressureHandler () {} } },
    cured: 200
  },
  {
    name: '@fastify/rate-limit',
    register: (app) => app.register(rateLimit, { max: 1 }),
    look: async (url) => [await ask(url, '/metrics'), await ask(url, '/metrics')],
    bare: [200, 429],
    bareAfter: [200, 200],
    cure: { config: { rateLimit: false } },
    cured: [200, 200]
  },
  {
    name: '@fastify/cors',
    register: (app) => app.register(cors, { origin: true }),
    look: header('access-control-allow-origin', { origin: 'https://elsewhere.example' }),
    bare: 'https://elsewhere.example',
    cure: { config: { cors: false } },
    cured: null
  },
  {
    name: '@fastify/compress',
    register: (app) => app.register(compress),
    look: header('content-encoding', { 'accept-encoding': 'br' }),
    bare: 'br',
    bareAfter: null,
    cure: { compress: false },
    cured: null
  },
  {
    name: '@fastify/caching',
    register: (app) => app.register(caching, { privacy: caching.privacy.PUBLIC, expiresIn: 60 }),
    look: header('cache-control', {}),
    bare: 'public, max-age=60',
    cure: { onRequest: async (_request, reply) => { reply.header('cache-control', 'no-store') } },
    cured: 'no-store'
  },
  {
    name: '@fastify/swagger',
    register: (app) => app.register(swagger),
    look: (_url, app) => Object.keys(app.swagger().paths ?? {}),
    bare: ['/metrics'],
    bareAfter: [],
    cure: { schema: { hide: true } },
    cured: []
  }
]

for (const { name, register, look, bare, bareAfter = bare, cure, cured } of neighbours) {
  for (const order of ORDERS) {
    t.test(`${name}, ${order}: what it does to the page, and what its cure does`, async (t) => {
      const without = await service(t, { [order]: register })
      t.same(await look(without.url, without.app), order === 'before' ? bare : bareAfter, 'where nothing is said')
      const withCure = await service(t, { [order]: register, options: { endpoint: cure } })
      t.same(await look(withCure.url, withCure.app), cured, 'with its cure')
    })
  }
}

t.test('each cure is harmless where the neighbour is not there', async (t) => {
  for (const { name, cure } of neighbours) {
    const { url } = await service(t, { options: { endpoint: cure } })
    t.equal(await ask(url, '/metrics'), 200, name)
  }
})
