import type { FastifyContextConfig, FastifyRequest } from 'fastify'
import { MetricsError, show } from '../errors.js'
import type { CounterChild, HistogramChild, Labels } from '../metrics/index.js'
import type { HttpFamilies } from './families.js'

/** The route label of a request that no route matched. */
export const UNMATCHED = '__unmatched__'
/** The method label of a method that the server does not know, and the value of a label whose set is full. */
export const OTHER = '_OTHER'

/** What a route says of itself: `config: { metrics: false }` or `config: { metrics: { route: 'name' } }`. */
export type RouteMetricsConfig = false | { route: string }

declare module 'fastify' {
  interface FastifyContextConfig {
    /** fastify-prometheus: `false` leaves the route out of the metrics, `{ route }` gives its route label. */
    metrics?: RouteMetricsConfig
  }
}

/** One method of one route, and its bound children: what a request is observed with. */
export class RouteMetrics {
  /** Received and not yet finished or aborted. */
  inFlight = 0
  readonly handlerDuration: HistogramChild | undefined
  readonly requestSize: HistogramChild | undefined
  readonly responseSize: HistogramChild | undefined
  readonly streamed: CounterChild | undefined
  readonly aborted: CounterChild | undefined
  readonly ajax: CounterChild | undefined
  readonly queueDuration: HistogramChild | undefined
  readonly dbQueries: HistogramChild | undefined
  readonly dbDuration: HistogramChild | undefined
  readonly #http: CounterChild | undefined
  readonly #https: CounterChild | undefined
  readonly #durations: HistogramChild[] = []

  constructor (readonly method: string, readonly route: string, private readonly families: HttpFamilies) {
    const labels = [method, route]
    this.#http = families.http_requests_received_total?.labels(method, route, 'http')
    this.#https = families.http_requests_received_total?.labels(method, route, 'https')
    this.handlerDuration = families.http_handler_duration_seconds?.labels(...labels)
    this.requestSize = families.http_request_size_bytes?.labels(...labels)
    this.responseSize = families.http_response_size_bytes?.labels(...labels)
    this.streamed = families.http_responses_streamed_total?.labels(...labels)
    this.aborted = families.http_requests_aborted_total?.labels(...labels)
    this.aborted?.inc(0)
    this.ajax = families.http_requests_ajax_total?.labels(...labels)
    this.queueDuration = families.http_request_queue_duration_seconds?.labels(...labels)
    this.dbQueries = families.http_request_db_queries?.labels(...labels)
    this.dbDuration = families.http_request_db_duration_seconds?.labels(...labels)
  }

  received (secure: boolean): void {
    this.inFlight++
    ;(secure ? this.#https : this.#http)?.inc()
  }

  /** @param extra the user's label values, none where there are no such labels */
  finished (status: number, seconds: number, extra: readonly string[], exemplar: Labels | undefined): void {
    this.inFlight--
    const family = this.families.http_request_duration_seconds
    if (family === undefined) return
    if (extra.length > 0) return family.labels(this.method, this.route, String(status), ...extra).observe(seconds, exemplar)
    const child = this.#durations[status] ??= family.labels(this.method, this.route, String(status))
    child.observe(seconds, exemplar)
  }

  threw (type: string): void {
    this.families.http_exceptions_total?.inc({ type, method: this.method, route: this.route })
  }
}

/** The routes met so far. Their number is bounded by the routes and methods of the application, whatever requests come. */
export class RouteTable {
  readonly #routes = new Map<FastifyContextConfig | typeof UNMATCHED, Map<string, RouteMetrics> | null>()
  readonly #families: HttpFamilies
  readonly #excluded: ReadonlyArray<string | RegExp>
  readonly #methods: ReadonlySet<string>

  /**
   * @param excluded route templates, whole or as a pattern
   * @param methods methods the server knows
   */
  constructor (families: HttpFamilies, excluded: ReadonlyArray<string | RegExp>, methods: Iterable<string>) {
    this.#families = families
    this.#excluded = excluded
    this.#methods = new Set(methods)
  }

  /** The route of a request; undefined where it is left out. */
  of (request: FastifyRequest): RouteMetrics | undefined {
    const { config, url } = request.routeOptions
    if (url === undefined) return this.unmatched(request.method)
    let methods = this.#routes.get(config)
    if (methods === undefined) this.#routes.set(config, methods = this.#isExcluded(config, url) ? null : new Map())
    if (methods === null) return undefined
    const known = methods.get(request.method)
    if (known !== undefined) return known
    const made = new RouteMetrics(request.method, nameOf(config) ?? url, this.#families)
    methods.set(request.method, made)
    return made
  }

  /** What no route matched, or never came to a route; undefined where it is left out. */
  unmatched (method: string): RouteMetrics | undefined {
    let methods = this.#routes.get(UNMATCHED)
    if (methods === undefined) this.#routes.set(UNMATCHED, methods = this.#matchesExcluded(UNMATCHED) ? null : new Map())
    if (methods === null) return undefined
    const label = this.#methods.has(method) ? method : OTHER
    let route = methods.get(label)
    if (route === undefined) methods.set(label, route = new RouteMetrics(label, UNMATCHED, this.#families))
    return route
  }

  * [Symbol.iterator] (): Generator<RouteMetrics> {
    for (const methods of this.#routes.values()) if (methods !== null) yield * methods.values()
  }

  #isExcluded (config: FastifyContextConfig, url: string): boolean {
    return config.metrics === false || this.#matchesExcluded(url)
  }

  #matchesExcluded (url: string): boolean {
    return this.#excluded.some((pattern) => typeof pattern === 'string' ? pattern === url : url.search(pattern) !== -1)
  }
}

/** @throws MetricsError FP_ERR_INVALID_OPTION for what a route may not say in `config.metrics` */
export function checkRouteConfig (url: string, config: FastifyContextConfig | undefined): void {
  const said: unknown = config?.metrics
  if (said === undefined || said === false || nameOf(config) !== undefined) return
  throw new MetricsError('FP_ERR_INVALID_OPTION', `route '${url}' option 'config.metrics' must be false or { route: 'name' }, got ${show(said)}`)
}

function nameOf (config: FastifyContextConfig | undefined): string | undefined {
  const said = config?.metrics
  return typeof said === 'object' && said !== null && typeof said.route === 'string' && said.route !== '' ? said.route : undefined
}
