import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Scope } from '../catalogue.js'
import { Exemplars, type ExemplarSource } from '../exemplars.js'
import type { Trouble } from '../trouble.js'
import { countUsage } from '../usage.js'
import type { RawRequest, RawResponse } from './bodies.js'
import { Exchanges } from './exchanges.js'
import { httpFamilies, type HttpChoice } from './families.js'
import { watchHandlers } from './handler-channel.js'
import { checkRouteConfig, RouteTable } from './routes.js'
import { UserLabels, type LabelResolver } from './user-labels.js'
import { countViews } from './views.js'

/** What the HTTP half is made with. */
export interface HttpSettings extends Omit<HttpChoice, 'extraLabels'> {
  readonly excludeRoutes: ReadonlyArray<string | RegExp>
  readonly labels: Readonly<Record<string, LabelResolver>>
  readonly exemplars: boolean | ExemplarSource<FastifyRequest> | undefined
}

/** Observes every request of a Fastify instance, those of routes that are already there too. */
export function instrumentHttp (fastify: FastifyInstance, scope: Scope, settings: HttpSettings, trouble: Trouble): void {
  const labels = new UserLabels(settings.labels, trouble)
  const families = httpFamilies(scope, { ...settings, extraLabels: labels.names })
  const routes = new RouteTable(families, settings.excludeRoutes, fastify.supportedMethods)
  const failed = (error: unknown) => trouble.report('http', error)
  const first = runsFirst(fastify)
  const exchanges = new Exchanges(routes, families, labels, new Exemplars(settings.exemplars, trouble), first, failed)
  const countsUsage = families.http_request_db_queries !== undefined || families.http_request_db_duration_seconds !== undefined

  fastify.addHook('onRoute', (route) => checkRouteConfig(route.url, route.config))

  fastify.addHook('onRequest', (request, reply, done) => {
    let usage
    try {
      const exchange = exchanges.received(request, reply)
      if (countsUsage && !exchange.over) usage = exchange.usage = { queries: 0, seconds: 0 }
      if (families.http_responses_template_total !== undefined) countViews(reply, families.http_responses_template_total)
    } catch (error) {
      failed(error)
    }
    if (usage === undefined) done()
    else countUsage(usage, done)
  })

  // Only for what an earlier hook may answer: the hook makes Fastify watch every response, a third of what all this costs.
  if (!first) {
    fastify.addHook('onResponse', (request, reply, done) => {
      try {
        exchanges.answered(request, reply)
      } catch (error) {
        failed(error)
      }
      done()
    })
  }

  if (families.http_exceptions_total !== undefined) {
    fastify.addHook('onError', (request, reply, error, done) => {
      try {
        exchanges.threw(request, reply, error)
      } catch (trouble) {
        failed(trouble)
      }
      done()
    })
  }

  if (families.http_handler_duration_seconds !== undefined) {
    const stop = watchHandlers(failed)
    fastify.addHook('onClose', (_fastify, done) => {
      stop()
      done()
    })
  }

  const forget = families.http_requests_in_flight?.addCallback((gauge) => {
    for (const { method, route, inFlight } of routes) gauge.inc({ method, route }, inFlight)
  })
  fastify.addHook('onClose', (_fastify, done) => {
    forget?.()
    done()
  })

  // In a scope of its own, Fastify's other requests are none of ours; the root's prototype is no Fastify.
  if (Object.getPrototypeOf(fastify) === Object.prototype) {
    fastify.server.on('request', (request: RawRequest, response: RawResponse) => {
      try {
        exchanges.arrived(request, response)
      } catch (error) {
        failed(error)
      }
    })
  }
}

/**
 * Whether no onRequest hook runs before one added now: there is none yet, and no scope that may have its own. Fastify keeps both under symbols
 * of its own; where they are not found, there may be one.
 */
function runsFirst (fastify: FastifyInstance): boolean {
  const kept = (description: string): unknown => {
    const symbol = Object.getOwnPropertySymbols(fastify).find((symbol) => symbol.description === description)
    return symbol === undefined ? undefined : (fastify as unknown as Record<symbol, unknown>)[symbol]
  }
  const hooks = (kept('fastify.hooks') as { onRequest?: unknown } | undefined)?.onRequest
  const scopes = kept('fastify.children')
  return Array.isArray(hooks) && hooks.length === 0 && Array.isArray(scopes) && scopes.length === 0
}
