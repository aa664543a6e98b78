import { register } from 'prom-client'

/**
 * A registry, known by its shape: prom-client 15's, @prometheus-io/client 0.16's and @platformatic/prom-client 1's all have it.
 * `registerMetric` takes `never`, for each library wants its own metric classes there; what they call on a metric, ours have.
 */
export interface RegistryLike {
  readonly contentType: string
  registerMetric (metric: never): void
  getSingleMetric (name: string): unknown
  removeSingleMetric (name: string): void
  getMetricsAsArray (): unknown[]
  getMetricsAsJSON (): Promise<unknown[]>
  getSingleMetricAsString (name: string): Promise<string>
  metrics (): Promise<string>
}

const METHODS = ['registerMetric', 'getSingleMetric', 'removeSingleMetric', 'getMetricsAsArray', 'getMetricsAsJSON', 'getSingleMetricAsString', 'metrics'] as const

/** Whether `value` can serve as a registry. */
export function isRegistry (value: unknown): value is RegistryLike {
  if (typeof value !== 'object' || value === null) return false
  const candidate = value as Partial<Record<string, unknown>>
  return typeof candidate.contentType === 'string' && METHODS.every((method) => typeof candidate[method] === 'function')
}

/** prom-client's global registry, where everything goes unless told otherwise. */
export const defaultRegistry: RegistryLike = register
