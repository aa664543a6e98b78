import { Pages } from './pages.js'

/** What 32 bits hold: beyond it a count starts again, and one more is carried. */
const FULL = 2 ** 32

/** The counts of a histogram's buckets, 32 bits each, and what went beyond in the few that ever do. */
export class BucketCounts extends Pages<Uint32Array> {
  /** By place and bucket. */
  readonly #carried = new Map<number, number>()

  /** @param buckets how many a series has, +Inf included */
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

  /** Apart, so that the rest stays small enough for the compiler to inline. */
  #carry (place: number, bucket: number): void {
    const key = this.#key(place, bucket)
    this.#carried.set(key, (this.#carried.get(key) ?? 0) + 1)
  }

  countOf (place: number, bucket: number): number {
    const count = this.page(place)[this.at(place) + bucket] as number
    return this.#carried.size === 0 ? count : count + (this.#carried.get(this.#key(place, bucket)) ?? 0) * FULL
  }

  override copy (): BucketCounts {
    const copy = new BucketCounts(this.width)
    this.copyTo(copy)
    for (const [key, count] of this.#carried) copy.#carried.set(key, count)
    return copy
  }

  /** All counts of a place, where any went beyond 32 bits. */
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
