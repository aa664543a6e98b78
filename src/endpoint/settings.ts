import type { RouteShorthandOptions } from 'fastify'
import type { ExpositionSettings } from '../exposition/index.js'
import { invalidOption } from '../validation/errors.js'
import { isRecord, readGiven, refuseUnknown } from '../validation/given.js'
import { endpointSpellings } from '../validation/spellings.js'

/** Where the metrics are served, and how: any Fastify route option but `method`, `url` and `handler`, and these. */
export interface PageOptions extends RouteShorthandOptions {
  /** Default: '/metrics'. */
  path?: string
  /** Scrapes served at once; one more is answered 503. Default: 10. */
  maxScrapes?: number
  /**
   * Whether OpenMetrics 1.0 pages have a `_created` series for each counter, histogram and summary, which says when it began. Protobuf and OpenMetrics 2.0
   * say so without a series. Default: false.
   */
  created?: boolean
}

/** A port for the metrics alone. */
export interface PortOptions {
  /** A port, or the first free one of a range; 0 is any that is free. It is this process' alone, in a cluster too: there each worker takes its own of the range. */
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
const OPTIONS = ['path', 'maxScrapes', 'created', 'port', 'host']

/** Every option that a route of Fastify 5 may have beside its method, URL and handler (fastify/types/route.d.ts, RouteShorthandOptions). */
export const ROUTE_OPTIONS = [
  'schema', 'attachValidation', 'exposeHeadRoute', 'validatorCompiler', 'serializerCompiler', 'bodyLimit', 'handlerTimeout', 'logLevel', 'logSerializers', 'config',
  'constraints', 'prefixTrailingSlash', 'errorHandler', 'childLoggerFactory', 'schemaErrorFormatter', 'onRequest', 'preParsing', 'preValidation', 'preHandler',
  'preSerialization', 'onSend', 'onResponse', 'onTimeout', 'onError', 'onRequestAbort'
] as const satisfies ReadonlyArray<keyof RouteShorthandOptions>

/** What plugins read at the top of a route: @fastify/helmet, compress, response-validation, websocket and sse. Others read its `config`. */
export const PLUGIN_ROUTE_OPTIONS = ['helmet', 'compress', 'decompress', 'responseValidation', 'responseStatusCodeValidation', 'websocket', 'wsHandler', 'sse'] as const

/** The hooks that may keep somebody from the page. */
const GUARDS = ['onRequest', 'preParsing', 'preValidation', 'preHandler'] as const satisfies ReadonlyArray<keyof RouteShorthandOptions>

const OF_ROUTES = [...ROUTE_OPTIONS, ...PLUGIN_ROUTE_OPTIONS]

/** An address, and no URL: letters, digits, dots, colons, and what a scope of IPv6 has. */
const ADDRESS = /^[\w.:%-]+$/

/**
 * Checks the options of an endpoint and fills in the defaults.
 * @param owner the public function they were given to
 * @param at what stands before an option's name there, 'endpoint.'
 * @param more names of options that it has beside those of PageOptions and PortOptions
 * @throws MetricsError FP_ERR_INVALID_OPTION
 */
export function readEndpoint (owner: string, at: string, options: unknown, more: readonly string[] = []): EndpointSettings {
  const check = (name: string, right: boolean, expected: string, got: unknown) => {
    if (!right) throw invalidOption(owner, at + name, expected, got)
  }
  const ours = [...OPTIONS, ...more]
  const { values, unknown } = readGiven(owner, at, options, [...ours, ...OF_ROUTES])
  refuseUnknown(owner, at, options, unknown, `one of ${ours.join(', ')}, or an option of a Fastify route; what a hook of your own reads goes into '${at}config'`, endpointSpellings(at))
  const { path = '/metrics', counted = false, maxScrapes = MAX_SCRAPES, created = false, port, host, config } = values
  check('path', typeof path === 'string' && path.startsWith('/'), "a path that starts with '/'", path)
  check('path', !/[?#]/.test(path as string), 'a path without a query', path)
  check('counted', typeof counted === 'boolean', 'true or false', counted)
  check('maxScrapes', Number.isInteger(maxScrapes) && (maxScrapes as number) > 0, 'a whole number from 1 on', maxScrapes)
  check('created', typeof created === 'boolean', 'true or false', created)
  check('host', host === undefined || (typeof host === 'string' && ADDRESS.test(host)), "an address or a name, '0.0.0.0' or 'localhost', and no URL", host)
  check('host', host === undefined || port !== undefined, "left out where there is no 'port'", host)
  const ports = portsOf(port)
  check('port', port === undefined || ports !== undefined, `a port, or { from, to } for the first free one of them, from 0 to ${HIGHEST_PORT}`, port)
  check('schema', values.schema === undefined || isRecord(values.schema), "an object, as a route's", values.schema)
  check('config', config === undefined || isRecord(config), "an object, as a route's", config)
  for (const name of GUARDS) {
    const isGivenNothing = values[name] === undefined && Object.hasOwn(options as object, name)
    check(name, !isGivenNothing, 'a hook, or left out; without it anybody may read the page: await the plugin that gives it before this one is registered', undefined)
  }
  return {
    path: path as string,
    counted: counted as boolean,
    // Fastify checks these itself.
    route: Object.fromEntries(OF_ROUTES.flatMap((name) => values[name] === undefined ? [] : [[name, values[name]]])) as RouteShorthandOptions,
    exposition: { maxScrapes: maxScrapes as number, created: created as boolean },
    port: ports === undefined ? undefined : { ...ports, host: (host as string | undefined) ?? '127.0.0.1' }
  }
}

function portsOf (port: unknown): { from: number, to: number } | undefined {
  if (isPort(port)) return { from: port, to: port }
  if (!isRecord(port)) return undefined
  try {
    const { from, to, ...others } = port
    return isPort(from) && isPort(to) && from <= to && Object.keys(others).length === 0 ? { from, to } : undefined
  } catch {
    // A getter or a proxy of the caller's.
    return undefined
  }
}

function isPort (port: unknown): port is number {
  return typeof port === 'number' && Number.isInteger(port) && port >= 0 && port <= HIGHEST_PORT
}
