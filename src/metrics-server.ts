import type { Scope } from './catalogue.js'
import { listen, type MetricsServer } from './endpoint/server.js'
import { readEndpoint, type PageOptions, type PortOptions } from './endpoint/settings.js'
import { invalidOption } from './errors.js'
import { readScope } from './scope.js'
import { observedExposition } from './scrapes.js'
import { Trouble } from './trouble.js'

/** Options of metricsServer: a port, where the metrics are, and any Fastify route option for the page. */
export interface MetricsServerOptions extends PortOptions, PageOptions, Pick<Scope, 'registry' | 'prefix' | 'maxSeries'> {}

/**
 * Serves metrics on a port of their own, apart from any application: /metrics, and /-/healthy.
 * @throws MetricsError FP_ERR_INVALID_OPTION, FP_ERR_PORT_TAKEN when no port of the range is free
 */
export async function metricsServer (options: MetricsServerOptions): Promise<MetricsServer> {
  const { registry, prefix, maxSeries, ...endpoint } = options
  const scope = readScope('metricsServer', { registry, prefix, maxSeries })
  const { port, exposition, ...route } = readEndpoint('metricsServer', '', endpoint)
  if (port === undefined) throw invalidOption('metricsServer', 'port', 'given: a port, or { from, to } for the first free one of them', port)
  return await listen(port, route, observedExposition(scope, exposition, new Trouble(scope)))
}
