import type { FastifyRequest } from 'fastify'
import { OWN_METRICS, type OwnMetricName, type Scope } from './catalogue.js'
import { readEndpoint, type EndpointOptions, type EndpointSettings } from './endpoint/settings.js'
import { invalidOption } from './errors.js'
import type { ExpositionSettings } from './exposition/index.js'
import type { ExemplarSource } from './exemplars.js'
import { HTTP_METRICS, type HttpMetricName } from './http/families.js'
import type { HttpSettings } from './http/instrument.js'
import type { LabelResolver } from './http/user-labels.js'
import { isLabelName, type RegistryLike } from './metrics/index.js'
import { SCOPE_OPTIONS, isRecord, readMetrics, readRegistries, readScope } from './scope.js'

/** Options of metricsPlugin; none is needed. */
export interface MetricsPluginOptions {
  /**
   * Where the metrics are: a registry of prom-client 15, @prometheus-io/client or @platformatic/prom-client; or several, which are all on the page, the first with the
   * metrics of this package. Default: prom-client's global one.
   */
  registry?: RegistryLike | readonly RegistryLike[]
  /** Goes before the name of every metric of this package, the runtime metrics included. Default: ''. */
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
   * A label takes 100 values; what comes after is `_OTHER`. One that throws is `_ERROR`, and counted. Default: none.
   */
  labels?: Record<string, LabelResolver>
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
   * `@opentelemetry/api` is installed and the trace is sampled; a function of the request gives their labels itself. Default: true.
   */
  exemplars?: boolean | ExemplarSource<FastifyRequest>
}

/** Options, checked and complete. */
export interface Settings {
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

const OPTIONS = [...SCOPE_OPTIONS, 'endpoint', 'buckets', 'labels', 'excludeRoutes', 'metrics', 'runtime'] as const satisfies Array<keyof MetricsPluginOptions>
/** What Fastify's register() takes beside a plugin's own options. */
const OF_REGISTER = ['logLevel', 'logSerializers']
const TAKEN_LABELS = ['method', 'route', 'status_code', 'le']

/**
 * Checks the options and fills in the defaults; what the caller passed stays as it is.
 * @throws MetricsError FP_ERR_INVALID_OPTION
 */
export function readOptions (options: MetricsPluginOptions): Settings {
  for (const name of Object.keys(options)) {
    if (!(OPTIONS as readonly string[]).includes(name) && !OF_REGISTER.includes(name)) {
      throw invalidOption('metricsPlugin', name, `one of ${OPTIONS.join(', ')}`, (options as Record<string, unknown>)[name])
    }
  }
  const { runtime = true, excludeRoutes = [], labels = {}, buckets = {}, exemplars } = options
  const registries = readRegistries('metricsPlugin', options.registry)
  const { prefix = '', maxSeries, nativeHistograms } = readScope('metricsPlugin', { ...options, registry: registries[0] })
  check('runtime', typeof runtime === 'boolean', 'true or false', runtime)
  check('excludeRoutes', Array.isArray(excludeRoutes) && excludeRoutes.every((route) => typeof route === 'string' || route instanceof RegExp), 'an array of strings and regular expressions', excludeRoutes)
  checkLabels(labels)
  const metrics = readMetrics('metricsPlugin', options.metrics, [...HTTP_METRICS, ...OWN_METRICS])
  checkBuckets(buckets)
  const endpoint = endpointOf(options.endpoint === false ? {} : options.endpoint ?? '/metrics')
  return {
    scope: { registry: registries[0], prefix, maxSeries, nativeHistograms },
    registries,
    metrics,
    http: { metrics, labels, excludeRoutes, exemplars, durationBuckets: buckets.duration, sizeBuckets: buckets.size },
    endpoint: options.endpoint === false ? undefined : endpoint,
    exposition: endpoint.exposition,
    runtime
  }
}

function endpointOf (endpoint: string | EndpointOptions): EndpointSettings {
  if (typeof endpoint !== 'string') {
    check('endpoint', isRecord(endpoint), "a path, an object with Fastify's route options, or false", endpoint)
    return readEndpoint('metricsPlugin', 'endpoint.', endpoint)
  }
  check('endpoint', endpoint.startsWith('/'), "a path that starts with '/'", endpoint)
  return readEndpoint('metricsPlugin', 'endpoint.', { path: endpoint })
}

function checkLabels (labels: unknown): void {
  check('labels', isRecord(labels), 'an object of functions by label name', labels)
  for (const [name, resolve] of Object.entries(labels as object)) {
    check(`labels.${name}`, isLabelName(name) && !name.startsWith('__'), 'named with letters, digits and _, not starting with a digit or __', name)
    check(`labels.${name}`, !TAKEN_LABELS.includes(name), `named other than ${TAKEN_LABELS.join(', ')}`, name)
    check(`labels.${name}`, typeof resolve === 'function', 'a function of the request and the reply', resolve)
  }
}

function checkBuckets (buckets: unknown): void {
  check('buckets', isRecord(buckets), 'an object with duration and size', buckets)
  for (const [name, bounds] of Object.entries(buckets as object)) {
    if (name !== 'duration' && name !== 'size') throw invalidOption('metricsPlugin', `buckets.${name}`, 'duration or size', bounds)
    const grows = Array.isArray(bounds) && bounds.length > 0 && bounds.every((bound, i) => Number.isFinite(bound) && (i === 0 || bound > bounds[i - 1]))
    check(`buckets.${name}`, bounds === undefined || grows, 'an array of finite numbers, each greater than the one before', bounds)
  }
}

function check (option: string, right: boolean, expected: string, got: unknown): void {
  if (!right) throw invalidOption('metricsPlugin', option, expected, got)
}
