import { LabelPair, countOf, type FamilySnapshot, type SeriesSnapshot } from '../metrics/index.js'
import { boundText } from './numbers.js'

const EMPTY = Buffer.alloc(0)
/** The number of series that are checked between two chunks. */
const BATCH = 4096

/**
 * Whether OpenMetrics allows a family's values for its type (1.0, "Summary" and "Histogram"). A summary has quantiles
 * from 0 to 1 and no value below zero. A sum is a counter, so it is neither NaN nor below zero. If a histogram has
 * bounds below zero, its sum is left out of the page, so it may be any number. The function gives an empty chunk now
 * and then: the caller may stop there.
 */
export function * isAllowed (family: FamilySnapshot): Generator<Buffer, boolean> {
  if (family.type !== 'summary' && (family.type !== 'histogram' || (family.bounds[0] ?? 0) < 0)) return true
  let i = 0
  for (const sum of family.values?.() ?? sumsOf(family)) {
    if (!(sum >= 0)) return false
    if (++i % BATCH === 0) yield EMPTY
  }
  if (family.type === 'histogram') return true
  for (const { quantiles } of family.series()) {
    if (quantiles?.quantiles.some(({ quantile, value }) => !(quantile >= 0 && quantile <= 1) || value < 0) === true) return false
    if (++i % BATCH === 0) yield EMPTY
  }
  return true
}

function * sumsOf (family: FamilySnapshot): Generator<number> {
  for (const { value } of family.series()) yield value
}

/**
 * The lines of a summary or a histogram as metrics of their own, which may have any value. The series keep their names
 * and labels.
 */
export function partsOf (family: FamilySnapshot): FamilySnapshot[] {
  const part = (name: string, of: (series: SeriesSnapshot) => SeriesSnapshot[]): FamilySnapshot => ({
    name: family.name + name,
    help: family.help,
    type: 'unknown',
    size: family.size,
    bounds: [],
    * series () {
      for (const series of family.series()) yield * of(series)
    }
  })
  const lines = family.type === 'summary'
    ? part('', ({ labels, quantiles }) => (quantiles?.quantiles ?? []).map(({ quantile, value }) => single([...labels, bound('quantile', quantile)], value)))
    : part('_bucket', (series) => bucketsOf(series, family.bounds))
  return [
    lines,
    part('_sum', ({ labels, value }) => [single(labels, value)]),
    part('_count', ({ labels, quantiles, buckets }) => [single(labels, quantiles?.count ?? (buckets === undefined ? 0 : countOf(buckets, family.bounds.length + 1)))])
  ]
}

function bucketsOf ({ labels, buckets }: SeriesSnapshot, bounds: readonly number[]): SeriesSnapshot[] {
  return [...bounds, Infinity].map((upper, i) => single([...labels, bound('le', upper)], buckets === undefined ? 0 : countOf(buckets, i + 1)))
}

function bound (name: string, value: number): LabelPair {
  return new LabelPair(name, boundText(value))
}

function single (labels: readonly LabelPair[], value: number): SeriesSnapshot {
  return { labels, value, created: undefined, exemplar: undefined, buckets: undefined, quantiles: undefined }
}
