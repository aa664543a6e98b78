import type { Scope } from './catalogue.js'
import { Clearing } from './clearing.js'
import { listen, type MetricsServer } from './endpoint/server.js'
import { readEndpoint, type PageOptions, type PortOptions } from './endpoint/settings.js'
import { MetricsError, invalidOption, show } from './errors.js'
import { isRecord, readGiven } from './given.js'
import { defaultRegistry } from './metrics/index.js'
import { readScope } from './scope.js'
import { observedExposition } from './scrapes.js'
import { Trouble } from './trouble.js'

/** Options of metricsServer: a port, where the metrics are, and any Fastify route option for the page. */
export interface MetricsServerOptions extends PortOptions, PageOptions, Pick<Scope, 'registry' | 'prefix' | 'maxSeries'> {}

const SCOPE_OPTIONS = ['registry', 'prefix', 'maxSeries'] as const satisfies ReadonlyArray<keyof MetricsServerOptions>

/**
 * Serves metrics on a port of their own, apart from any application: /metrics, and /-/healthy.
 * @throws MetricsError FP_ERR_INVALID_OPTION, FP_ERR_PORT_TAKEN when no port of the range is free
 */
export async function metricsServer (options: MetricsServerOptions): Promise<MetricsServer> {
  if (!isRecord(options)) throw new MetricsError('FP_ERR_INVALID_OPTION', `metricsServer options must be an object with a 'port', got ${show(options)}`)
  const scope = readScope('metricsServer', readGiven('metricsServer', '', options, SCOPE_OPTIONS).values)
  const { port, exposition, ...route } = readEndpoint('metricsServer', '', options, SCOPE_OPTIONS)
  if (port === undefined) throw invalidOption('metricsServer', 'port', 'given: a port, or { from, to } for the first free one of them', port)
  const clearing = Clearing.of(scope.registry ?? defaultRegistry)
  const server = await listen(port, route, clearing.mended(observedExposition(scope, exposition, new Trouble(scope))))
  const end = clearing.begin(scope.prefix ?? '')
  return {
    ...server,
    async close () {
      end()
      await server.close()
    }
  }
}
