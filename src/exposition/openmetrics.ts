import type { FamilySnapshot } from '../metrics/index.js'
import { lineNames } from './consistency.js'
import { writeLines } from './lines.js'
import { unitOf, writeMetadata } from './metadata.js'
import { isAllowed, partsOf } from './parts.js'
import { TextWriter } from './text-writer.js'

/**
 * The content type of OpenMetrics 1.0 (https://prometheus.io/docs/specs/om/open_metrics_spec/). Its names need no escaping, so any scheme
 * that a scraper asks for gives the same page (https://prometheus.io/docs/instrumenting/content_negotiation/).
 */
export const OPENMETRICS = 'application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores'

/**
 * Encodes families in OpenMetrics 1.0. Series have the names that they have in every format. So these are of type unknown: a counter whose name does not
 * end in `_total` or whose name without it another metric has, and the parts of a summary or a histogram that says what its type may not.
 * @param families no two of which have lines of one name
 * @param created whether counters, histograms and summaries have a `_created` series each, which says when they began
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
 * The family's name: that of a counter is without `_total`, which only its line has, where nothing else has that name or would have that of its `_created`.
 * @param taken names that other families have; those of the counter are added
 */
function openMetricsName ({ name, type }: FamilySnapshot, taken: Set<string>): string {
  if (type !== 'counter' || !name.endsWith('_total')) return name
  const base = name.slice(0, -'_total'.length)
  const names = [base, `${base}_created`]
  if (base === '' || names.some((each) => taken.has(each))) return name
  for (const each of names) taken.add(each)
  return base
}
