import type { FastifyBaseLogger, FastifyInstance, FastifyReply, FastifySchema, LogLevel } from 'fastify'
import { FORMATS, readRequest, type Pages } from '../exposition/index.js'
import type { RouteSettings } from './settings.js'

/**
 * What plugins that act on every route read of one, and find here: the page is not compressed twice, and not refused under pressure or for its rate, which is when it is
 * needed; no other origin may read it (@fastify/compress, under-pressure, rate-limit and cors; docs/other-plugins.md).
 */
const NEIGHBOURS = { pressureHandler () {}, rateLimit: false, cors: false } as const
const UNTOUCHED = { compress: false } as const

/** Serves the page at a route, in the format and encoding that the scraper asks for; what the route's options say, authentication among them, holds there too. */
export function serveMetrics (fastify: FastifyInstance, { path, counted, route }: RouteSettings, pages: Pages): void {
  fastify.route({
    ...UNTOUCHED,
    ...route,
    method: ['GET', 'HEAD'],
    url: path,
    schema: schemaOf(route.schema),
    ...route.logLevel === undefined ? quiet(fastify.log) : {},
    config: { ...NEIGHBOURS, ...route.config, ...counted ? {} : { metrics: false } },
    async handler (request, reply) {
      const asked = readRequest(request.raw.headers, request.raw.url ?? '')
      const answer = () => {
        reply.header('content-type', FORMATS[asked.format])
        if (asked.compression !== undefined) reply.header('content-encoding', asked.compression)
        return reply
      }
      vary(reply, 'accept, accept-encoding')
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

/** What of a schema is for documents of the API, which @fastify/swagger makes (its README, 'Route options'). */
const DOCUMENTING = ['hide', 'tags', 'summary', 'description', 'operationId', 'deprecated', 'security', 'externalDocs']

/** The page is no part of the API, unless the user's schema documents it. */
function schemaOf (schema: FastifySchema = {}): FastifySchema & { hide?: boolean } {
  return DOCUMENTING.some((name) => name in schema) ? schema : { ...schema, hide: true }
}

/** What a logger of pino's tells of itself; others need not. */
interface Levels {
  readonly levels?: { readonly values?: Readonly<Record<string, number | undefined>> }
  readonly levelVal?: number
}

/** The log level at which a scrape that went well leaves no line: 'warn', where the logger has that level and says more than it. */
function quiet (log: FastifyBaseLogger): { logLevel?: LogLevel } {
  const { levels, levelVal = 0 } = log as Levels
  if (levels?.values === undefined) return { logLevel: 'warn' }
  const { warn } = levels.values
  return warn === undefined || levelVal >= warn ? {} : { logLevel: 'warn' }
}

function vary (reply: FastifyReply, names: string): void {
  const said = reply.getHeader('vary')
  reply.header('vary', said === undefined ? names : `${String(said)}, ${names}`)
}
