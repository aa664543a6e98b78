import { metric, type OwnChoice, type Scope } from '../catalogue.js'
import { Exposition, type ExpositionSettings } from '../exposition/index.js'
import type { Trouble } from '../instrumentation/index.js'
import type { RegistryLike } from '../metrics/index.js'
import { watchSeries } from './series-metrics.js'

/**
 * The pages of some registries. The metrics about the pages are in the scope's own registry.
 * @param on which of the metrics about the pages are switched off
 */
export function observedExposition (scope: Scope, registries: readonly RegistryLike[], settings: ExpositionSettings, on: OwnChoice, trouble: Trouble): Exposition {
  // The same buckets for every page of this registry.
  const own = { ...scope, nativeHistograms: undefined }
  const durations = on.metrics_exposition_duration_seconds === false ? undefined : metric('metrics_exposition_duration_seconds', own).labels()
  const sizes = on.metrics_exposition_size_bytes === false ? undefined : metric('metrics_exposition_size_bytes', own).labels()
  const scrapes = on.metrics_expositions_total === false ? undefined : metric('metrics_expositions_total', scope)
  return new Exposition(registries, settings, {
    counted: watchSeries(scope, registries, on),
    failed: (name, error) => trouble.report(`metric ${name}`, error),
    refused: (format) => scrapes?.inc({ format, outcome: 'refused' }),
    ended (format, outcome, seconds, bytes) {
      durations?.observe(seconds)
      sizes?.observe(bytes)
      scrapes?.inc({ format, outcome })
    }
  })
}
