/** The number of series in one page, as an exponent of two. */
const SHIFT = 6
const MASK = (1 << SHIFT) - 1

type Numbers = Float64Array | Uint32Array

/**
 * The numbers of many series in few typed arrays, the pages. A series has a place, a whole number from 0 on. A page
 * never moves or grows.
 */
export class Pages<A extends Numbers> {
  readonly width: number
  readonly #Page: new (length: number) => A
  readonly #pages: A[] = []

  /** @param width how many numbers a place has */
  constructor (Page: new (length: number) => A, width: number) {
    this.#Page = Page
    this.width = width
  }

  /** The page that has the numbers of a place, from `at(place)` on. */
  page (place: number): A {
    return this.#pages[place >> SHIFT] as A
  }

  at (place: number): number {
    return (place & MASK) * this.width
  }

  /** A copy of the numbers as they are now. */
  copy (): Pages<A> {
    const copy = new Pages(this.#Page, this.width)
    this.copyTo(copy)
    return copy
  }

  protected copyTo (copy: Pages<A>): void {
    for (const page of this.#pages) copy.#pages.push(page.slice() as A)
  }

  /** Prepares a place, with zeros. */
  zero (place: number): void {
    const number = place >> SHIFT
    if (this.#pages[number] === undefined) this.#pages[number] = new this.#Page(this.width << SHIFT)
    else this.page(place).fill(0, this.at(place), this.at(place) + this.width)
  }
}
