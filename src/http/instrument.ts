import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Scope } from '../catalogue.js'
import { Exemplars, countUsage, newUsage, type OpenList, type Trouble } from '../instrumentation/index.js'
import type { ExemplarSource } from '../metrics/index.js'
import { MAX_LABEL_VALUES, OTHER } from './bounded-values.js'
import { isClosed } from './endings.js'
import { watchEntrances } from './entrances.js'
import type { Exchange } from './exchange.js'
import { Exchanges } from './exchanges.js'
import { httpFamilies, type HttpChoice } from './families.js'
import { bracketHandler } from './handler-bracket.js'
import { keptIn } from './kept.js'
import { Refusals } from './refusals.js'
import { RouteLabels, type RouteNamer } from './route-label.js'
import { checkRouteConfig, RouteTable, UNMATCHED } from './routes.js'
import { UserLabels, type LabelResolver } from './user-labels.js'
import { countViews } from './views.js'

/** The settings of the HTTP half. */
export interface HttpSettings extends Omit<HttpChoice, 'extraLabels'> {
  readonly excludeRoutes: ReadonlyArray<string | RegExp>
  readonly labels: Readonly<Record<string, LabelResolver>>
  /** Gives the labels of requests that no route names. */
  readonly route: RouteNamer | undefined
  readonly exemplars: boolean | ExemplarSource<FastifyRequest> | undefined
}

/** Observes every request of a Fastify instance, also on routes that are registered already. */
export function instrumentHttp (fastify: FastifyInstance, scope: Scope, settings: HttpSettings, trouble: Trouble): void {
  const failed = (error: unknown) => trouble.report('http', error)
  const labels = new UserLabels(settings.labels, trouble, (name) => fastify.log.warn(
    `label '${name}' has reached its ${MAX_LABEL_VALUES} values, and new ones are '${OTHER}': give it fewer values; this is logged once`))
  const families = httpFamilies(scope, { ...settings, extraLabels: labels.names })
  const routeLabels = settings.route === undefined
    ? undefined
    : new RouteLabels(settings.route, (error) => trouble.report('route', error), () => fastify.log.warn(
      `the option 'route' has given ${MAX_LABEL_VALUES} labels, and new ones are '${OTHER}': give fewer; this is logged once`))
  let brackets = families.http_handler_duration_seconds !== undefined
  const routes = new RouteTable({
    families,
    excluded: settings.excludeRoutes,
    methods: fastify.supportedMethods,
    labels: routeLabels,
    onFirstRequest (request) {
      warnOfConfig(fastify, request)
      if (!brackets) return
      brackets = bracketHandler(request)
      if (!brackets) failed(new Error('this Fastify keeps its routes in a way that is not known here: http_handler_duration_seconds stays empty'))
    }
  })
  const first = runsFirst(fastify)
  const exchanges = new Exchanges({ routes, families, labels, exemplars: new Exemplars(settings.exemplars, trouble), first, failed })
  const countsUsage = [families.http_request_db_queries, families.http_request_db_duration_seconds,
    families.http_request_outgoing_requests, families.http_request_outgoing_duration_seconds].some((family) => family !== undefined)

  fastify.addHook('onRoute', (route) => checkRouteConfig(route.url, route.config))

  fastify.addHook('onRequest', (request, reply, done) => {
    let usage
    try {
      const exchange = exchanges.received(request, reply)
      if (countsUsage && !exchange.over) usage = exchange.usage = newUsage()
      if (families.http_responses_template_total !== undefined) countViews(reply, families.http_responses_template_total, failed)
    } catch (error) {
      failed(error)
    }
    if (usage === undefined) done()
    else countUsage(usage, done)
  })

  // Needed only when an earlier hook may answer: this hook makes Fastify watch every response, a third of the whole
  // cost.
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

  const undo = [
    families.http_requests_in_flight?.addCallback((gauge) => {
      exchanges.sweep()
      for (const { method, route, inFlight } of routes) gauge.inc({ method, route }, inFlight.size)
    }),
    families.http_request_oldest_seconds?.addCallback((gauge) => {
      for (const { method, route, inFlight } of routes) gauge.atLeast({ method, route }, oldestOf(inFlight)?.seconds ?? 0)
    }),
    families.http_streams_open?.addCallback((gauge) => {
      for (const { method, route, streams } of routes.streaming()) gauge.inc({ method, route }, streams.size)
    }),
    families.http_stream_oldest_seconds?.addCallback((gauge) => {
      for (const { method, route, streams } of routes.streaming()) gauge.atLeast({ method, route }, streams.oldest?.seconds ?? 0)
    })
  ]
  const closed = () => {
    exchanges.close()
    for (const each of undo) each?.()
  }
  // The server goes on as long as it has connections. Without a server that listens, nothing is answered any more.
  fastify.addHook('onClose', (_fastify, done) => {
    if (fastify.server.listening) fastify.server.once('close', closed)
    else closed()
    done()
  })

  // When the plugin is registered in a child scope, Fastify's other requests are not observed. Only the root's
  // prototype is no Fastify.
  if (Object.getPrototypeOf(fastify) !== Object.prototype) return
  watchEntrances(fastify, (request, response) => {
    try {
      exchanges.arrived(request, response)
    } catch (error) {
      failed(error)
    }
  }, new Refusals(families.http_client_errors_total, failed))
}

/**
 * Warns of a wrong `config.metrics` of a route that was registered before the plugin, when its first request comes.
 * Never throws, whatever the logger does.
 */
function warnOfConfig (fastify: FastifyInstance, { routeOptions: { url, config } }: FastifyRequest): void {
  try {
    checkRouteConfig(url ?? UNMATCHED, config)
  } catch (error) {
    try {
      fastify.log.warn(`${(error as Error).message}; it is ignored, and logged once for each method of the route`)
    } catch {
      // A logger without levels, or one that fails, leaves nobody to tell.
    }
  }
}

/** The oldest exchange that is open: the end of the exchanges before it was missed. */
function oldestOf (list: OpenList<Exchange>): Exchange | undefined {
  let { oldest } = list
  while (oldest !== undefined && isClosed(oldest)) oldest = oldest.newer
  return oldest
}

/**
 * Whether no onRequest hook runs before one that is added now: there is no hook yet, and no scope that may have its
 * own. Fastify keeps both under its own symbols; when these are not found, there may be an earlier hook.
 */
function runsFirst (fastify: FastifyInstance): boolean {
  const hooks = (keptIn(fastify, 'fastify.hooks') as { onRequest?: unknown } | undefined)?.onRequest
  const scopes = keptIn(fastify, 'fastify.children')
  return Array.isArray(hooks) && hooks.length === 0 && Array.isArray(scopes) && scopes.length === 0
}
