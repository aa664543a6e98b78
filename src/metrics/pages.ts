/** Series in one page, as a power of two. */
const SHIFT = 6
const MASK = (1 << SHIFT) - 1

type Numbers = Float64Array | Uint32Array

/** The numbers of many series in few typed arrays. A series is a place, a whole number from 0 on; a page never moves or grows. */
export class Pages<A extends Numbers> {
  readonly width: number
  readonly #Page: new (length: number) => A
  readonly #pages: A[] = []

  /** @param width numbers a place has */
  constructor (Page: new (length: number) => A, width: number) {
    this.#Page = Page
    this.width = width
  }

  /** Where the numbers of a place are, from `at(place)` on. */
  page (place: number): A {
    return this.#pages[place >> SHIFT] as A
  }

  at (place: number): number {
    return (place & MASK) * this.width
  }

  /** The numbers as they are now. */
  copy (): Pages<A> {
    const copy = new Pages(this.#Page, this.width)
    this.copyTo(copy)
    return copy
  }

  protected copyTo (copy: Pages<A>): void {
    for (const page of this.#pages) copy.#pages.push(page.slice() as A)
  }

  /** Makes a place ready, with zeros. */
  zero (place: number): void {
    const number = place >> SHIFT
    if (this.#pages[number] === undefined) this.#pages[number] = new this.#Page(this.width << SHIFT)
    else this.page(place).fill(0, this.at(place), this.at(place) + this.width)
  }
}
