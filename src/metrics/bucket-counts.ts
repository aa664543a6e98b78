import { Pages } from './pages.js'

/** A 32-bit count that reaches this number starts again from 0, and 1 is carried. */
const FULL = 2 ** 32

/** The counts of a histogram's buckets, 32 bits each, and the carries of the few counts that ever exceed 32 bits. */
export class BucketCounts extends Pages<Uint32Array> {
  /** The carries by place and bucket. */
  readonly #carried = new Map<number, number>()

  /** @param buckets the number of buckets of a series, +Inf included */
  constructor (buckets: number) {
    super(Uint32Array, buckets)
  }

  increment (place: number, bucket: number): void {
    const page = this.page(place)
    const at = this.at(place) + bucket
    const count = ((page[at] as number) + 1) >>> 0
    page[at] = count
    if (count === 0) this.#carry(place, bucket)
  }

  /** A method of its own, so that increment() stays small enough for the compiler to inline. */
  #carry (place: number, bucket: number): void {
    const key = this.#key(place, bucket)
    this.#carried.set(key, (this.#carried.get(key) ?? 0) + 1)
  }

  countOf (place: number, bucket: number): number {
    const count = this.page(place)[this.at(place) + bucket] as number
    return this.#carried.size === 0 ? count : count + (this.#carried.get(this.#key(place, bucket)) ?? 0) * FULL
  }

  /** Whether any count has exceeded 32 bits. */
  get isCarried (): boolean {
    return this.#carried.size > 0
  }

  override copy (): BucketCounts {
    const copy = new BucketCounts(this.width)
    this.copyTo(copy)
    for (const [key, count] of this.#carried) copy.#carried.set(key, count)
    return copy
  }

  /** All counts of a place, if any count of the histogram has exceeded 32 bits; else undefined. */
  carriedOf (place: number): number[] | undefined {
    if (this.#carried.size === 0) return undefined
    return Array.from({ length: this.width }, (_, bucket) => this.countOf(place, bucket))
  }

  override zero (place: number): void {
    super.zero(place)
    if (this.#carried.size === 0) return
    for (let bucket = 0; bucket < this.width; bucket++) this.#carried.delete(this.#key(place, bucket))
  }

  #key (place: number, bucket: number): number {
    return place * this.width + bucket
  }
}
