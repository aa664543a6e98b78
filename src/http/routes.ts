import type { FastifyContextConfig, FastifyRequest } from 'fastify'
import { invalidOption } from '../validation/errors.js'
import { isRecord, readGiven, refuseUnknown } from '../validation/given.js'
import { OTHER } from './bounded-values.js'
import type { Exchange } from './exchange.js'
import type { HttpFamilies } from './families.js'
import type { RouteLabels } from './route-label.js'
import { RouteMetrics } from './route-metrics.js'

/** The route label of a request that no route matched. */
export const UNMATCHED = '__unmatched__'

/** A route's own settings in `config.metrics`; `false` leaves the route out. */
export type RouteMetricsConfig = false | {
  /** The route label. Default: the URL of the route. */
  route?: string
  /**
   * Whether the route's responses are streams that stay open, such as server-sent events. Their duration is then the
   * time until their headers are sent, and while they last they are counted in http_streams_open. Upgrades are always
   * long-lived. Default: false.
   */
  longLived?: boolean
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /**
     * fastify-prometheus: `false` leaves the route out of the metrics, `{ route, longLived }` sets how it is measured.
     */
    metrics?: RouteMetricsConfig
  }
}

/** Keeps a label's long-lived routes apart from its others, in the keys of the table alone. */
const LONG_LIVED = '(long-lived)'

/** The methods of one template, or of one label that a user's function gave. */
type Methods = Map<string, RouteMetrics<Exchange>>

/** The settings of a route table. */
export interface RouteTableSettings {
  readonly families: HttpFamilies
  /** The routes to leave out: whole templates, or patterns. */
  readonly excluded: ReadonlyArray<string | RegExp>
  /** The methods that the server knows. */
  readonly methods: Iterable<string>
  /** Gives the labels of requests that no route names; undefined when the user gave no function. */
  readonly labels: RouteLabels | undefined
  /** Called with the first request of a route and method. */
  readonly onFirstRequest: (request: FastifyRequest) => void
}

/**
 * The routes seen so far. Their number is bounded by the routes and methods of the application, whatever requests come.
 */
export class RouteTable {
  readonly #routes = new Map<FastifyContextConfig | string, Methods | null>()
  /** The wildcard routes seen so far, when each of their requests may have a label of its own. */
  readonly #wildcards = new WeakSet<FastifyContextConfig>()
  readonly #settings: RouteTableSettings
  readonly #methods: ReadonlySet<string>

  constructor (settings: RouteTableSettings) {
    this.#settings = settings
    this.#methods = new Set(settings.methods)
  }

  /** The route of a request; undefined for a route that is left out. */
  of (request: FastifyRequest): RouteMetrics<Exchange> | undefined {
    const { config, url } = request.routeOptions
    if (this.#settings.labels !== undefined && (url === undefined || url.endsWith('*'))) return this.#labelled(request, config, url)
    if (url === undefined) return this.unmatched(request.method)
    let methods = this.#routes.get(config)
    if (methods === undefined) this.#routes.set(config, methods = this.#isExcluded(config, url) ? null : new Map())
    if (methods === null) return undefined
    const known = methods.get(request.method)
    if (known !== undefined) return known
    const made = new RouteMetrics<Exchange>(request.method, settingsOf(config)?.route ?? url, isLongLived(config), this.#settings.families)
    methods.set(request.method, made)
    this.#settings.onFirstRequest(request)
    return made
  }

  /** The route of requests that matched no route, or never came to one; undefined when such requests are left out. */
  unmatched (method: string): RouteMetrics<Exchange> | undefined {
    return this.#named(UNMATCHED, method, false)
  }

  * [Symbol.iterator] (): Generator<RouteMetrics<Exchange>> {
    for (const methods of this.#routes.values()) if (methods !== null) yield * methods.values()
  }

  /** The routes that have long-lived responses, or had. */
  * streaming (): Generator<RouteMetrics<Exchange>> {
    for (const route of this) if (route.streaming) yield route
  }

  /** The route of a request that no route names. */
  #labelled (request: FastifyRequest, config: FastifyContextConfig, url: string | undefined): RouteMetrics<Exchange> | undefined {
    if (this.#isExcluded(config, url ?? UNMATCHED)) return undefined
    if (url !== undefined && !this.#wildcards.has(config)) {
      this.#wildcards.add(config)
      this.#settings.onFirstRequest(request)
    }
    const label = settingsOf(config)?.route ?? this.#settings.labels?.of(request, url !== undefined) ?? url ?? UNMATCHED
    return this.#named(label, request.method, isLongLived(config))
  }

  /** A route that is known by its label alone. */
  #named (label: string, method: string, longLived: boolean): RouteMetrics<Exchange> | undefined {
    const key = longLived ? `${label} ${LONG_LIVED}` : label
    let methods = this.#routes.get(key)
    if (methods === undefined) this.#routes.set(key, methods = this.#matchesExcluded(label) ? null : new Map())
    if (methods === null) return undefined
    const known = this.#methods.has(method) ? method : OTHER
    let route = methods.get(known)
    if (route === undefined) methods.set(known, route = new RouteMetrics<Exchange>(known, label, longLived, this.#settings.families))
    return route
  }

  #isExcluded (config: FastifyContextConfig, url: string): boolean {
    return config.metrics === false || this.#matchesExcluded(url)
  }

  #matchesExcluded (url: string): boolean {
    return this.#settings.excluded.some((pattern) => typeof pattern === 'string' ? pattern === url : url.search(pattern) !== -1)
  }
}

const ROUTE_OPTIONS = ['route', 'longLived']

/** @throws MetricsError FP_ERR_INVALID_OPTION for settings that a route may not have in `config.metrics` */
export function checkRouteConfig (url: string, config: FastifyContextConfig | undefined): void {
  const said: unknown = config?.metrics
  if (said === undefined || said === false) return
  const owner = `route '${url}'`
  const wrong = () => invalidOption(owner, 'config.metrics', "false or { route: 'name' }", said)
  if (!isRecord(said)) throw wrong()
  const { values, unknown } = readGiven(owner, 'config.metrics.', said, ROUTE_OPTIONS)
  refuseUnknown(owner, 'config.metrics.', said, unknown, `left out; the options are ${ROUTE_OPTIONS.join(', ')}`, NO_SPELLINGS)
  const { route, longLived } = values
  if (route !== undefined && (typeof route !== 'string' || route === '')) throw wrong()
  if (longLived !== undefined && typeof longLived !== 'boolean') throw invalidOption(owner, 'config.metrics.longLived', 'true or false', longLived)
}

const NO_SPELLINGS: ReadonlyMap<string, string> = new Map()

/**
 * The settings of a route. They were checked if the route was registered after the plugin; in an earlier route anything
 * may be there.
 */
function settingsOf (config: FastifyContextConfig | undefined): { readonly route?: string, readonly longLived?: boolean } | undefined {
  const said = config?.metrics
  if (typeof said !== 'object' || said === null) return undefined
  const { route } = said
  return typeof route === 'string' && route !== '' ? said : { longLived: said.longLived === true }
}

function isLongLived (config: FastifyContextConfig | undefined): boolean {
  return settingsOf(config)?.longLived === true
}
