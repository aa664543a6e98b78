import type { FastifyRequest } from 'fastify'
import { OWN_METRICS, type OwnMetricName, type Scope } from './catalogue.js'
import { readEndpoint, type EndpointOptions, type EndpointSettings } from './endpoint/settings.js'
import type { ExpositionSettings } from './exposition/index.js'
import { HTTP_METRICS, type HttpMetricName } from './http/families.js'
import type { HttpSettings } from './http/instrument.js'
import type { RouteNamer } from './http/route-label.js'
import type { LabelResolver } from './http/user-labels.js'
import { SCOPE_OPTIONS, readMetrics, readRegistries, readScope } from './instrumentation/index.js'
import { isLabelName, type ExemplarSource, type RegistryLike } from './metrics/index.js'
import { invalidOption, showName } from './validation/errors.js'
import { entriesOf, isRecord, readGiven, refuseUnknown } from './validation/given.js'
import { REGISTER_OPTIONS, isOfServer, isRoutePrefix } from './validation/loaders.js'
import { pluginSpellings } from './validation/spellings.js'

/** Options of metricsPlugin; none is needed. */
export interface MetricsPluginOptions {
  /**
   * Where the metrics are: a registry of prom-client 15, @prometheus-io/client or @platformatic/prom-client; or several, which are all on the page, the first with the
   * metrics of this package. Default: prom-client's global one.
   */
  registry?: RegistryLike | readonly RegistryLike[]
  /** Goes before the name of every metric of this package, the runtime metrics included. One with a '/' is a prefix of routes, which a loader adds, and is ignored. Default: ''. */
  prefix?: string
  /** The route that serves the metrics: its path, or an object with any Fastify route options, or with a port of its own, or false for none. Default: '/metrics'. */
  endpoint?: string | EndpointOptions | false
  /** Upper bounds of the histograms. Default: those of the catalogue. */
  buckets?: {
    /** Seconds. */
    duration?: readonly number[]
    /** Bytes. */
    size?: readonly number[]
  }
  /**
   * Labels of your own on http_request_duration_seconds, by name: called when the response has ended, its answer is the value.
   * A label takes 100 values of at most 128 characters; all others are `_OTHER`. One that throws is `_ERROR`, and counted. Default: none.
   */
  labels?: Record<string, LabelResolver>
  /**
   * The route label of a request that no route names: one that matched none, or a wildcard such as a mounted application, a proxy or static files.
   * Called once, when the request comes. It may give 100 labels to wildcards and 100 to what matched no route, of at most 128 characters; all others are `_OTHER`. Nothing, or an error, leaves the label as it is. Default: none.
   */
  route?: RouteNamer
  /** Routes to leave out: whole templates ('/health') or patterns; '__unmatched__' is what no route matched. Default: none. */
  excludeRoutes?: ReadonlyArray<string | RegExp>
  /** HTTP metrics, and those about this package's own work, to switch off (false), or those of the catalogue's opt-in ones to switch on (true). */
  metrics?: Partial<Record<HttpMetricName | OwnMetricName, boolean>>
  /** Whether the registry gets prom-client's default metrics of the process and of Node. Default: true. */
  runtime?: boolean
  /** Label sets a metric holds at most; what comes after goes to one series labelled `__overflow__`. Default: 10,000. */
  maxSeries?: number
  /**
   * Whether the HTTP histograms are native as well, for scrapers that ask in protobuf: true is a growth factor of 1.1, a number is the factor
   * itself. `classicBuckets: false` leaves their classic buckets out. Default: false.
   */
  nativeHistograms?: Scope['nativeHistograms']
  /**
   * Where the exemplars of the HTTP histograms come from: true is the OpenTelemetry span that is active when a request comes in, where
   * the trace is sampled; a function of the request gives their labels itself. Default: true.
   */
  exemplars?: boolean | ExemplarSource<FastifyRequest>
}

/** Options, checked and complete. */
export interface Settings {
  /** Names of options that are not ours and that a loader added. */
  readonly left: readonly string[]
  readonly scope: Scope & { readonly registry: RegistryLike, readonly prefix: string }
  /** Those on the page, that of the scope first. */
  readonly registries: readonly RegistryLike[]
  readonly http: HttpSettings
  /** Which metrics are switched off or on. */
  readonly metrics: NonNullable<MetricsPluginOptions['metrics']>
  readonly endpoint: EndpointSettings | undefined
  readonly exposition: ExpositionSettings
  readonly runtime: boolean
}

const OPTIONS = [...SCOPE_OPTIONS, 'endpoint', 'buckets', 'labels', 'route', 'excludeRoutes', 'metrics', 'runtime'] as const satisfies Array<keyof MetricsPluginOptions>
const TAKEN_LABELS = ['method', 'route', 'status_code', 'le']

/**
 * Checks the options and fills in the defaults; what the caller passed stays as it is. Options of Fastify's server and of its register() are not
 * ours and are left out, and so is every other where a loader registered the plugin.
 * @param isAutoloaded whether a loader did, where the options do not show it
 * @throws MetricsError FP_ERR_INVALID_OPTION
 */
export function readOptions (given: unknown, isAutoloaded = () => false): Settings {
  const { values, unknown } = readGiven('metricsPlugin', '', given, [...OPTIONS, ...REGISTER_OPTIONS])
  const ofNobody = unknown.filter((name) => !isOfServer(name))
  const isLoaded = () => isRoutePrefix(values.prefix) || unknown.length > ofNobody.length || isAutoloaded()
  if (ofNobody.length > 0 && !isLoaded()) refuseUnknown('metricsPlugin', '', given, ofNobody, `one of ${OPTIONS.join(', ')}`, pluginSpellings)
  const { runtime = true, exemplars, endpoint: asked, logLevel, logSerializers } = values
  const options = isRoutePrefix(values.prefix) ? { ...values, prefix: undefined } : values
  const registries = readRegistries('metricsPlugin', values.registry)
  const { prefix = '', maxSeries, nativeHistograms } = readScope('metricsPlugin', { ...options, registry: registries[0] })
  check('runtime', typeof runtime === 'boolean', 'true or false', runtime)
  check('route', values.route === undefined || typeof values.route === 'function', 'a function of the request', values.route)
  const endpoint = endpointOf(asked, { logLevel, logSerializers })
  const metrics = readMetrics('metricsPlugin', values.metrics, [...HTTP_METRICS, ...OWN_METRICS])
  return {
    left: ofNobody,
    scope: { registry: registries[0], prefix, maxSeries, nativeHistograms },
    registries,
    metrics,
    http: {
      metrics,
      labels: readLabels(values.labels),
      // What it takes and gives cannot be seen; what it gives is checked each time.
      route: values.route as HttpSettings['route'],
      excludeRoutes: readRoutes(values.excludeRoutes),
      // readScope has checked it; what a function takes and gives cannot be seen.
      exemplars: exemplars as HttpSettings['exemplars'],
      ...readBuckets(values.buckets)
    },
    endpoint: asked === false ? undefined : endpoint,
    exposition: endpoint.exposition,
    runtime: runtime as boolean
  }
}

function endpointOf (endpoint: unknown, ofRegister: Readonly<Record<string, unknown>>): EndpointSettings {
  if (endpoint === false || endpoint === undefined) return readEndpoint('metricsPlugin', 'endpoint.', ofRegister, ['counted'])
  if (typeof endpoint === 'string') {
    check('endpoint', endpoint.startsWith('/'), "a path that starts with '/'", endpoint)
    return readEndpoint('metricsPlugin', 'endpoint.', { ...ofRegister, path: endpoint }, ['counted'])
  }
  check('endpoint', isRecord(endpoint), "a path, an object with Fastify's route options, or false for no page", endpoint)
  const settings = readEndpoint('metricsPlugin', 'endpoint.', endpoint, ['counted'])
  return { ...settings, route: { ...ofRegister, ...settings.route } }
}

function readRoutes (routes: unknown = []): ReadonlyArray<string | RegExp> {
  const expected = 'an array of strings and regular expressions'
  check('excludeRoutes', Array.isArray(routes), expected, routes)
  const read = entriesOf('metricsPlugin', 'excludeRoutes', routes as object).map(([, route]) => route)
  check('excludeRoutes', read.every((route) => typeof route === 'string' || route instanceof RegExp), expected, routes)
  return read as Array<string | RegExp>
}

function readLabels (labels: unknown = {}): Record<string, LabelResolver> {
  check('labels', isRecord(labels), 'an object of functions by label name', labels)
  const read = entriesOf('metricsPlugin', 'labels', labels as object)
  for (const [name, resolve] of read) {
    const option = `labels.${showName(name)}`
    check(option, isLabelName(name) && !name.startsWith('__'), 'named with letters, digits and _, not starting with a digit or __', resolve)
    check(option, !TAKEN_LABELS.includes(name), `named other than ${TAKEN_LABELS.join(', ')}`, resolve)
    check(option, typeof resolve === 'function', 'a function of the request and the reply', resolve)
  }
  return Object.fromEntries(read) as Record<string, LabelResolver>
}

function readBuckets (buckets: unknown = {}): { durationBuckets: readonly number[] | undefined, sizeBuckets: readonly number[] | undefined } {
  check('buckets', isRecord(buckets), 'an object with duration and size', buckets)
  const { values: { duration, size }, unknown } = readGiven('metricsPlugin', 'buckets.', buckets, ['duration', 'size'])
  refuseUnknown('metricsPlugin', 'buckets.', buckets, unknown, 'duration or size', new Map())
  for (const [name, bounds] of Object.entries({ duration, size })) {
    const grows = Array.isArray(bounds) && bounds.length > 0 && bounds.every((bound, i) => Number.isFinite(bound) && (i === 0 || bound > bounds[i - 1]))
    check(`buckets.${name}`, bounds === undefined || grows, 'an array of finite numbers, each greater than the one before', bounds)
  }
  return { durationBuckets: duration as readonly number[] | undefined, sizeBuckets: size as readonly number[] | undefined }
}

function check (option: string, right: boolean, expected: string, got: unknown): void {
  if (!right) throw invalidOption('metricsPlugin', option, expected, got)
}
