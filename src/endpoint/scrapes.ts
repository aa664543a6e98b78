import { metric, type OwnChoice, type Scope } from '../catalogue.js'
import { Exposition, type ExpositionSettings, type ScrapeObserver } from '../exposition/index.js'
import type { Trouble } from '../instrumentation/index.js'
import type { RegistryLike } from '../metrics/index.js'
import { Processes, type ProcessesSettings } from '../processes/index.js'
import { watchSeries } from './series-metrics.js'

/** The pages of some registries, and the other processes that are on them. */
export interface Observed {
  readonly exposition: Exposition
  readonly processes: Processes | undefined
}

/**
 * The pages of some registries. The metrics about the pages are in the scope's own registry.
 * @param on which of the metrics about the pages are switched off
 */
export function observedExposition (scope: Scope, registries: readonly RegistryLike[], settings: ExpositionSettings, on: OwnChoice, trouble: Trouble, together: ProcessesSettings | undefined): Observed {
  // The same buckets for every page of this registry.
  const own = { ...scope, nativeHistograms: undefined }
  const durations = on.metrics_exposition_duration_seconds === false ? undefined : metric('metrics_exposition_duration_seconds', own).labels()
  const sizes = on.metrics_exposition_size_bytes === false ? undefined : metric('metrics_exposition_size_bytes', own).labels()
  const scrapes = on.metrics_expositions_total === false ? undefined : metric('metrics_expositions_total', scope)
  const observer: ScrapeObserver = {
    counted: watchSeries(scope, registries, on),
    failed: (name, error) => trouble.report(`metric ${name}`, error),
    refused: (format) => scrapes?.inc({ format, outcome: 'refused' }),
    ended (format, outcome, seconds, bytes) {
      durations?.observe(seconds)
      sizes?.observe(bytes)
      scrapes?.inc({ format, outcome })
    }
  }
  const processes = together && Processes.of(registries, together, scope.prefix ?? '', on, { ...observer, obstacle: (error) => trouble.report('processes', error) })
  return { exposition: new Exposition(registries, settings, observer, processes), processes }
}
