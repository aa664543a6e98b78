import type { NativeBuckets, NativeSnapshot } from '../metrics/index.js'

/*
 * Native buckets as numbers, series by series: schema, zero threshold, count of the zero bucket, and for each sign the
 * index of the first bucket, the number of buckets, and their counts.
 */
const FIXED = 7

export function toNumbers (series: readonly NativeSnapshot[]): Float64Array {
  const length = series.reduce((sum, { positive, negative }) => sum + FIXED + positive.counts.length + negative.counts.length, 0)
  const numbers = new Float64Array(length)
  let at = 0
  for (const { schema, zeroThreshold, zeroCount, positive, negative } of series) {
    numbers[at++] = schema
    numbers[at++] = zeroThreshold
    numbers[at++] = zeroCount
    for (const { offset, counts } of [positive, negative]) {
      numbers[at++] = offset
      numbers[at++] = counts.length
      numbers.set(counts, at)
      at += counts.length
    }
  }
  return numbers
}

/** @throws RangeError when the numbers end within a series */
export function * fromNumbers (numbers: Float64Array): Generator<NativeSnapshot> {
  let at = 0
  const next = () => {
    if (at >= numbers.length) throw new RangeError('native buckets are cut off')
    return numbers[at++] as number
  }
  const buckets = (): NativeBuckets => {
    const offset = next()
    const length = next()
    if (!Number.isInteger(length) || length < 0 || at + length > numbers.length) throw new RangeError('native buckets are cut off')
    const counts = numbers.subarray(at, at + length)
    at += length
    return { offset, counts }
  }
  while (at < numbers.length) yield { schema: next(), zeroThreshold: next(), zeroCount: next(), positive: buckets(), negative: buckets() }
}
