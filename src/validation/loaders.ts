import type { FastifyInstance, FastifyServerOptions, RegisterOptions } from 'fastify'

/** What Fastify's register() takes beside a plugin's own options (fastify/types/register.d.ts); `prefix` is an option of ours too. */
export const REGISTER_OPTIONS = ['logLevel', 'logSerializers'] as const satisfies ReadonlyArray<keyof RegisterOptions>

/** The options of a Fastify server, of every 5.x (fastify/fastify.d.ts, FastifyServerOptions, and those of its protocols). */
export const SERVER_OPTIONS = [
  'ajv', 'allowErrorHandlerOverride', 'allowUnsafeRegex', 'bodyLimit', 'caseSensitive', 'childLoggerFactory', 'clientErrorHandler', 'connectionTimeout',
  'constraints', 'disableRequestLogging', 'exposeHeadRoutes', 'forceCloseConnections', 'frameworkErrors', 'genReqId', 'handlerTimeout', 'ignoreDuplicateSlashes',
  'ignoreTrailingSlash', 'keepAliveTimeout', 'logController', 'logger', 'loggerInstance', 'maxParamLength', 'maxRequestsPerSocket', 'onConstructorPoisoning',
  'onProtoPoisoning', 'pluginTimeout', 'querystringParser', 'requestIdHeader', 'requestIdLogLabel', 'requestTimeout', 'return503OnClosing', 'rewriteUrl',
  'routerOptions', 'schemaController', 'schemaErrorFormatter', 'serializerOpts', 'serverFactory', 'trustProxy', 'useSemicolonDelimiter'
] as const satisfies ReadonlyArray<keyof FastifyServerOptions>
const PROTOCOL_OPTIONS = ['http', 'https', 'http2', 'http2SessionTimeout']
/** Of older 5.x and fastify-cli: its app templates' tests register the application with it (fastify-cli/start.js). */
const OTHER_OPTIONS = ['jsonShorthand', 'versioning', 'skipOverride']

const NOT_OURS: ReadonlySet<string> = new Set([...SERVER_OPTIONS, ...PROTOCOL_OPTIONS, ...OTHER_OPTIONS])

/** Whether an option is one of Fastify's server, which `fastify start --options` and its helper `build` give to plugins as well. */
export function isOfServer (name: string): boolean {
  return NOT_OURS.has(name)
}

/**
 * Whether a prefix is one of routes, as @fastify/autoload makes it from the names of folders (`/metrics`, and with a prefix of the
 * user's before it, `api/metrics`): those of metrics have no '/'.
 */
export function isRoutePrefix (prefix: unknown): boolean {
  return typeof prefix === 'string' && prefix.includes('/')
}

const NODE = /^([│ ]*)[├└][─┬]+ (.*?)(?: -?\d+ ms)?$/
const AUTOLOAD = /^(fastify)?[-_]?auto[-_]?load(er)?$/i

/** Whether @fastify/autoload is among the plugins that a plugin is registered in, as fastify.printPlugins() draws them. */
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
