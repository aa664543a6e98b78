import type { FamilySnapshot } from '../metrics/index.js'
import { lineNames } from './consistency.js'
import { writeLines } from './lines.js'
import { unitOf, writeMetadata } from './metadata.js'
import { isAllowed, partsOf } from './parts.js'
import { TextWriter } from './text-writer.js'

/**
 * The content type of OpenMetrics 1.0 (https://prometheus.io/docs/specs/om/open_metrics_spec/). Our names need no
 * escaping, so every escaping scheme that a scraper asks for gives the same page
 * (https://prometheus.io/docs/instrumenting/content_negotiation/).
 */
export const OPENMETRICS = 'application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores'

/**
 * Encodes families in OpenMetrics 1.0. Series have the same names as in every other format. So some metrics are of type
 * unknown: a counter whose name does not end in `_total`, a counter whose name without `_total` belongs to another
 * metric, and the parts of a summary or a histogram with values that its type forbids.
 * @param families no two families have lines of the same name
 * @param created whether counters, histograms and summaries have a `_created` series each, with their start time
 */
export function * encodeOpenMetrics (families: readonly FamilySnapshot[], created: boolean): Generator<Buffer> {
  const writer = new TextWriter()
  const taken = new Set(families.flatMap(lineNames))
  for (const whole of families) {
    const allowed = yield * isAllowed(whole)
    for (const family of allowed ? [whole] : partsOf(whole)) {
      const name = openMetricsName(family, taken)
      const type = family.type === 'counter' && name === family.name ? 'unknown' : family.type
      writeMetadata(writer, name, type, unitOf({ name, type }), family.help)
      yield * writeLines(writer, family, {
        exemplars: type === 'counter' || type === 'histogram',
        negativeSums: false,
        fractions: false,
        created: created && type !== 'unknown' ? `${name}_created` : undefined
      })
    }
  }
  writer.text('# EOF\n')
  yield writer.take()
}

/**
 * The name of a family. A counter's name is without `_total`, which only its line has, unless another family has that
 * name or the name of its `_created` series.
 * @param taken the names that other families have; the names of the counter are added
 */
function openMetricsName ({ name, type }: FamilySnapshot, taken: Set<string>): string {
  if (type !== 'counter' || !name.endsWith('_total')) return name
  const base = name.slice(0, -'_total'.length)
  const names = [base, `${base}_created`]
  if (base === '' || names.some((each) => taken.has(each))) return name
  for (const each of names) taken.add(each)
  return base
}
