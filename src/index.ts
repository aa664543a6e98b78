export { metricsPlugin as default, metricsPlugin, type FastifyMetrics } from './plugin.js'
export type { EndpointOptions, MetricsPluginOptions } from './options.js'
export type { HttpMetricName } from './http/families.js'
export type { RouteMetricsConfig } from './http/routes.js'
export type { LabelResolver } from './http/user-labels.js'
export { catalogue, type Definition, type MetricName } from './catalogue.js'
export { MetricsError, type ErrorCode } from './errors.js'
export {
  Counter, Gauge, Histogram, type CounterChild, type GaugeChild, type HistogramChild, type ExemplarWrite, type FamilyConfig,
  type HistogramConfig, type Labels, type LabelValue, type RegistryLike
} from './metrics/index.js'
