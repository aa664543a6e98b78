import type { NativeBuckets } from '../metrics/index.js'

/**
 * Up to this many empty buckets in a row are written as zeros. For more, a new span is shorter. client_golang's
 * makeBuckets has the same limit.
 */
const FILLED_GAP = 2

/**
 * Native buckets as protobuf and OpenMetrics 2.0 have them: spans of neighbouring buckets that are all populated, but
 * for small gaps. One object serves all series of an encoding, and holds the spans of the buckets that it read last.
 */
export class NativeSpans {
  /**
   * By span, the number of buckets between it and the previous span; for the first span, the index of its first bucket.
   */
  readonly offsets: number[] = []
  /** By span, the number of its buckets. */
  readonly lengths: number[] = []
  /** The counts of the buckets in all spans, one after another. */
  readonly counts: number[] = []

  /** Reads the buckets of one sign. @returns whether any is populated */
  read ({ offset, counts }: NativeBuckets): boolean {
    this.offsets.length = this.lengths.length = this.counts.length = 0
    let next = 0
    for (let i = 0; i < counts.length; i++) {
      const count = counts[i] as number
      if (count === 0) continue
      const last = this.lengths.length - 1
      let gap = offset + i - next
      next = offset + i + 1
      if (last >= 0 && gap <= FILLED_GAP) {
        this.lengths[last] = (this.lengths[last] as number) + gap + 1
        for (; gap > 0; gap--) this.counts.push(0)
      } else {
        this.offsets.push(gap)
        this.lengths.push(1)
      }
      this.counts.push(count)
    }
    return this.lengths.length > 0
  }
}
