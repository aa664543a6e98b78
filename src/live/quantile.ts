import type { NativeBuckets } from '../metrics/index.js'

/** Native buckets, and their zero bucket. */
export interface NativeCounts {
  readonly schema: number
  readonly zeroThreshold: number
  readonly zeroCount: number
  readonly positive: NativeBuckets
  readonly negative: NativeBuckets
}

/**
 * A quantile as Prometheus' histogram_quantile() has it (promql/quantile.go, BucketQuantile), of classic buckets.
 * @param quantile from 0 to 1
 * @param bounds the upper bounds in growing order, without +Inf
 * @param counts each bucket's own count, that of +Inf last
 * @returns undefined where nothing was counted, or where there is no bucket but +Inf
 */
export function classicQuantile (quantile: number, bounds: readonly number[], counts: ArrayLike<number>): number | undefined {
  let all = 0
  for (let i = 0; i <= bounds.length; i++) all += counts[i] as number
  if (!(all > 0) || bounds.length === 0) return undefined
  const rank = quantile * all
  let below = 0
  let bucket = 0
  while (bucket < bounds.length && below + (counts[bucket] as number) < rank) below += counts[bucket++] as number
  if (bucket === bounds.length) return bounds[bucket - 1]
  const upper = bounds[bucket] as number
  if (bucket === 0 && upper <= 0) return upper
  const lower = bucket === 0 ? 0 : bounds[bucket - 1] as number
  const own = counts[bucket] as number
  // Rank 0 in an empty first bucket: Prometheus divides by zero there.
  return own === 0 ? lower : lower + (upper - lower) * ((rank - below) / own)
}

interface Bucket {
  readonly lower: number
  readonly upper: number
  readonly count: number
}

/**
 * The same of native buckets (promql/quantile.go, HistogramQuantile): between two bounds exponentially, in the zero
 * bucket linearly.
 */
export function nativeQuantile (quantile: number, counts: NativeCounts): number | undefined {
  const buckets = bucketsOf(counts)
  const all = buckets.reduce((sum, { count }) => sum + count, 0)
  if (!(all > 0)) return undefined
  // From the nearer end, as Prometheus counts.
  const isUpper = quantile >= 0.5
  if (isUpper) buckets.reverse()
  const rank = (isUpper ? 1 - quantile : quantile) * all
  let passed = 0
  let found = buckets[0] as Bucket
  for (const bucket of buckets) {
    found = bucket
    passed += bucket.count
    if (passed >= rank) break
  }
  const { lower, upper, count } = found
  const fraction = (isUpper ? passed - rank : rank - (passed - count)) / count
  if (lower <= 0 && upper >= 0) return lower + (upper - lower) * fraction
  const nearer = Math.log2(Math.min(Math.abs(lower), Math.abs(upper)))
  const farther = Math.log2(Math.max(Math.abs(lower), Math.abs(upper)))
  return lower > 0 ? 2 ** (nearer + (farther - nearer) * fraction) : -(2 ** (nearer + (farther - nearer) * (1 - fraction)))
}

/** The populated buckets, from the lowest on. */
function bucketsOf ({ schema, zeroThreshold, zeroCount, positive, negative }: NativeCounts): Bucket[] {
  const bound = (index: number) => 2 ** (index * 2 ** -schema)
  const buckets: Bucket[] = []
  for (let i = negative.counts.length - 1; i >= 0; i--) {
    const index = negative.offset + i
    buckets.push({ lower: -bound(index), upper: Math.min(-bound(index - 1), -zeroThreshold), count: negative.counts[i] as number })
  }
  const hasNegative = negative.counts.some((count) => count > 0)
  const hasPositive = positive.counts.some((count) => count > 0)
  buckets.push({ lower: hasPositive && !hasNegative ? 0 : -zeroThreshold, upper: hasNegative && !hasPositive ? 0 : zeroThreshold, count: zeroCount })
  for (let i = 0; i < positive.counts.length; i++) {
    const index = positive.offset + i
    // The one nearest to zero begins where the zero bucket ends.
    buckets.push({ lower: Math.max(bound(index - 1), zeroThreshold), upper: bound(index), count: positive.counts[i] as number })
  }
  return buckets.filter(({ count }) => count > 0)
}
