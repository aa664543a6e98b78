import type { FastifyInstance, FastifyServerOptions, RegisterOptions } from 'fastify'

/**
 * The options that Fastify's register() takes beside a plugin's own (fastify/types/register.d.ts). Its `prefix` is also
 * an option of ours, so it is not here.
 */
export const REGISTER_OPTIONS = ['logLevel', 'logSerializers'] as const satisfies ReadonlyArray<keyof RegisterOptions>

/**
 * The options of a Fastify server of every 5.x (fastify/fastify.d.ts: FastifyServerOptions, and the options of its
 * protocols).
 */
export const SERVER_OPTIONS = [
  'ajv', 'allowErrorHandlerOverride', 'allowUnsafeRegex', 'bodyLimit', 'caseSensitive', 'childLoggerFactory', 'clientErrorHandler', 'connectionTimeout',
  'constraints', 'disableRequestLogging', 'exposeHeadRoutes', 'forceCloseConnections', 'frameworkErrors', 'genReqId', 'handlerTimeout', 'ignoreDuplicateSlashes',
  'ignoreTrailingSlash', 'keepAliveTimeout', 'logController', 'logger', 'loggerInstance', 'maxParamLength', 'maxRequestsPerSocket', 'onConstructorPoisoning',
  'onProtoPoisoning', 'pluginTimeout', 'querystringParser', 'requestIdHeader', 'requestIdLogLabel', 'requestTimeout', 'return503OnClosing', 'rewriteUrl',
  'routerOptions', 'schemaController', 'schemaErrorFormatter', 'serializerOpts', 'serverFactory', 'trustProxy', 'useSemicolonDelimiter'
] as const satisfies ReadonlyArray<keyof FastifyServerOptions>
const PROTOCOL_OPTIONS = ['http', 'https', 'http2', 'http2SessionTimeout']
/**
 * Options of older 5.x, and of fastify-cli: the tests of its app templates register the application with `skipOverride`
 * (fastify-cli/start.js).
 */
const OTHER_OPTIONS = ['jsonShorthand', 'versioning', 'skipOverride']

const NOT_OURS: ReadonlySet<string> = new Set([...SERVER_OPTIONS, ...PROTOCOL_OPTIONS, ...OTHER_OPTIONS])

/**
 * Whether an option belongs to Fastify's server. `fastify start --options` and fastify-cli's helper `build` give these
 * options to plugins as well.
 */
export function isOfServer (name: string): boolean {
  return NOT_OURS.has(name)
}

/**
 * Whether a prefix is a prefix of routes. @fastify/autoload makes such a prefix from the names of folders: `/metrics`,
 * and `api/metrics` when the user has a prefix too. A prefix of metrics has no '/'.
 */
export function isRoutePrefix (prefix: unknown): boolean {
  return typeof prefix === 'string' && prefix.includes('/')
}

const NODE = /^([│ ]*)[├└][─┬]+ (.*?)(?: -?\d+ ms)?$/
const AUTOLOAD = /^(fastify)?[-_]?auto[-_]?load(er)?$/i

/** Whether @fastify/autoload is among the plugins that contain a plugin, as fastify.printPlugins() draws them. */
export function isAutoloaded (fastify: FastifyInstance, plugin: string): boolean {
  const nodes = fastify.printPlugins().split('\n').flatMap((line) => {
    const [, indent, name] = NODE.exec(line) ?? []
    return indent === undefined || name === undefined ? [] : [{ depth: indent.length, name }]
  })
  let own = nodes.map(({ name }) => name).lastIndexOf(plugin)
  let depth = nodes[own]?.depth ?? 0
  for (; own >= 0; own--) {
    const node = nodes[own]
    if (node === undefined || node.depth >= depth) continue
    depth = node.depth
    if (AUTOLOAD.test(node.name)) return true
  }
  return false
}
