import type { FastifyInstance, FastifyReply } from 'fastify'
import { FORMATS, readRequest, type Exposition } from '../exposition/index.js'
import type { RouteSettings } from './settings.js'

/** Serves the page at a route, in the format and encoding that the scraper asks for; what the route's options say, authentication among them, holds there too. */
export function serveMetrics (fastify: FastifyInstance, { path, counted, route }: RouteSettings, exposition: Exposition): void {
  fastify.route({
    ...route,
    method: ['GET', 'HEAD'],
    url: path,
    config: { ...route.config, ...counted ? {} : { metrics: false } },
    async handler (request, reply) {
      const asked = readRequest(request.raw.headers, request.raw.url ?? '')
      const answer = () => {
        reply.header('content-type', FORMATS[asked.format])
        if (asked.gzip) reply.header('content-encoding', 'gzip')
        return reply
      }
      vary(reply, 'accept, accept-encoding')
      if (request.method === 'HEAD') return await answer().send()
      if (exposition.refuses(asked)) {
        return await reply.code(503).header('retry-after', '1').type('text/plain').send('as many scrapes as maxScrapes allows are being served; try again\n')
      }
      const scrape = exposition.scrape(asked)
      reply.raw.once('close', () => scrape.destroy())
      const page = await scrape.whole()
      return page === undefined ? reply.hijack() : await answer().send(page)
    }
  })
}

function vary (reply: FastifyReply, names: string): void {
  const said = reply.getHeader('vary')
  reply.header('vary', said === undefined ? names : `${String(said)}, ${names}`)
}
