import type { FastifyBaseLogger, FastifyInstance, FastifyReply, FastifySchema, LogLevel, RouteShorthandOptions } from 'fastify'
import { FORMATS, readRequest, type Pages } from '../exposition/index.js'
import type { RouteSettings } from './settings.js'

/**
 * Settings for plugins that act on every route: @fastify/compress, under-pressure, rate-limit and cors
 * (docs/other-plugins.md). The page is not compressed twice. It is not refused under pressure or for its rate, because
 * that is when it is needed. No other origin may read it.
 */
const NEIGHBOURS = { pressureHandler () {}, rateLimit: false, cors: false } as const
const UNTOUCHED = { compress: false } as const

/**
 * Serves the page at a route, in the format and encoding that the scraper asks for. The route's own options, such as
 * authentication, apply too.
 */
export function serveMetrics (fastify: FastifyInstance, settings: RouteSettings, pages: Pages): void {
  fastify.route({
    ...routeOf(fastify, settings),
    method: ['GET', 'HEAD'],
    url: settings.path,
    async handler (request, reply) {
      const asked = readRequest(request.raw.headers, request.raw.url ?? '')
      const answer = () => {
        reply.header('content-type', FORMATS[asked.format])
        if (asked.compression !== undefined) reply.header('content-encoding', asked.compression)
        return reply
      }
      addVary(reply, 'accept, accept-encoding')
      reply.header('cache-control', 'no-store')
      if (request.method === 'HEAD') return await answer().send()
      if (pages.refuses(asked)) {
        return await reply.code(503).header('retry-after', '1').type('text/plain').send('as many scrapes as maxScrapes allows are being served; try again\n')
      }
      const scrape = pages.scrape(asked)
      reply.raw.once('close', () => scrape.destroy())
      const page = await scrape.whole()
      return page === undefined ? reply.hijack() : await answer().send(page)
    }
  })
}

/** The options of a route of ours: those that the user gave, and what keeps other plugins from it. */
export function routeOf (fastify: FastifyInstance, { counted, route }: RouteSettings): RouteShorthandOptions {
  return {
    ...UNTOUCHED,
    ...route,
    schema: schemaOf(route.schema),
    ...route.logLevel === undefined ? quietLevel(fastify.log) : {},
    config: { ...NEIGHBOURS, ...route.config, ...counted ? {} : { metrics: false } }
  }
}

/** The keys of a schema that document the API, for @fastify/swagger (its README, 'Route options'). */
const DOCUMENTING = ['hide', 'tags', 'summary', 'description', 'operationId', 'deprecated', 'security', 'externalDocs']

/** The schema of the route. It hides the page from the API's documentation, unless the user's schema documents it. */
function schemaOf (schema: FastifySchema = {}): FastifySchema & { hide?: boolean } {
  return DOCUMENTING.some((name) => name in schema) ? schema : { ...schema, hide: true }
}

/** The levels of a pino logger. Other loggers may lack them. */
interface Levels {
  readonly levels?: { readonly values?: Readonly<Record<string, number | undefined>> }
  readonly levelVal?: number
}

/**
 * The log level at which a successful scrape leaves no line: 'warn', if the logger has that level and logs below it.
 */
function quietLevel (log: FastifyBaseLogger): { logLevel?: LogLevel } {
  const { levels, levelVal = 0 } = log as Levels
  if (levels?.values === undefined) return { logLevel: 'warn' }
  const { warn } = levels.values
  return warn === undefined || levelVal >= warn ? {} : { logLevel: 'warn' }
}

/** Adds to what other plugins have said. */
export function addVary (reply: FastifyReply, names: string): void {
  const said = reply.getHeader('vary')
  reply.header('vary', said === undefined ? names : `${String(said)}, ${names}`)
}
