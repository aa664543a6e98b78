import type { NativeBuckets } from './snapshot.js'

const EMPTY = new Float64Array(0)
/**
 * The number of buckets that the first observation makes room for. Later there is room for a quarter more than needed.
 */
const FIRST_ROOM = 16

/** The counts of neighbouring buckets, from the first populated one to the last, with some spare room around them. */
export class NativeWindow {
  /** The counts by bucket, from bucket `start` on. They are whole numbers and exact up to 2^53. */
  counts: Float64Array = EMPTY
  start = 0
  /** The first and the last populated bucket. No bucket is populated while `last` is less than `first`. */
  first = 0
  last = -1

  /** The number of buckets from the first populated one to the last. */
  get length (): number {
    return this.last - this.first + 1
  }

  has (index: number): boolean {
    return (this.counts[index - this.start] ?? 0) > 0
  }

  /** The length if this bucket were populated too. */
  lengthWith (index: number): number {
    return this.length === 0 ? 1 : Math.max(this.last, index) - Math.min(this.first, index) + 1
  }

  add (index: number, count: number): void {
    const empty = this.length === 0
    const first = empty ? index : Math.min(this.first, index)
    const last = empty ? index : Math.max(this.last, index)
    if (first < this.start || last >= this.start + this.counts.length) this.#makeRoom(first, last, index)
    this.first = first
    this.last = last
    ;(this.counts[index - this.start] as number) += count
  }

  /** A copy. Writes to the copy do not change this window. */
  copy (): NativeWindow {
    const copy = new NativeWindow()
    copy.counts = this.counts.slice()
    copy.start = this.start
    copy.first = this.first
    copy.last = this.last
    return copy
  }

  /** The buckets from the first populated one to the last. Their counts are a view of these, not a copy. */
  buckets (): NativeBuckets {
    return { offset: this.first, counts: this.counts.subarray(this.first - this.start, this.last - this.start + 1) }
  }

  countPopulated (): number {
    let populated = 0
    for (const count of this.counts) if (count > 0) populated++
    return populated
  }

  /** The same counts in buckets twice as wide: for each even i, buckets i - 1 and i become bucket i / 2. */
  widened (): NativeWindow {
    const widened = new NativeWindow()
    if (this.length === 0) return widened
    const first = (this.first + 1) >> 1
    const last = (this.last + 1) >> 1
    widened.#makeRoom(first, last, first)
    widened.first = first
    widened.last = last
    for (let index = this.first; index <= this.last; index++) {
      (widened.counts[((index + 1) >> 1) - widened.start] as number) += this.counts[index - this.start] as number
    }
    return widened
  }

  /**
   * Makes room from `first` to `last`, and spare room on the side of `wanted`: a window that grows to one side is
   * likely to grow further to that side.
   */
  #makeRoom (first: number, last: number, wanted: number): void {
    const length = last - first + 1
    const room = Math.max(FIRST_ROOM, length + (length >> 2))
    const spare = room - length
    const before = first === last ? spare >> 1 : wanted === first ? spare : 0
    const counts = new Float64Array(room)
    const start = first - before
    for (let index = this.first; index <= this.last; index++) counts[index - start] = this.counts[index - this.start] as number
    this.start = start
    this.counts = counts
  }
}
