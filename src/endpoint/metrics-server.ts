import { OWN_METRICS, type OwnMetricName, type Scope } from '../catalogue.js'
import { readMetrics, readRegistries, readScope, Trouble } from '../instrumentation/index.js'
import type { RegistryLike } from '../metrics/index.js'
import { ClearingOfAll } from '../tenancy/clearing.js'
import { readProcesses, type ProcessesOptions } from '../processes/index.js'
import { MetricsError, invalidOption, show } from '../validation/errors.js'
import { isRecord, readGiven } from '../validation/given.js'
import { Live } from '../live/index.js'
import { serveLive } from './live-route.js'
import { readLive, type LiveOptions } from './live-settings.js'
import { serveMetrics } from './route.js'
import { observedExposition } from './scrapes.js'
import { listen, type MetricsServer } from './server.js'
import { readEndpoint, type PageOptions, type PortOptions, type RouteSettings, type SocketOptions } from './settings.js'

/**
 * Options of metricsServer: a port or a socket, the registry of the metrics, and any Fastify route option for the page.
 */
export interface MetricsServerOptions extends Partial<PortOptions>, SocketOptions, PageOptions, Pick<Scope, 'prefix' | 'maxSeries'> {
  /**
   * The registry of the metrics, or several registries. The page has the metrics of all of them, and the first registry
   * also gets the metrics about the page. Default: prom-client's global registry.
   */
  registry?: RegistryLike | readonly RegistryLike[] | undefined
  /** A page to look at, at '/metrics/live': as the option of metricsPlugin. Default: false. */
  live?: boolean | LiveOptions
  /** Metrics about this package's own work to switch off: `{ metrics_series: false }`. */
  metrics?: Partial<Record<OwnMetricName, boolean>> | undefined
  /**
   * Whether all processes of the service answer as one, whichever is scraped: true, or where they meet. Default: the
   * environment variable FASTIFY_PROMETHEUS_PROCESSES, or else false.
   */
  processes?: boolean | ProcessesOptions | undefined
}

const OPTIONS = ['live', 'registry', 'prefix', 'maxSeries', 'metrics', 'processes'] as const satisfies ReadonlyArray<keyof MetricsServerOptions>

/**
 * Serves metrics on a port or a socket of their own, without an application: /metrics, and /-/healthy.
 * @throws MetricsError FP_ERR_INVALID_OPTION, FP_ERR_PORT_TAKEN when no port of the range, or no socket, is free
 */
export async function metricsServer (options: MetricsServerOptions): Promise<MetricsServer> {
  if (!isRecord(options)) throw new MetricsError('FP_ERR_INVALID_OPTION', `metricsServer options must be an object with a 'port' or a 'socket', got ${show(options)}`)
  const { values } = readGiven('metricsServer', '', options, OPTIONS)
  const registries = readRegistries('metricsServer', values.registry)
  const scope = readScope('metricsServer', { registry: registries[0], prefix: values.prefix, maxSeries: values.maxSeries })
  const on = readMetrics('metricsServer', values.metrics, OWN_METRICS)
  const { own, exposition, ...route } = readEndpoint('metricsServer', '', options, OPTIONS)
  if (own === undefined) throw invalidOption('metricsServer', 'port', "given: a port, or { from, to } for the first free one of them; or give a 'socket'", own)
  const trouble = new Trouble(scope, undefined, on.metrics_instrumentation_errors_total !== false)
  const clearing = new ClearingOfAll(registries)
  const observed = observedExposition(scope, registries, exposition, on, trouble, readProcesses('metricsServer', values.processes))
  const pages = clearing.mended(observed.exposition)
  const looked = readLive('metricsServer', values.live, route)
  const live = looked && new Live(pages, scope.prefix ?? '', observed.processes !== undefined)
  const server = await listen(own, route.path, (server) => {
    serveMetrics(server, { ...route, counted: true }, pages)
    if (live !== undefined) serveLive(server, { ...looked as RouteSettings, counted: true }, live)
  })
  await observed.processes?.begin()
  live?.begin()
  const end = clearing.begin(scope.prefix ?? '')
  return {
    ...server,
    async close () {
      end()
      live?.end()
      await server.close()
      await observed.processes?.retire()
    }
  }
}
