import { isAbsolute } from 'node:path'
import type { RouteShorthandOptions } from 'fastify'
import type { ExpositionSettings } from '../exposition/index.js'
import { invalidOption } from '../validation/errors.js'
import { isRecord, readGiven, refuseUnknown } from '../validation/given.js'
import { endpointSpellings } from '../validation/spellings.js'
import { LONGEST_SOCKET } from './socket.js'

/** Options of the page: these, and any Fastify route option but `method`, `url` and `handler`. */
export interface PageOptions extends RouteShorthandOptions {
  /** The path of the page. Default: '/metrics'. */
  path?: string
  /** The most scrapes that are served at once. A further scrape is answered 503. Default: 10. */
  maxScrapes?: number
  /**
   * Whether OpenMetrics 1.0 pages have a `_created` series with the start time of each counter, histogram and summary.
   * Protobuf and OpenMetrics 2.0 have the start time without such a series. Default: false.
   */
  created?: boolean
}

/** A port for the metrics alone. */
export interface PortOptions {
  /**
   * A port, or a range, of which the first free port is taken; 0 means any free port. No other process shares the port:
   * in a cluster each worker takes its own port of the range.
   */
  port: number | { from: number, to: number }
  /** The address to listen on: '0.0.0.0' for all. Default: '127.0.0.1'. */
  host?: string
}

/** A Unix socket for the metrics alone. */
export interface SocketOptions {
  /**
   * The absolute path of the socket, instead of a port. `{n}` in it stands for the first number from 0 on that no other
   * process has: '/run/walks-{n}.sock'.
   */
  socket?: string
}

/** The plugin's endpoint: a route of the application or, with `port` or `socket`, a route on that alone. */
export interface EndpointOptions extends PageOptions, Partial<PortOptions>, SocketOptions {
  /** Whether the HTTP metrics count requests to the endpoint, if it is a route of the application. Default: false. */
  counted?: boolean
}

/** The path of the route, and its other settings. */
export interface RouteSettings {
  readonly path: string
  /** Whether the HTTP metrics count the requests to this route. */
  readonly counted: boolean
  readonly route: RouteShorthandOptions
}

/** The ports to try, and the address to listen on. */
export interface PortSettings {
  readonly from: number
  readonly to: number
  readonly host: string
}

/** The path of a Unix socket; it may have a `{n}`. */
export interface SocketSettings {
  readonly socket: string
}

export type OwnSettings = PortSettings | SocketSettings

/** The options of an endpoint, checked and complete. */
export interface EndpointSettings extends RouteSettings {
  readonly exposition: ExpositionSettings
  /** The endpoint's own port or socket; undefined if the endpoint is a route of the application. */
  readonly own: OwnSettings | undefined
}

const MAX_SCRAPES = 10
const HIGHEST_PORT = 65_535
const OPTIONS = ['path', 'maxScrapes', 'created', 'port', 'host', 'socket']

/**
 * Every option that a route of Fastify 5 may have beside its method, URL and handler (fastify/types/route.d.ts,
 * RouteShorthandOptions).
 */
export const ROUTE_OPTIONS = [
  'schema', 'attachValidation', 'exposeHeadRoute', 'validatorCompiler', 'serializerCompiler', 'bodyLimit', 'handlerTimeout', 'logLevel', 'logSerializers', 'config',
  'constraints', 'prefixTrailingSlash', 'errorHandler', 'childLoggerFactory', 'schemaErrorFormatter', 'onRequest', 'preParsing', 'preValidation', 'preHandler',
  'preSerialization', 'onSend', 'onResponse', 'onTimeout', 'onError', 'onRequestAbort'
] as const satisfies ReadonlyArray<keyof RouteShorthandOptions>

/**
 * The options that plugins read at the top of a route: @fastify/helmet, compress, response-validation, websocket and
 * sse. Other plugins read the route's `config`.
 */
export const PLUGIN_ROUTE_OPTIONS = ['helmet', 'compress', 'decompress', 'responseValidation', 'responseStatusCodeValidation', 'websocket', 'wsHandler', 'sse'] as const

/** The hooks that may keep a client from the page. */
const GUARDS = ['onRequest', 'preParsing', 'preValidation', 'preHandler'] as const satisfies ReadonlyArray<keyof RouteShorthandOptions>

/** All options of a route that are taken. */
export const OF_ROUTES = [...ROUTE_OPTIONS, ...PLUGIN_ROUTE_OPTIONS]

/** An address, and no URL: letters, digits, dots, colons, and the characters of an IPv6 scope. */
const ADDRESS = /^[\w.:%-]+$/

/**
 * Checks the options of an endpoint and fills in the defaults.
 * @param owner the public function that the options were passed to
 * @param at the text before an option's name there, 'endpoint.'
 * @param more the names of that function's options beside those of PageOptions, PortOptions and SocketOptions
 * @throws MetricsError FP_ERR_INVALID_OPTION
 */
export function readEndpoint (owner: string, at: string, options: unknown, more: readonly string[] = []): EndpointSettings {
  const check = (name: string, right: boolean, expected: string, got: unknown) => {
    if (!right) throw invalidOption(owner, at + name, expected, got)
  }
  const ours = [...OPTIONS, ...more]
  const { values, unknown } = readGiven(owner, at, options, [...ours, ...OF_ROUTES])
  refuseUnknown(owner, at, options, unknown, `one of ${ours.join(', ')}, or an option of a Fastify route; what a hook of your own reads goes into '${at}config'`, endpointSpellings(at))
  const { path = '/metrics', counted = false, maxScrapes = MAX_SCRAPES, created = false, port, host, socket } = values
  checkPath(owner, `${at}path`, path)
  check('counted', typeof counted === 'boolean', 'true or false', counted)
  check('maxScrapes', Number.isInteger(maxScrapes) && (maxScrapes as number) > 0, 'a whole number from 1 on', maxScrapes)
  check('created', typeof created === 'boolean', 'true or false', created)
  check('host', host === undefined || (typeof host === 'string' && ADDRESS.test(host)), "an address or a name, '0.0.0.0' or 'localhost', and no URL", host)
  check('host', host === undefined || port !== undefined, "left out where there is no 'port'", host)
  const ports = portsOf(port)
  check('port', port === undefined || ports !== undefined, `a port, or { from, to } for the first free one of them, from 0 to ${HIGHEST_PORT}`, port)
  check('socket', socket === undefined || isSocketPath(socket), `an absolute path of at most ${LONGEST_SOCKET} bytes`, socket)
  check('socket', socket === undefined || port === undefined, "left out where there is a 'port'", socket)
  checkGuards(owner, at, options as object, values)
  return {
    path,
    counted: counted as boolean,
    route: routeIn(values),
    exposition: { maxScrapes: maxScrapes as number, created: created as boolean },
    own: ports !== undefined ? { ...ports, host: (host as string | undefined) ?? '127.0.0.1' } : socket === undefined ? undefined : { socket: socket as string }
  }
}

/** @throws MetricsError FP_ERR_INVALID_OPTION */
export function checkPath (owner: string, option: string, path: unknown): asserts path is string {
  if (typeof path !== 'string' || !path.startsWith('/')) throw invalidOption(owner, option, "a path that starts with '/'", path)
  if (/[?#]/.test(path)) throw invalidOption(owner, option, 'a path without a query', path)
}

/**
 * Checks those options of a route that Fastify does not check itself, or checks too late.
 * @throws MetricsError FP_ERR_INVALID_OPTION
 */
export function checkGuards (owner: string, at: string, options: object, values: Readonly<Record<string, unknown>>): void {
  for (const name of ['schema', 'config']) {
    if (values[name] !== undefined && !isRecord(values[name])) throw invalidOption(owner, at + name, "an object, as a route's", values[name])
  }
  for (const name of GUARDS) {
    if (values[name] !== undefined || !Object.hasOwn(options, name)) continue
    throw invalidOption(owner, at + name, 'a hook, or left out; without it anybody may read the page: await the plugin that gives it before this one is registered', undefined)
  }
}

/** The options of a route among all that were given. Fastify itself checks them. */
export function routeIn (values: Readonly<Record<string, unknown>>): RouteShorthandOptions {
  return Object.fromEntries(OF_ROUTES.flatMap((name) => values[name] === undefined ? [] : [[name, values[name]]]))
}

function isSocketPath (socket: unknown): boolean {
  return typeof socket === 'string' && isAbsolute(socket) && !socket.includes('\0') && Buffer.byteLength(socket) <= LONGEST_SOCKET
}

function portsOf (port: unknown): { from: number, to: number } | undefined {
  if (isPort(port)) return { from: port, to: port }
  if (!isRecord(port)) return undefined
  try {
    const { from, to, ...others } = port
    return isPort(from) && isPort(to) && from <= to && Object.keys(others).length === 0 ? { from, to } : undefined
  } catch {
    // A getter or a proxy of the caller threw.
    return undefined
  }
}

function isPort (port: unknown): port is number {
  return typeof port === 'number' && Number.isInteger(port) && port >= 0 && port <= HIGHEST_PORT
}
