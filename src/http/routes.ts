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

/** What a route says of itself in `config.metrics`: `false` leaves it out. */
export type RouteMetricsConfig = false | {
  /** Its route label. Default: its URL. */
  route?: string
  /**
   * Whether its responses are streams that stay open, as server-sent events do: their duration is then the time until their headers are sent, and they are counted
   * in http_streams_open while they last. Upgrades are so by themselves. Default: false.
   */
  longLived?: boolean
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** fastify-prometheus: `false` leaves the route out of the metrics, `{ route, longLived }` says more of it. */
    metrics?: RouteMetricsConfig
  }
}

/** Tells a label's long-lived routes from its others, in the table alone. */
const LONG_LIVED = '(long-lived)'

/** Methods of one template, or of one label that a user's function gave for it. */
type Methods = Map<string, RouteMetrics<Exchange>>

/** What a route table is made with. */
export interface RouteTableSettings {
  readonly families: HttpFamilies
  /** Route templates, whole or as a pattern. */
  readonly excluded: ReadonlyArray<string | RegExp>
  /** Methods the server knows. */
  readonly methods: Iterable<string>
  /** The labels of requests that no route names; undefined where they are not asked for. */
  readonly labels: RouteLabels | undefined
  /** Called with the first request of a route and method. */
  readonly met: (request: FastifyRequest) => void
}

/** The routes met so far. Their number is bounded by the routes and methods of the application, whatever requests come. */
export class RouteTable {
  readonly #routes = new Map<FastifyContextConfig | string, Methods | null>()
  /** Those of wildcards that were met, where their requests are asked for a label each. */
  readonly #wildcards = new WeakSet<FastifyContextConfig>()
  readonly #settings: RouteTableSettings
  readonly #methods: ReadonlySet<string>

  constructor (settings: RouteTableSettings) {
    this.#settings = settings
    this.#methods = new Set(settings.methods)
  }

  /** The route of a request; undefined where it is left out. */
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
    this.#settings.met(request)
    return made
  }

  /** What no route matched, or never came to a route; undefined where it is left out. */
  unmatched (method: string): RouteMetrics<Exchange> | undefined {
    return this.#named(UNMATCHED, method, false)
  }

  * [Symbol.iterator] (): Generator<RouteMetrics<Exchange>> {
    for (const methods of this.#routes.values()) if (methods !== null) yield * methods.values()
  }

  /** Those that have long-lived responses, or had. */
  * streaming (): Generator<RouteMetrics<Exchange>> {
    for (const route of this) if (route.streaming) yield route
  }

  /** The route of a request that no route names. */
  #labelled (request: FastifyRequest, config: FastifyContextConfig, url: string | undefined): RouteMetrics<Exchange> | undefined {
    if (this.#isExcluded(config, url ?? UNMATCHED)) return undefined
    if (url !== undefined && !this.#wildcards.has(config)) {
      this.#wildcards.add(config)
      this.#settings.met(request)
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

/** @throws MetricsError FP_ERR_INVALID_OPTION for what a route may not say in `config.metrics` */
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

/** Checked when the route was registered, where that was after the plugin; before, anything may be there. */
function settingsOf (config: FastifyContextConfig | undefined): { readonly route?: string, readonly longLived?: boolean } | undefined {
  const said = config?.metrics
  if (typeof said !== 'object' || said === null) return undefined
  const { route } = said
  return typeof route === 'string' && route !== '' ? said : { longLived: said.longLived === true }
}

function isLongLived (config: FastifyContextConfig | undefined): boolean {
  return settingsOf(config)?.longLived === true
}
