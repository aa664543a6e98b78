import { register } from 'prom-client'

/**
 * A registry, recognized by its shape: the registries of prom-client 15, @prometheus-io/client 0.16 and
 * @platformatic/prom-client 1 all have it. `registerMetric` takes `never`, because each library declares its own metric
 * classes there. Our metrics have all that these libraries call on a metric.
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

/** prom-client's global registry: a metric goes there unless it is given another registry. */
export const defaultRegistry: RegistryLike = register
