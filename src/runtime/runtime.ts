import { catalogue, type Scope } from '../catalogue.js'
import type { Trouble } from '../instrumentation/index.js'
import { isFamily, type RegistryLike } from '../metrics/index.js'
import { showBuild, type Build } from './build.js'
import { DEFAULT_METRICS, type DefaultMetricName } from './collectors.js'
import { collectDefaults } from './defaults.js'
import { showEventLoop } from './event-loop.js'
import { countLines, isPino } from './logger.js'

const OWN = ['nodejs_eventloop_time_seconds_total', 'app_build_info', 'log_messages_total'] as const

/** The metrics of the runtime: prom-client's default metrics, and ours of the same kind. */
export type RuntimeMetricName = DefaultMetricName | (typeof OWN)[number]

export const RUNTIME_METRICS: readonly RuntimeMetricName[] = [...DEFAULT_METRICS, ...OWN]

/** What is shown of the runtime. */
export interface RuntimeSettings {
  readonly isOn: (name: RuntimeMetricName) => boolean
  readonly build: Build
  /** The logger of the application. */
  readonly log: { warn?: (message: string) => void }
}

/** The observation of the runtime by one application. */
export interface RuntimeObservation {
  /** The metrics of prom-client that were put into the registry. */
  readonly defaults: Awaited<ReturnType<typeof collectDefaults>>
  /** The application is closed. What is of the process stays in the registry, as prom-client's metrics do. */
  end (): void
}

/** Shows the metrics of the runtime that are on, and that no registry on the page has already. */
export async function observeRuntime (scope: Scope & { readonly registry: RegistryLike, readonly prefix: string }, registries: readonly RegistryLike[], { isOn, build, log }: RuntimeSettings, trouble: Trouble): Promise<RuntimeObservation> {
  const { registry, prefix } = scope
  const held = (name: string): Array<[RegistryLike, unknown]> => registries.map((each): [RegistryLike, unknown] => [each, each.getSingleMetric(prefix + name)]).filter(([, found]) => found !== undefined)
  const isOurs = (name: (typeof OWN)[number], found: unknown): boolean => isFamily(found) && found.help === catalogue[name].help
  // Ours may be there already, of another application with the same registry.
  const isFree = (name: (typeof OWN)[number]): boolean => isOn(name) && held(name).every(([each, found]) => each === registry && isOurs(name, found))
  const ends: Array<() => void> = []
  if (isFree('nodejs_eventloop_time_seconds_total')) showEventLoop(scope)
  if (isFree('app_build_info')) ends.push(showBuild(scope, build))
  if (isOn('log_messages_total')) {
    if (isPino(log)) ends.push(countLines(log, scope, trouble))
    else log.warn?.('fastify-prometheus cannot count the lines of a logger that is not of pino: log_messages_total stays empty')
  }
  const defaults = await collectDefaults(registry, prefix, (name) => isOn(name) && held(name).length === 0)
  return { defaults, end: () => { for (const end of ends) end() } }
}
