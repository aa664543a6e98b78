import type { FamilySnapshot } from '../metrics/index.js'
import { lineNames } from './consistency.js'
import { lines } from './lines.js'
import { isAllowed, partsOf } from './parts.js'
import { TextWriter } from './text-writer.js'

/** The content type of OpenMetrics 1.0 (https://prometheus.io/docs/specs/om/open_metrics_spec/). */
export const OPENMETRICS = 'application/openmetrics-text; version=1.0.0; charset=utf-8'

/** What a metric's name may end with that is a unit: the base units of the specification, and what Prometheus advises beside them. */
const UNITS = ['seconds', 'bytes', 'ratio', 'meters', 'grams', 'joules', 'celsius', 'volts', 'amperes']

/**
 * Metrics in OpenMetrics 1.0. Series have the names they have in every format: a counter whose name does not end in `_total`, or whose name without it another
 * metric has, is of type unknown here, and so are the parts of a summary or a histogram that says what it may not.
 * @param families no two of which have lines of one name
 * @param created whether counters, histograms and summaries say when they began, in a series of its own for each
 */
export function * encodeOpenMetrics (families: readonly FamilySnapshot[], created: boolean): Generator<Buffer> {
  const writer = new TextWriter()
  const taken = new Set(families.flatMap(lineNames))
  for (const whole of families) {
    const allowed = yield * isAllowed(whole)
    for (const family of allowed ? [whole] : partsOf(whole)) {
      const name = openMetricsName(family, taken)
      const type = family.type === 'counter' && name === family.name ? 'unknown' : family.type
      const unit = UNITS.find((unit) => name.endsWith(`_${unit}`))
      writer.text(`# TYPE ${name} ${type}\n`)
      if (unit !== undefined) writer.text(`# UNIT ${name} ${unit}\n`)
      writer.text(`# HELP ${name} ${escaped(family.help)}\n`)
      yield * lines(writer, family, {
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
 * @param taken names that others have; those of the counter are among them from then on
 */
function openMetricsName ({ name, type }: FamilySnapshot, taken: Set<string>): string {
  if (type !== 'counter' || !name.endsWith('_total')) return name
  const base = name.slice(0, -'_total'.length)
  const names = [base, `${base}_created`]
  if (base === '' || names.some((each) => taken.has(each))) return name
  for (const each of names) taken.add(each)
  return base
}

function escaped (help: string): string {
  return help.replace(/[\\"\n]/g, (character) => character === '\n' ? '\\n' : `\\${character}`)
}
