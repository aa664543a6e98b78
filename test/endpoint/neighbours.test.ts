import swagger from '@fastify/swagger'
import Fastify, { type FastifyServerOptions } from 'fastify'
import { Registry } from 'prom-client'
import t from 'tap'
import { metricsPlugin, type EndpointOptions } from '../../src/index.js'

/** The paths that @fastify/swagger documents, with an application's own route beside the page. */
async function documented (endpoint: EndpointOptions, options: object): Promise<string[]> {
  const app = Fastify()
  await app.register(swagger, options)
  await app.register(metricsPlugin, { registry: new Registry(), runtime: false, endpoint })
  app.get('/walks', { schema: { response: { 200: { type: 'string' } } } }, async () => 'ok')
  await app.ready()
  const paths = Object.keys(app.swagger().paths ?? {})
  const { statusCode } = await app.inject('/metrics')
  await app.close()
  return statusCode === 200 ? paths : [`the page answers ${statusCode}`]
}

t.test('@fastify/swagger does not document the page, unless its schema says what to document', async (t) => {
  for (const options of [{}, { openapi: {} }, { swagger: {} }, { exposeHeadRoutes: true }]) {
    t.same(await documented({}, options), ['/walks'])
    t.same(await documented({ schema: Object.freeze({ querystring: { type: 'object', properties: { 'name[]': { type: 'array' } } } }) }, options), ['/walks'])
    t.same(await documented({ schema: { hide: true } as object }, options), ['/walks'])
    for (const schema of [{ hide: false }, { tags: ['ops'] }, { summary: 'Metrics' }]) t.same(await documented({ schema: schema as object }, options), ['/metrics', '/walks'])
  }
  t.same(await documented({}, { hideUntagged: true }), [])
})

interface Line { msg: string, level: number }

/** What is logged for a scrape, for one that is refused, and for a request of the application. */
async function logged (server: FastifyServerOptions & { logger: object }, endpoint: EndpointOptions = {}): Promise<{ scrape: string[], refused: string[], request: string[] }> {
  let lines: Line[] = []
  const taken = (): string[] => {
    const messages = lines.map(({ msg }) => msg)
    lines = []
    return messages
  }
  const app = Fastify({ ...server, logger: { ...server.logger, stream: { write: (line: string) => lines.push(JSON.parse(line) as Line) } } as object })
  await app.register(metricsPlugin, { registry: new Registry(), runtime: false, endpoint })
  app.get('/walks', async () => 'ok')
  await app.ready()
  lines = []
  try {
    if (app.metrics.server !== undefined) await (await fetch(app.metrics.server.url)).text()
    else for (const method of ['GET', 'HEAD'] as const) await app.inject({ method, url: '/metrics' })
    const scrape = taken()
    await app.inject({ url: '/metrics', headers: { authorization: 'no' } })
    const refused = taken()
    await app.inject('/walks')
    return { scrape, refused, request: taken() }
  } finally {
    await app.close()
  }
}

const REQUEST = ['incoming request', 'request completed']
const failing: EndpointOptions = { onRequest: async (request) => { if (request.headers.authorization === 'no') throw new Error('broken guard') } }

t.test('scrapes leave no line in the log; what goes wrong with one does', async (t) => {
  for (const level of ['trace', 'debug', 'info']) {
    t.same(await logged({ logger: { level } }, failing), { scrape: [], refused: ['broken guard'], request: REQUEST })
  }
  t.same(await logged({ logger: { level: 'info' } }, { ...failing, logLevel: 'info' }), { scrape: [...REQUEST, ...REQUEST], refused: ['incoming request', 'broken guard', 'request completed'], request: REQUEST })
  t.same(await logged({ logger: { level: 'info' } }, { ...failing, logLevel: 'silent' }), { scrape: [], refused: [], request: REQUEST })
  t.same((await logged({ logger: { level: 'info' } }, { port: 0 })).scrape, [], 'nor with a port of its own')
})

t.test('the log level of the application stays the least there is', async (t) => {
  for (const level of ['fatal', 'silent']) t.same(await logged({ logger: { level } }, failing), { scrape: [], refused: [], request: [] }, level)
  t.same(await logged({ logger: { level: 'error' } }, failing), { scrape: [], refused: ['broken guard'], request: [] })
  t.same(await logged({ logger: { level: 'info' }, disableRequestLogging: true }, failing), { scrape: [], refused: [], request: [] })
})

t.test('a logger without that level, or with none, serves', async (t) => {
  const own = { customLevels: { info: 10, loud: 20, error: 30 }, useOnlyCustomLevels: true, level: 'info' }
  t.same((await logged({ logger: own })).request, REQUEST)
  t.same((await logged({ logger: own }, { port: 0 })).request, REQUEST)
  const twice = Fastify({ logger: { ...own, stream: { write () {} } } as object })
  t.teardown(() => twice.close())
  for (let i = 0; i < 2; i++) await twice.register(metricsPlugin, { registry: new Registry(), prefix: '/ops', unknown: i } as object)
  const silent = () => {}
  const bare = { info: silent, error: silent, debug: silent, fatal: silent, warn: silent, trace: silent, silent, level: 'info', child: () => bare }
  const app = Fastify({ loggerInstance: bare })
  t.teardown(() => app.close())
  await app.register(metricsPlugin, { registry: new Registry() })
  t.equal((await app.inject('/metrics')).statusCode, 200)
})
