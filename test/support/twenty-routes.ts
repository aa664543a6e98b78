import type { MetricsPluginOptions } from '../../src/index.js'
import { service } from './http.js'

/** An application of twenty routes that answer 200 and 404: the one whose series docs/labels-and-buckets.md works out. */
export interface TwentyRoutes {
  readonly url: string
  /** Asks each route for both answers. */
  ask (headers?: Record<string, string>): Promise<void>
  /** How many lines of HTTP its page has. */
  lines (accept?: Record<string, string>): Promise<number>
}

/** Starts one; closed at teardown. */
export async function twentyRoutes (t: { teardown: (fn: () => unknown) => void }, options: MetricsPluginOptions = {}): Promise<TwentyRoutes> {
  const { app, url } = await service(t, {
    options,
    routes: (app) => { for (let i = 0; i < 20; i++) app.get<{ Params: { found: string } }>(`/${i}/:found`, async ({ params }, reply) => reply.code(params.found === 'no' ? 404 : 200).send()) }
  })
  return {
    url,
    ask: async (headers = {}) => { for (let i = 0; i < 20; i++) for (const found of ['yes', 'no']) await app.inject({ url: `/${i}/${found}`, headers }) },
    lines: async (headers = {}) => (await app.inject({ url: '/metrics', headers })).body.split('\n').filter((line) => line.startsWith('http_')).length
  }
}
