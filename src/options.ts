import type { FastifyRequest } from 'fastify'
import { OWN_METRICS, type OwnMetricName, type Scope } from './catalogue.js'
import { readLive, type LiveOptions } from './endpoint/live-settings.js'
import { readEndpoint, type EndpointOptions, type EndpointSettings, type RouteSettings } from './endpoint/settings.js'
import type { ExpositionSettings } from './exposition/index.js'
import { HTTP_METRICS, type HttpMetricName } from './http/families.js'
import type { HttpSettings } from './http/instrument.js'
import type { RouteNamer } from './http/route-label.js'
import type { LabelResolver } from './http/user-labels.js'
import { SCOPE_OPTIONS, readMetrics, readRegistries, readScope } from './instrumentation/index.js'
import { isLabelName, type ExemplarSource, type RegistryLike } from './metrics/index.js'
import { readProcesses, type ProcessesOptions, type ProcessesSettings } from './processes/index.js'
import { readBuild, type Build } from './runtime/build.js'
import { readObserve, type Observer, type ObserverAtReady } from './runtime/observers.js'
import { RUNTIME_METRICS, type RuntimeMetricName } from './runtime/runtime.js'
import { invalidOption, showName } from './validation/errors.js'
import { entriesOf, isRecord, readGiven, refuseUnknown } from './validation/given.js'
import { REGISTER_OPTIONS, isOfServer, isRoutePrefix } from './validation/loaders.js'
import { pluginSpellings } from './validation/spellings.js'

/** Options of metricsPlugin; each is optional. */
export interface MetricsPluginOptions {
  /**
   * The registry of the metrics, from prom-client 15, @prometheus-io/client or @platformatic/prom-client. If you give
   * several registries, all are on the page, and the first has the metrics of this package. Default: prom-client's
   * global registry.
   */
  registry?: RegistryLike | readonly RegistryLike[]
  /**
   * Stands before the name of every metric of this package, the runtime metrics included. A prefix with a '/' is a
   * prefix of routes, which a loader adds; it is ignored. Default: ''.
   */
  prefix?: string
  /**
   * The route that serves the metrics: its path, an object with any Fastify route options, an object with a port or
   * a Unix socket of its own, or false for no page. Default: '/metrics'.
   */
  endpoint?: string | EndpointOptions | false
  /**
   * A page to look at: charts of the last minutes, hour and day that move, and what is wrong now. True serves it beside
   * the endpoint, at '/metrics/live', with the endpoint's own route options, so what protects one protects the other. An
   * object may have its path, and any Fastify route option. Default: false.
   */
  live?: boolean | LiveOptions
  /** Upper bounds of the histograms. Default: the bounds of the catalogue. */
  buckets?: {
    /** Seconds. */
    duration?: readonly number[]
    /** Bytes. */
    size?: readonly number[]
  }
  /**
   * Labels of your own on http_request_duration_seconds, by name. Each function is called when the response has ended,
   * and its result is the value. A label takes 100 values of at most 128 characters; all others are `_OTHER`. The value
   * of a function that throws is `_ERROR`, and the error is counted. Default: none.
   */
  labels?: Record<string, LabelResolver>
  /**
   * Gives the route label of a request that no route names: a request that matched no route, or a wildcard such as a
   * mounted application, a proxy or static files. Called once, when the request comes in. It may give 100 labels to
   * wildcards and 100 to unmatched requests, of at most 128 characters; all others are `_OTHER`. If it gives nothing or
   * throws, the label stays as it is. Default: none.
   */
  route?: RouteNamer
  /**
   * Routes to leave out: whole templates ('/health') or patterns; '__unmatched__' stands for requests that matched no
   * route. Default: none.
   */
  excludeRoutes?: ReadonlyArray<string | RegExp>
  /**
   * Metrics to switch off (false), or opt-in metrics of the catalogue to switch on (true): the HTTP metrics, those of
   * the runtime, the lines of `fastify.log`, and the metrics about this package's own work.
   */
  metrics?: Partial<Record<HttpMetricName | RuntimeMetricName | OwnMetricName, boolean>>
  /**
   * Whether the registry gets the metrics of the runtime: prom-client's default metrics of the process and of Node, the
   * time of the event loop, and the build. `metrics` switches single ones off or on. Default: true.
   */
  runtime?: boolean
  /** The version and the commit of the service, for app_build_info. Default: of package.json and of the environment. */
  build?: Build
  /**
   * What else to observe for as long as the application is open: functions that get the registry, the prefix and so on,
   * and give back the undo that an adapter gave: `(scope) => instrumentPool(pool, scope)`. Each is called when the
   * plugin is registered; one in `{ onReady }` is called when all plugins are loaded. Default: none.
   */
  observe?: ReadonlyArray<Observer | ObserverAtReady>
  /**
   * The most label sets that a metric holds; further label sets go to one series labelled `__overflow__`. Default:
   * 10,000.
   */
  maxSeries?: number
  /**
   * Whether the HTTP histograms are native as well, for scrapers that ask in protobuf: true is a growth factor of 1.1,
   * a number is the factor itself. `classicBuckets: false` leaves their classic buckets out. Default: false.
   */
  nativeHistograms?: Scope['nativeHistograms']
  /**
   * The source of the exemplars of the HTTP histograms: true is the OpenTelemetry span that is active when a request
   * comes in, if the trace is sampled; a function of the request gives the labels itself. Default: true.
   */
  exemplars?: boolean | ExemplarSource<FastifyRequest>
  /**
   * Whether all processes of the service answer as one, whichever is scraped: true, or where they meet. Default: the
   * environment variable FASTIFY_PROMETHEUS_PROCESSES, or else false.
   */
  processes?: boolean | ProcessesOptions
}

/** Options, checked and complete. */
export interface Settings {
  /** The names of options that are not ours and that a loader added. */
  readonly left: readonly string[]
  readonly scope: Scope & { readonly registry: RegistryLike, readonly prefix: string }
  /** The registries on the page; the registry of the scope is the first. */
  readonly registries: readonly RegistryLike[]
  readonly http: HttpSettings
  /** Which metrics are switched off or on. */
  readonly metrics: NonNullable<MetricsPluginOptions['metrics']>
  readonly endpoint: EndpointSettings | undefined
  /** The live page; undefined if there is none. */
  readonly live: RouteSettings | undefined
  readonly exposition: ExpositionSettings
  /** Whether a metric of the runtime is on. */
  readonly runtime: (name: RuntimeMetricName) => boolean
  readonly build: Build
  readonly observe: ReadonlyArray<Observer | ObserverAtReady>
  readonly processes: ProcessesSettings | undefined
}

const OPTIONS = [...SCOPE_OPTIONS, 'endpoint', 'live', 'buckets', 'labels', 'route', 'excludeRoutes', 'metrics', 'runtime', 'build', 'observe', 'processes'] as const satisfies Array<keyof MetricsPluginOptions>
const TAKEN_LABELS = ['method', 'route', 'status_code', 'le']

/**
 * Checks the options and fills in the defaults; the caller's object is not changed. Options of Fastify's server and of
 * its register() are not ours, and are left out. If a loader registered the plugin, every other unknown option is left
 * out too.
 * @param isAutoloaded whether a loader registered the plugin; asked when the options do not show it
 * @throws MetricsError FP_ERR_INVALID_OPTION
 */
export function readOptions (given: unknown, isAutoloaded = () => false): Settings {
  const { values, unknown } = readGiven('metricsPlugin', '', given, [...OPTIONS, ...REGISTER_OPTIONS])
  const unknownOptions = unknown.filter((name) => !isOfServer(name))
  const isLoaded = () => isRoutePrefix(values.prefix) || unknown.length > unknownOptions.length || isAutoloaded()
  if (unknownOptions.length > 0 && !isLoaded()) refuseUnknown('metricsPlugin', '', given, unknownOptions, `one of ${OPTIONS.join(', ')}`, pluginSpellings)
  const { runtime = true, exemplars, endpoint: asked, logLevel, logSerializers } = values
  const options = isRoutePrefix(values.prefix) ? { ...values, prefix: undefined } : values
  const registries = readRegistries('metricsPlugin', values.registry)
  const { prefix = '', maxSeries, nativeHistograms } = readScope('metricsPlugin', { ...options, registry: registries[0] })
  check('runtime', typeof runtime === 'boolean', isRecord(runtime) ? "true or false; single metrics are switched in 'metrics'" : 'true or false', runtime)
  check('route', values.route === undefined || typeof values.route === 'function', 'a function of the request', values.route)
  const endpoint = readEndpointOption(asked, { logLevel, logSerializers })
  const metrics = readMetrics('metricsPlugin', values.metrics, [...HTTP_METRICS, ...RUNTIME_METRICS, ...OWN_METRICS])
  return {
    left: unknownOptions,
    scope: { registry: registries[0], prefix, maxSeries, nativeHistograms },
    registries,
    metrics,
    http: {
      metrics,
      labels: readLabels(values.labels),
      // What the function takes and gives cannot be checked here; each result is checked when it comes.
      route: values.route as HttpSettings['route'],
      excludeRoutes: readRoutes(values.excludeRoutes),
      // readScope has checked the option. What a function takes and gives cannot be checked here.
      exemplars: exemplars as HttpSettings['exemplars'],
      ...readBuckets(values.buckets)
    },
    endpoint: asked === false ? undefined : endpoint,
    live: readLive('metricsPlugin', values.live, endpoint),
    exposition: endpoint.exposition,
    runtime: (name) => metrics[name] ?? (runtime === true && name !== 'log_messages_total'),
    build: readBuild('metricsPlugin', values.build),
    observe: readObserve('metricsPlugin', values.observe),
    processes: readProcesses('metricsPlugin', values.processes)
  }
}

function readEndpointOption (endpoint: unknown, ofRegister: Readonly<Record<string, unknown>>): EndpointSettings {
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
