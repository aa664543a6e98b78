import { Counter, DEFAULT_MAX_SERIES, Gauge, Histogram, ObservableCounter, ObservableGauge, defaultRegistry, familyIn, type ExemplarSource, type FamilyConfig, type NativeConfig, type RegistryLike } from './metrics/index.js'

/** One metric this package exports. */
export interface Definition {
  /** An observable metric is computed when it is scraped. */
  readonly type: 'counter' | 'observable counter' | 'gauge' | 'observable gauge' | 'histogram'
  /** Label names; every value is from a bounded set. */
  readonly labels: readonly string[]
  readonly help: string
  /** Upper bounds, in the unit the name ends with. */
  readonly buckets?: readonly number[]
  /** Switched off unless the user asks for the metric. */
  readonly optIn?: true
  /**
   * The number of label sets that the metric may always have, even if the scope's maxSeries is lower. The things that
   * it watches bound its labels.
   */
  readonly leastSeries?: number
  /**
   * How the values of a gauge in several processes become one. Default: 'sum'.
   */
  readonly aggregator?: 'max'
}

/** No bound: for the metrics that have one label set for each metric. */
const UNBOUNDED = Number.MAX_SAFE_INTEGER

const HTTP_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]
const CACHE_SECONDS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1]
const DB_SECONDS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10]
/** Powers of four from 64 bytes to 64 MiB. */
const BYTES = [64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864]
const QUERIES = [0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]

/** Every metric this package exports, by its name. README's table is made from it. */
export const catalogue = {
  http_requests_received_total: { type: 'counter', labels: ['method', 'route', 'scheme'], help: 'HTTP requests seen by the server, before any handler.' },
  http_requests_in_flight: { type: 'observable gauge', labels: ['method', 'route'], help: 'HTTP requests received and not yet finished or aborted.' },
  http_request_oldest_seconds: { type: 'observable gauge', labels: ['method', 'route'], aggregator: 'max', help: 'Age of the oldest HTTP request in flight, in seconds; 0 where none is.' },
  http_request_duration_seconds: { type: 'histogram', labels: ['method', 'route', 'status_code'], buckets: HTTP_SECONDS, help: 'Whole life of an HTTP request, from before the first hook to the last byte, in seconds.' },
  http_handler_duration_seconds: { type: 'histogram', labels: ['method', 'route'], buckets: HTTP_SECONDS, help: 'Time in the handler of the route alone, in seconds.' },
  http_request_size_bytes: { type: 'histogram', labels: ['method', 'route'], buckets: BYTES, help: 'Size of HTTP request bodies, in bytes.' },
  http_response_size_bytes: { type: 'histogram', labels: ['method', 'route'], buckets: BYTES, help: 'Size of HTTP response bodies, in bytes; streams of unknown length are left out.' },
  http_responses_streamed_total: { type: 'counter', labels: ['method', 'route'], help: 'HTTP responses whose body was streamed without a length known before.' },
  http_requests_aborted_total: { type: 'counter', labels: ['method', 'route'], help: 'HTTP requests whose client left before the response was finished; their duration has status_code 499.' },
  http_responses_incomplete_total: { type: 'counter', labels: ['method', 'route'], help: 'HTTP responses that the server broke off or never began: a stream that failed, a connection it closed; their duration has the status that was sent, or 444.' },
  http_exceptions_total: { type: 'counter', labels: ['type', 'method', 'route'], help: 'Errors thrown in hooks and handlers.' },
  http_streams_open: { type: 'observable gauge', labels: ['method', 'route'], help: 'Long-lived HTTP responses that are open: upgrades, and those of routes that say so.' },
  http_stream_oldest_seconds: { type: 'observable gauge', labels: ['method', 'route'], aggregator: 'max', help: 'Age of the oldest long-lived HTTP response that is open, in seconds; 0 where none is.' },
  http_client_errors_total: { type: 'counter', labels: ['code'], help: 'Requests that the HTTP parser refused before there was a request, by the code of the error: HPE_INVALID_METHOD (400), HPE_HEADER_OVERFLOW (431), ERR_HTTP_REQUEST_TIMEOUT (408).' },
  http_requests_ajax_total: { type: 'counter', labels: ['method', 'route'], optIn: true, help: 'HTTP requests that say X-Requested-With: XMLHttpRequest.' },
  http_responses_charset_total: { type: 'counter', labels: ['charset'], optIn: true, help: 'HTTP responses by the charset of their content type.' },
  http_responses_template_total: { type: 'counter', labels: ['template'], optIn: true, help: 'HTTP responses rendered by reply.view, by template.' },
  http_request_queue_duration_seconds: { type: 'histogram', labels: ['method', 'route'], buckets: HTTP_SECONDS, optIn: true, help: 'Time between the proxy that set X-Request-Start or X-Queue-Start and this server, in seconds.' },
  http_request_db_queries: { type: 'histogram', labels: ['method', 'route'], buckets: QUERIES, optIn: true, help: 'Database queries made while serving one HTTP request.' },
  http_request_db_duration_seconds: { type: 'histogram', labels: ['method', 'route'], buckets: HTTP_SECONDS, optIn: true, help: 'Time in database queries while serving one HTTP request, in seconds; concurrent queries add up.' },
  http_request_outgoing_requests: { type: 'histogram', labels: ['method', 'route'], buckets: QUERIES, optIn: true, help: 'Outgoing HTTP requests made while serving one HTTP request.' },
  http_request_outgoing_duration_seconds: { type: 'histogram', labels: ['method', 'route'], buckets: HTTP_SECONDS, optIn: true, help: 'Time in outgoing HTTP requests while serving one HTTP request, in seconds; concurrent requests add up.' },

  db_connections_opened_total: { type: 'counter', labels: ['alias', 'vendor'], help: 'Database connections opened.' },
  db_connections_closed_total: { type: 'counter', labels: ['alias', 'vendor'], help: 'Database connections closed.' },
  db_connection_errors_total: { type: 'counter', labels: ['alias', 'vendor', 'type'], help: 'Database connections that could not be made or were lost while idle.' },
  db_connection_create_duration_seconds: { type: 'histogram', labels: ['alias', 'vendor'], buckets: DB_SECONDS, help: 'Time to open a database connection, in seconds.' },
  db_connection_use_duration_seconds: { type: 'histogram', labels: ['alias', 'vendor'], buckets: DB_SECONDS, help: 'Time a connection was out of its pool, in seconds.' },
  db_connection_oldest_use_seconds: { type: 'observable gauge', labels: ['alias', 'vendor'], aggregator: 'max', help: 'Time that the connection which has been out of the pool for longest has been out, in seconds; 0 where all are in it.' },
  db_pool_connections: { type: 'observable gauge', labels: ['alias', 'vendor', 'state'], help: 'Connections of the pool by state: idle or used.' },
  db_pool_connections_max: { type: 'observable gauge', labels: ['alias', 'vendor'], help: 'Connections the pool may have.' },
  db_pool_pending_requests: { type: 'observable gauge', labels: ['alias', 'vendor'], help: 'Requests that wait for a connection of the pool.' },
  db_pool_acquire_duration_seconds: { type: 'histogram', labels: ['alias', 'vendor'], buckets: DB_SECONDS, help: 'Time to get a connection from the pool, in seconds; of those that timed out, the time they waited.' },
  db_pool_acquire_timeouts_total: { type: 'counter', labels: ['alias', 'vendor'], help: 'Requests for a connection that gave up waiting because the pool was exhausted.' },
  db_pool_oldest_pending_seconds: { type: 'observable gauge', labels: ['alias', 'vendor'], aggregator: 'max', help: 'Age of the oldest request that has no connection of the pool yet, in seconds, those for which one is being opened too; 0 where none waits.' },
  db_queries_in_flight: { type: 'observable gauge', labels: ['alias', 'vendor'], help: 'Database queries under way.' },
  db_query_oldest_seconds: { type: 'observable gauge', labels: ['alias', 'vendor'], aggregator: 'max', help: 'Age of the oldest database query under way, in seconds; 0 where none is.' },
  db_query_duration_seconds: { type: 'histogram', labels: ['alias', 'vendor', 'operation'], buckets: DB_SECONDS, help: 'Duration of database queries, failed ones included, in seconds.' },
  db_query_errors_total: { type: 'counter', labels: ['alias', 'vendor', 'type'], help: 'Database queries that failed, by SQLSTATE condition, code or class of the error.' },
  db_rows_total: { type: 'counter', labels: ['alias', 'vendor', 'operation'], help: 'Rows returned or changed by database queries.' },
  db_migrations_applied: { type: 'gauge', labels: ['alias'], aggregator: 'max', help: 'Migrations that the database has.' },
  db_migrations_pending: { type: 'gauge', labels: ['alias'], aggregator: 'max', help: 'Migrations that the code has and the database has not.' },

  cache_gets_total: { type: 'counter', labels: ['backend'], help: 'Keys read from the cache.' },
  cache_hits_total: { type: 'counter', labels: ['backend'], help: 'Keys read that the cache had.' },
  cache_misses_total: { type: 'counter', labels: ['backend'], help: 'Keys read that the cache did not have.' },
  cache_errors_total: { type: 'counter', labels: ['backend', 'operation', 'type'], help: 'Cache operations that failed, by code or class of the error.' },
  cache_operation_duration_seconds: { type: 'histogram', labels: ['backend', 'operation'], buckets: CACHE_SECONDS, help: 'Duration of cache operations, failed ones included, in seconds.' },

  http_client_request_duration_seconds: { type: 'histogram', labels: ['method', 'host', 'status_code'], buckets: HTTP_SECONDS, help: 'Outgoing HTTP requests that were answered, from the request to the last byte of the answer, waiting for a connection included, in seconds.' },
  http_client_request_errors_total: { type: 'counter', labels: ['method', 'host', 'type'], help: 'Outgoing HTTP requests that got no whole answer, by code, family of codes or class of the error; Error for one of the application\'s own.' },
  http_client_requests_in_flight: { type: 'observable gauge', labels: ['host'], help: 'Outgoing HTTP requests under way.' },
  http_client_request_oldest_seconds: { type: 'observable gauge', labels: ['host'], aggregator: 'max', help: 'Age of the oldest outgoing HTTP request under way, in seconds; 0 where none is.' },

  model_inserts_total: { type: 'counter', labels: ['model'], help: 'Models inserted.' },
  model_upserts_total: { type: 'counter', labels: ['model'], help: 'Models written by an upsert. The database does not say which of them it inserted and which it updated.' },
  model_updates_total: { type: 'counter', labels: ['model'], help: 'Models updated.' },
  model_deletes_total: { type: 'counter', labels: ['model'], help: 'Models deleted.' },
  model_soft_deletes_total: { type: 'counter', labels: ['model'], help: 'Models deleted softly: kept, and marked as deleted.' },
  model_restores_total: { type: 'counter', labels: ['model'], help: 'Softly deleted models restored.' },

  nodejs_eventloop_time_seconds_total: { type: 'observable counter', labels: ['state'], help: 'Seconds of the event loop by state: active, when it ran code; idle, when it waited for events. The rate of active is its utilisation.' },
  app_build_info: { type: 'observable gauge', labels: ['version', 'commit'], aggregator: 'max', help: 'The version and the commit of the service that runs, as labels; always 1.' },
  log_messages_total: { type: 'counter', labels: ['level'], optIn: true, help: 'Lines that the logger has written, by level.' },

  metrics_exposition_duration_seconds: { type: 'histogram', labels: [], buckets: DB_SECONDS, help: 'Time to serve one scrape, from its request to its last byte, in seconds.' },
  metrics_exposition_size_bytes: { type: 'histogram', labels: [], buckets: BYTES, help: 'Size of the body of one scrape as it was sent, in bytes.' },
  metrics_expositions_total: { type: 'counter', labels: ['format', 'outcome'], leastSeries: DEFAULT_MAX_SERIES, help: 'Scrapes by format and outcome: served, aborted, timeout, failed or refused.' },
  metrics_series: { type: 'observable gauge', labels: ['metric'], aggregator: 'max', leastSeries: UNBOUNDED, help: 'Label sets that a metric has, from 100 or a tenth of its maxSeries on.' },
  metrics_series_dropped_total: { type: 'observable counter', labels: ['metric'], leastSeries: UNBOUNDED, help: 'Writes that went to the __overflow__ series because the metric has its maxSeries label sets.' },
  metrics_processes: { type: 'gauge', labels: ['state'], leastSeries: DEFAULT_MAX_SERIES, help: 'With the option processes: processes by state. live: it answers; silent: it does not, and is here with what it wrote last; ended: its counts are kept.' },
  metrics_contribution_oldest_seconds: { type: 'gauge', labels: [], help: 'With the option processes: age of the oldest numbers on the page, of processes that have not ended, in seconds.' },
  metrics_instrumentation_errors_total: { type: 'counter', labels: ['source'], leastSeries: DEFAULT_MAX_SERIES, help: 'Errors of instrumentation, caught before they reached the application.' }
} as const satisfies Record<string, Definition>

/** The name of a metric this package exports, without a prefix. */
export type MetricName = keyof typeof catalogue

/** The metrics about this package's own work. */
export type OwnMetricName = Extract<MetricName, `metrics_${string}`>

export const OWN_METRICS = Object.keys(catalogue).filter((name): name is OwnMetricName => name.startsWith('metrics_'))

/** The metrics about this package's own work that are switched off (false) or on (true). */
export type OwnChoice = Readonly<Partial<Record<OwnMetricName, boolean>>>

/** The label names of a metric. */
export type LabelsOf<N extends MetricName> = (typeof catalogue)[N]['labels'][number]

/** Where metrics go and how they are named: the options that every part of this package takes. */
export interface Scope {
  /** Default: prom-client's global registry. */
  registry?: RegistryLike | undefined
  /** Stands before the name of every metric. Default: ''. */
  prefix?: string | undefined
  /** The most label sets that a metric holds. Default: 10,000. */
  maxSeries?: number | undefined
  /**
   * Whether histograms are native as well, for scrapers that ask in protobuf: true is a growth factor of 1.1, a number
   * is the factor itself. `classicBuckets: false` leaves their classic buckets out. Default: false.
   */
  nativeHistograms?: boolean | number | NativeHistograms | undefined
  /**
   * The source of exemplars: true is the active span of an OpenTelemetry SDK, if the trace is sampled; a function gives
   * the labels itself. Default: true.
   */
  exemplars?: boolean | ExemplarSource | undefined
}

/** The settings of native histograms. */
export interface NativeHistograms {
  /** How much wider a bucket may be than the one before: a finite number greater than 1. Default: 1.1. */
  growthFactor?: number | undefined
  /** Whether the histograms have classic buckets as well. Default: true. */
  classicBuckets?: boolean | undefined
  /**
   * Seconds after which a series whose buckets had to become wider starts anew, with the width it began with; Infinity is never. Default: 3600.
   */
  resetAfter?: number | undefined
}

/** The type of the family of a catalogue entry. */
export type FamilyOf<N extends MetricName> = {
  'counter': Counter<LabelsOf<N>>
  'observable counter': ObservableCounter<LabelsOf<N>>
  'gauge': Gauge<LabelsOf<N>>
  'observable gauge': ObservableGauge<LabelsOf<N>>
  'histogram': Histogram<LabelsOf<N>>
}[(typeof catalogue)[N]['type']]

/** Settings that replace those of the catalogue. */
export interface Override {
  buckets?: readonly number[] | undefined
  /** Labels after the catalogue's own. */
  extraLabels?: readonly string[] | undefined
}

const TYPES = { 'counter': Counter, 'observable counter': ObservableCounter, 'gauge': Gauge, 'observable gauge': ObservableGauge, 'histogram': Histogram }

/**
 * Finds a metric of the catalogue in a registry, or makes it there.
 * @throws MetricsError FP_ERR_METRIC_CONFLICT when the registry holds something else under that name
 */
export function metric<N extends MetricName> (name: N, scope: Scope, override: Override = {}): FamilyOf<N> {
  const definition: Definition = catalogue[name]
  const native = definition.type === 'histogram' ? nativeOf(scope.nativeHistograms) : undefined
  const config: FamilyConfig & { buckets?: readonly number[] | undefined, native?: NativeConfig | undefined } = {
    name: (scope.prefix ?? '') + name,
    help: definition.help,
    labelNames: [...definition.labels, ...override.extraLabels ?? []],
    maxSeries: definition.leastSeries === undefined ? scope.maxSeries : Math.max(definition.leastSeries, scope.maxSeries ?? 0),
    buckets: native?.classicBuckets === false ? [] : override.buckets ?? definition.buckets,
    native,
    aggregator: definition.aggregator
  }
  // The catalogue pairs each name with its type, but the compiler cannot follow that through the lookup.
  const family = familyIn(scope.registry ?? defaultRegistry, config, TYPES[definition.type] as unknown as new (config: FamilyConfig) => FamilyOf<N>)
  family.together = true
  return family
}

function nativeOf (option: Scope['nativeHistograms']): NativeHistograms | undefined {
  if (typeof option === 'number') return { growthFactor: option }
  return option === true ? {} : option === false ? undefined : option
}
