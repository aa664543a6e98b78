import { metric, type Scope } from './catalogue.js'
import { Exposition, type ExpositionSettings } from './exposition/index.js'
import { defaultRegistry } from './metrics/index.js'
import { watchSeries } from './series-metrics.js'
import type { Trouble } from './trouble.js'

/** The pages of a scope's registry, with the metrics about them in it. */
export function observedExposition (scope: Scope, settings: ExpositionSettings, trouble: Trouble): Exposition {
  // Of one shape wherever a registry is exposed from.
  const own = { ...scope, nativeHistograms: undefined }
  const durations = metric('metrics_exposition_duration_seconds', own).labels()
  const sizes = metric('metrics_exposition_size_bytes', own).labels()
  const scrapes = metric('metrics_expositions_total', scope)
  const counted = watchSeries(scope)
  return new Exposition(scope.registry ?? defaultRegistry, settings, {
    counted,
    failed: (name, error) => trouble.report(`metric ${name}`, error),
    refused: (format) => scrapes.inc({ format, outcome: 'refused' }),
    ended (format, outcome, seconds, bytes) {
      durations.observe(seconds)
      sizes.observe(bytes)
      scrapes.inc({ format, outcome })
    }
  })
}
