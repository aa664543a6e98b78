import type { FamilySnapshot, MetricType, SeriesSnapshot } from '../../src/metrics/index.js'

const EMPTY: SeriesSnapshot = { labels: [], created: undefined, value: 0, exemplar: undefined, buckets: undefined, quantiles: undefined }

/** A series as an encoder gets it: without labels and at 0, but for these fields. */
export function seriesOf (fields: Partial<SeriesSnapshot>): SeriesSnapshot {
  return { ...EMPTY, ...fields }
}

/** A family as an encoder gets it: called 'sample' and without bounds, but for these fields. */
export function familyOf (type: MetricType, series: Array<Partial<SeriesSnapshot>>, fields: Partial<FamilySnapshot> = {}): FamilySnapshot {
  const whole = series.map(seriesOf)
  return { name: 'sample', help: 'Of the test.', type, size: series.length, bounds: [], series: () => whole, ...fields }
}
