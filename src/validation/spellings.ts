/**
 * How to write here the options that other libraries name differently. By the other name, each entry has the rest of a
 * sentence that begins "must be left out;".
 */
type Spellings = ReadonlyMap<string, string>

function spellings (table: Readonly<Record<string, string>>): Spellings {
  return new Map(Object.entries(table).flatMap(([names, ours]) => names.split(' ').map((name) => [name, ours] as const)))
}

/** Options that say where metrics go. */
const SCOPE = {
  'register registers registries promRegistry promClient client': "write 'registry' here, with a registry",
  'metricPrefix metricsPrefix namespace': "write 'prefix' here",
  'clearRegisterOnInit': "write 'registry: new Registry()' here for metrics of this application alone"
}

/** Options of instrumentPool, instrumentPg and instrumentDataSource. */
export const databaseSpellings = spellings({
  ...SCOPE,
  'name poolName connectionName databaseName': "write 'alias' here",
  'durationBuckets histogramBuckets': "write 'buckets' here"
})

/** Options of instrumentCache. */
export const cacheSpellings = spellings({
  ...SCOPE,
  'name cacheName cache alias store label': "write 'backend' here",
  'durationBuckets histogramBuckets': "write 'buckets' here"
})

/** Options of instrumentOutgoing. */
export const outgoingSpellings = spellings({
  ...SCOPE,
  'host allowedHosts allowHosts origins hostnames domains': "write 'hosts' here, an array of hosts",
  'limit maxOrigins hostLimit': "write 'maxHosts' here",
  'ignoreRequestHook ignoreOutgoingRequestHook ignore exclude excludeHosts': "write 'hosts' here, with the hosts that shall be named; the others are _OTHER",
  'durationBuckets histogramBuckets': "write 'buckets' here"
})

/** Those that say where metrics go, with some more. */
export function scopeSpellings (more: Readonly<Record<string, string>>): Spellings {
  return spellings({ ...SCOPE, ...more })
}

const ROUTE_HOOKS = 'onRequest preParsing preValidation preHandler preSerialization onSend onResponse onTimeout onError onRequestAbort'

/**
 * Options of metricsPlugin, as named by fastify-metrics, express-prom-bundle, prom-client,
 * @opentelemetry/exporter-prometheus and their like.
 */
export const pluginSpellings = spellings({
  ...SCOPE,
  'metricsPath metricsRoute path url route endpointPath': "write 'endpoint' here",
  'port host': "write 'endpoint: { port, host }' here",
  'metricsApp': "write 'endpoint: { port }' here for a server of its own",
  'autoregister preventServerStart exposeMetrics': "write 'endpoint: false' here for no page",
  'authenticate auth': "write 'endpoint: { onRequest }' here, with a hook that authenticates",
  [`${ROUTE_HOOKS} config schema`]: "write it in 'endpoint: { ... }' here",
  'defaultMetrics enableDefaultMetrics collectDefaultMetrics collectDefault includeDefaultMetrics includeUp': "write 'runtime: true' or 'runtime: false' here",
  'pool pools database databases dataSource dataSources cache caches redis instrument': "write 'observe' here, with functions that call the adapters: (scope) => instrumentPool(pool, scope)",
  'version commit buildInfo appVersion': "write 'build: { version, commit }' here",
  'logs logLines logMetrics': "write 'metrics: { log_messages_total: true }' here",
  'gcDurationBuckets eventLoopMonitoringPrecision': "write 'runtime: false' here, and call collectDefaultMetrics of prom-client with it yourself",
  'routeMetrics enableRouteMetrics overrides': "write 'metrics', 'labels', 'buckets' and 'excludeRoutes' here",
  'customLabels getCustomLabels labelNames extraLabels additionalLabels transformLabels': "write 'labels' here, an object of functions by label name",
  'defaultLabels withResourceConstantLabels': 'write registry.setDefaultLabels(...) on the registry',
  'routeBlacklist blacklist blackList excludeUrls excludePaths excludedRoutes exclude ignore ignoreRoutes ignorePaths ignoreUrls skip bypass': "write 'excludeRoutes' here",
  'whitelist whiteList includeRoutes': "write 'excludeRoutes' here, with a pattern for all others, or 'config: { metrics: false }' in a route",
  'methodBlacklist ignoreMethods': "methods cannot be left out; write 'config: { metrics: false }' in a route",
  'durationBuckets requestDurationBuckets histogramBuckets histogram': "write 'buckets: { duration: [seconds] }' here",
  'requestLengthBuckets responseLengthBuckets requestSizeBuckets responseSizeBuckets': "write 'buckets: { size: [bytes] }' here",
  'percentiles summary maxAgeSeconds ageBuckets pruneAgedBuckets metricType': "there are histograms and no summaries; write 'buckets' or 'nativeHistograms' here",
  'includeMethod includePath includeStatusCode': 'method, route and status_code are there always',
  'registeredRoutesOnly': "write 'excludeRoutes: [\"__unmatched__\"]' here to leave out what no route matched",
  'invalidRouteGroup groupStatusCodes formatStatusCode': 'a request that no route matched is __unmatched__, and status codes are whole; queries can group them',
  'normalizePath urlValueParser urlPathReplacement getRouteLabel': "routes are templates; write 'config: { metrics: { route } }' in a route for another label",
  'httpDurationMetricName': "names are fixed; write 'prefix' here",
  'name pluginName decorator': 'the decorator is fastify.metrics always',
  'timestamps appendTimestamp': 'pages have no timestamps'
})

/** Options of an endpoint, whose names begin with `at`. */
export function endpointSpellings (at: string): Spellings {
  return spellings({
    'url uri route metricsPath endpoint': `write '${at}path' here`,
    'address hostname': `write '${at}host' here`,
    'method handler': 'the page answers GET and HEAD itself',
    'enabled enable': "write 'endpoint: false' for no page",
    'auth authenticate authorization': `write '${at}onRequest' here, with a hook that authenticates`,
    'rateLimit cors throttle swagger otel csrf': `write '${at}config' here and put it in there, where its plugin reads it`,
    'hide tags summary description security': `write '${at}schema' here and put it in there`,
    'maxRequests limit': `write '${at}maxScrapes' here`
  })
}
