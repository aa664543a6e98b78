import type { RouteShorthandOptions } from 'fastify'
import { invalidOption } from '../errors.js'
import type { ExpositionSettings } from '../exposition/index.js'

/** Where the metrics are served, and how: any Fastify route option, and these. */
export interface PageOptions extends RouteShorthandOptions {
  /** Default: '/metrics'. */
  path?: string
  /** Scrapes served at once; one more is answered 503. Default: 10. */
  maxScrapes?: number
  /** Whether OpenMetrics pages have a `_created` series for each counter, histogram and summary that says when it began. Default: true. */
  created?: boolean
}

/** A port for the metrics alone. */
export interface PortOptions {
  /** A port, or the first free one of a range; 0 is any that is free. */
  port: number | { from: number, to: number }
  /** The address to listen on: '0.0.0.0' for all. Default: '127.0.0.1'. */
  host?: string
}

/** The plugin's endpoint: a route of the application, or with `port` one on a port of its own. */
export interface EndpointOptions extends PageOptions, Partial<PortOptions> {
  /** Whether requests to the endpoint are in the HTTP metrics themselves, where it is a route of the application. Default: false. */
  counted?: boolean
}

/** Where the route is, and what else it says. */
export interface RouteSettings {
  readonly path: string
  /** Whether its own requests are in the HTTP metrics. */
  readonly counted: boolean
  readonly route: RouteShorthandOptions
}

/** Ports to try, and the address. */
export interface PortSettings {
  readonly from: number
  readonly to: number
  readonly host: string
}

/** Options, checked and complete. */
export interface EndpointSettings extends RouteSettings {
  readonly exposition: ExpositionSettings
  /** Where it has a port of its own. */
  readonly port: PortSettings | undefined
}

const MAX_SCRAPES = 10
const HIGHEST_PORT = 65_535

/**
 * Checks the options of an endpoint and fills in the defaults.
 * @param owner the public function they were given to
 * @param at what stands before an option's name there, 'endpoint.'
 * @throws MetricsError FP_ERR_INVALID_OPTION
 */
export function readEndpoint (owner: string, at: string, options: EndpointOptions): EndpointSettings {
  const check = (name: string, right: boolean, expected: string, got: unknown) => {
    if (!right) throw invalidOption(owner, at + name, expected, got)
  }
  const { path = '/metrics', counted = false, maxScrapes = MAX_SCRAPES, created = true, port, host, ...route } = options
  check('path', typeof path === 'string' && path.startsWith('/'), "a path that starts with '/'", path)
  check('counted', typeof counted === 'boolean', 'true or false', counted)
  check('maxScrapes', Number.isInteger(maxScrapes) && maxScrapes > 0, 'a whole number from 1 on', maxScrapes)
  check('created', typeof created === 'boolean', 'true or false', created)
  check('host', host === undefined || (typeof host === 'string' && host !== ''), 'an address', host)
  check('host', host === undefined || port !== undefined, "left out where there is no 'port'", host)
  check('port', port === undefined || portsOf(port) !== undefined, `a port, or { from, to } for the first free one of them, from 0 to ${HIGHEST_PORT}`, port)
  const ports = portsOf(port)
  return {
    path,
    counted,
    route,
    exposition: { maxScrapes, created },
    port: ports === undefined ? undefined : { ...ports, host: host ?? '127.0.0.1' }
  }
}

function portsOf (port: unknown): { from: number, to: number } | undefined {
  const { from, to } = (typeof port === 'number' ? { from: port, to: port } : port ?? {}) as { from?: unknown, to?: unknown }
  return isPort(from) && isPort(to) && from <= to ? { from, to } : undefined
}

function isPort (port: unknown): port is number {
  return typeof port === 'number' && Number.isInteger(port) && port >= 0 && port <= HIGHEST_PORT
}
