import { LabelPair, type FamilySnapshot, type SeriesSnapshot } from '../metrics/index.js'
import { boundText } from './numbers.js'

/** Whether a summary says nothing that OpenMetrics forbids: quantiles beyond 0 and 1, values below zero, and a sum that is no counter (1.0, "Summary"). */
export function isWellBehaved (summary: FamilySnapshot): boolean {
  for (const { value, quantiles } of summary.series()) {
    if (!(value >= 0) || quantiles?.quantiles.some(({ quantile, value }) => !(quantile >= 0 && quantile <= 1) || value < 0) === true) return false
  }
  return true
}

/** The lines of a summary as metrics of their own, which may say anything: the names and labels of the series are what they were. */
export function partsOf (summary: FamilySnapshot): FamilySnapshot[] {
  const part = (name: string, of: (series: SeriesSnapshot) => SeriesSnapshot[]): FamilySnapshot => ({
    ...summary,
    name: summary.name + name,
    type: 'unknown',
    * series () {
      for (const series of summary.series()) yield * of(series)
    }
  })
  const single = (labels: readonly LabelPair[], value: number): SeriesSnapshot => {
    return { labels, value, created: undefined, exemplar: undefined, buckets: undefined, quantiles: undefined }
  }
  return [
    part('', ({ labels, quantiles }) => (quantiles?.quantiles ?? []).map(({ quantile, value }) => single([...labels, new LabelPair('quantile', boundText(quantile))], value))),
    part('_sum', ({ labels, value }) => [single(labels, value)]),
    part('_count', ({ labels, quantiles }) => [single(labels, quantiles?.count ?? 0)])
  ]
}
