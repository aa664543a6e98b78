export { metricsPlugin as default, metricsPlugin, type FastifyMetrics } from './plugin.js'
export { contributeMetrics, type ContributeOptions } from './endpoint/contribute.js'
export { metricsServer, type MetricsServerOptions } from './endpoint/metrics-server.js'
export type { LiveOptions } from './endpoint/live-settings.js'
export type { EndpointOptions, PageOptions, PortOptions, SocketOptions } from './endpoint/settings.js'
export type { MetricsServer } from './endpoint/server.js'
export type { MetricsPluginOptions } from './options.js'
export type { HttpMetricName } from './http/families.js'
export type { RouteMetricsConfig } from './http/routes.js'
export type { RouteNamer } from './http/route-label.js'
export type { LabelResolver } from './http/user-labels.js'
export type { LiveNumbers } from './live/index.js'
export type { ProcessesOptions } from './processes/index.js'
export { catalogue, type Definition, type MetricName, type NativeHistograms, type OwnMetricName } from './catalogue.js'
export { MetricsError, type ErrorCode } from './validation/errors.js'
export {
  Counter, Gauge, Histogram, type Aggregator, type CounterChild, type GaugeChild, type HistogramChild, type ExemplarSource, type ExemplarWrite, type FamilyConfig,
  type HistogramConfig, type Labels, type LabelValue, type MetricObject, type MetricValue, type NativeConfig, type RegistryLike
} from './metrics/index.js'
