import { OWN_METRICS, type OwnMetricName, type Scope } from './catalogue.js'
import { listen, type MetricsServer } from './endpoint/server.js'
import { readEndpoint, type PageOptions, type PortOptions } from './endpoint/settings.js'
import { invalidOption } from './errors.js'
import type { RegistryLike } from './metrics/index.js'
import { readMetrics, readRegistries, readScope } from './scope.js'
import { observedExposition } from './scrapes.js'
import { Trouble } from './trouble.js'

/** Options of metricsServer: a port, where the metrics are, and any Fastify route option for the page. */
export interface MetricsServerOptions extends PortOptions, PageOptions, Pick<Scope, 'prefix' | 'maxSeries'> {
  /** Where the metrics are; or several, which are all on the page, the first with the metrics about it. Default: prom-client's global one. */
  registry?: RegistryLike | readonly RegistryLike[] | undefined
  /** Metrics about this package's own work to switch off: `{ metrics_series: false }`. */
  metrics?: Partial<Record<OwnMetricName, boolean>> | undefined
}

/**
 * Serves metrics on a port of their own, apart from any application: /metrics, and /-/healthy.
 * @throws MetricsError FP_ERR_INVALID_OPTION, FP_ERR_PORT_TAKEN when no port of the range is free
 */
export async function metricsServer (options: MetricsServerOptions): Promise<MetricsServer> {
  const { registry, prefix, maxSeries, metrics, ...endpoint } = options
  const registries = readRegistries('metricsServer', registry)
  const scope = readScope('metricsServer', { registry: registries[0], prefix, maxSeries })
  const on = readMetrics('metricsServer', metrics, OWN_METRICS)
  const { port, exposition, ...route } = readEndpoint('metricsServer', '', endpoint)
  if (port === undefined) throw invalidOption('metricsServer', 'port', 'given: a port, or { from, to } for the first free one of them', port)
  const trouble = new Trouble(scope, undefined, on.metrics_instrumentation_errors_total !== false)
  return await listen(port, route, observedExposition(scope, registries, exposition, on, trouble))
}
