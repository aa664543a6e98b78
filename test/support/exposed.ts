import type { Registry } from 'prom-client'
import { Exposition, type Format, type Outcome, type ScrapeRequest } from '../../src/exposition/index.js'
import { Histogram } from '../../src/index.js'

/** A scrape of every metric in text, uncompressed and without a timeout. */
export const TEXT: ScrapeRequest = { format: 'text', compression: undefined, names: undefined, timeout: undefined }

/** A registry's exposition, how its scrapes ended so far, and the metrics that failed. */
export interface Exposed {
  readonly exposition: Exposition
  readonly ended: Array<{ format: Format, outcome: Outcome, bytes: number }>
  readonly failed: string[]
}

/** Exposes a registry to ten scrapes at once. */
export function exposed (registry: Registry): Exposed {
  const ended: Exposed['ended'] = []
  const failed: string[] = []
  const exposition = new Exposition(registry, { maxScrapes: 10, created: true }, {
    failed: (metric) => failed.push(metric),
    counted: () => {},
    refused: () => {},
    ended: (format, outcome, _seconds, bytes) => ended.push({ format, outcome, bytes })
  })
  return { exposition, ended, failed }
}

/** A histogram of so many label sets, 14 lines each, called large_seconds. */
export function large (registry: Registry, sets: number): Histogram<'route'> {
  const histogram = new Histogram({ name: 'large_seconds', help: 'h', labelNames: ['route'], registers: [registry], maxSeries: sets })
  for (let i = 0; i < sets; i++) histogram.observe({ route: `/resource/${i}` }, i % 10)
  return histogram
}
