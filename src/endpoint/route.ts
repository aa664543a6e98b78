import type { FastifyInstance, RouteShorthandOptions } from 'fastify'

/** Where the endpoint is, and what else its route says. */
export interface EndpointSettings {
  readonly path: string
  /** Whether its own requests are in the HTTP metrics. */
  readonly counted: boolean
  readonly route: RouteShorthandOptions
}

/** What the endpoint serves. */
export interface Page {
  readonly contentType: string
  render (): Promise<string>
}

/** Serves the page at a route of the application's own, so that its hooks, authentication among them, hold there too. */
export function serveMetrics (fastify: FastifyInstance, { path, counted, route }: EndpointSettings, page: Page): void {
  fastify.get(path, { ...route, config: { ...route.config, ...counted ? {} : { metrics: false } } }, async (_request, reply) => {
    const body = await page.render()
    reply.header('content-type', page.contentType)
    return body
  })
}
