const FIRST_PAGE_SLOTS = 4
const LAST_PAGE_SLOTS = 1024

/** A place for one series: `width` numbers in `page`, from `slot` on. */
export interface Place {
  page: Float64Array
  slot: number
}

/**
 * Numbers of many series in few typed arrays. A page never moves or grows, so whoever holds a place writes to it directly;
 * a new page holds twice as many series as the one before, up to 1024, so a family of one series stays small.
 */
export class Pages {
  readonly #width: number
  readonly #free: Place[] = []
  #page = new Float64Array(0)
  #next = 0
  #slots = 1

  /** @param width numbers in one series */
  constructor (width: number) {
    this.#width = width
  }

  /** A zeroed place. */
  take (): Place {
    const freed = this.#free.pop()
    if (freed !== undefined) {
      freed.page.fill(0, freed.slot, freed.slot + this.#width)
      return freed
    }
    if (this.#next === this.#page.length) {
      this.#page = new Float64Array(this.#slots * this.#width)
      this.#next = 0
      this.#slots = Math.min(Math.max(this.#slots * 2, FIRST_PAGE_SLOTS), LAST_PAGE_SLOTS)
    }
    const place = { page: this.#page, slot: this.#next }
    this.#next += this.#width
    return place
  }

  /** Gives a place back; nobody may write to it any more. */
  give (place: Place): void {
    this.#free.push({ page: place.page, slot: place.slot })
  }
}
