import { OWN_METRICS, type OwnMetricName, type Scope } from '../catalogue.js'
import { readMetrics, readRegistries, readScope, Trouble } from '../instrumentation/index.js'
import type { RegistryLike } from '../metrics/index.js'
import { readProcesses, type ProcessesOptions } from '../processes/index.js'
import { readKnown } from '../validation/given.js'
import { observedExposition } from './scrapes.js'

/** Options of contributeMetrics; each is optional. */
export interface ContributeOptions extends Pick<Scope, 'prefix' | 'maxSeries'> {
  /** The registry of the metrics, or several registries. Default: prom-client's global registry. */
  registry?: RegistryLike | readonly RegistryLike[] | undefined
  /** Metrics about this package's own work to switch off: `{ metrics_series: false }`. */
  metrics?: Partial<Record<OwnMetricName, boolean>> | undefined
  /** Where the processes meet. Default: the environment variable FASTIFY_PROMETHEUS_PROCESSES, or else true. */
  processes?: boolean | ProcessesOptions | undefined
}

const OPTIONS = ['registry', 'prefix', 'maxSeries', 'metrics', 'processes'] as const satisfies ReadonlyArray<keyof ContributeOptions>
/** Nobody asks for a page here. */
const NO_PAGE = { maxScrapes: 0, created: false }

/**
 * Puts the metrics of a process that serves none itself, such as the worker of a queue, on the pages of the others.
 * @returns `close`, which writes what there is for the last time
 * @throws MetricsError FP_ERR_INVALID_OPTION
 */
export async function contributeMetrics (options: ContributeOptions = {}): Promise<{ close: () => Promise<void> }> {
  const values = readKnown('contributeMetrics', options, OPTIONS)
  const registries = readRegistries('contributeMetrics', values['registry'])
  const scope = readScope('contributeMetrics', { registry: registries[0], prefix: values['prefix'], maxSeries: values['maxSeries'] })
  const on = readMetrics('contributeMetrics', values['metrics'], OWN_METRICS)
  const trouble = new Trouble(scope, undefined, on.metrics_instrumentation_errors_total !== false)
  const together = readProcesses('contributeMetrics', values['processes'], true)
  const { processes } = observedExposition(scope, registries, NO_PAGE, on, trouble, together)
  await processes?.begin()
  return { close: async () => { await processes?.end() } }
}
