import type { Chart, Live } from '../shape.js'
import { ChartCard } from './chart.js'
import { forgetColours } from './colours.js'

const MARGIN = '300px'

/** All charts of the page. Those near the viewport are drawn, each at most once a frame. */
export class Charts {
  readonly #grids: ReadonlyMap<Chart['section'], HTMLElement>
  readonly #cards = new Map<string, ChartCard>()
  readonly #owners = new WeakMap<Element, ChartCard>()
  readonly #visibility: IntersectionObserver
  readonly #sizes: ResizeObserver
  #frame = false

  /** @param grids where the charts of each section stand; the section around it is hidden while it has none */
  constructor (grids: ReadonlyMap<Chart['section'], HTMLElement>) {
    this.#grids = grids
    this.#visibility = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) this.#owners.get(target)?.approach(isIntersecting)
      this.#later()
    }, { rootMargin: MARGIN })
    this.#sizes = new ResizeObserver((entries) => {
      for (const { target, contentRect } of entries) this.#owners.get(target)?.resize(Math.floor(contentRect.width))
      this.#later()
    })
  }

  update (live: Live): void {
    const gone = new Set(this.#cards.keys())
    const before = new Map<HTMLElement, Element | null>()
    for (const chart of live.charts) {
      const grid = this.#grids.get(chart.section)
      if (grid === undefined) continue
      gone.delete(chart.id)
      const card = this.#cards.get(chart.id) ?? this.#add(chart, live)
      card.update(chart, live)
      const previous = before.get(grid) ?? null
      const place = previous === null ? grid.firstElementChild : previous.nextElementSibling
      if (place !== card.element) grid.insertBefore(card.element, place)
      before.set(grid, card.element)
    }
    for (const id of gone) this.#remove(id)
    for (const [, grid] of this.#grids) {
      const section = grid.closest('section')
      if (section !== null && section.dataset['always'] === undefined) section.hidden = grid.childElementCount === 0
    }
    this.#later()
  }

  recolour (): void {
    forgetColours()
    for (const card of this.#cards.values()) card.recolour()
    this.#later()
  }

  #add (chart: Chart, live: Live): ChartCard {
    const card = new ChartCard(chart, live)
    this.#cards.set(chart.id, card)
    for (const target of [card.element, card.measured]) this.#owners.set(target, card)
    this.#visibility.observe(card.element)
    this.#sizes.observe(card.measured)
    return card
  }

  #remove (id: string): void {
    const card = this.#cards.get(id)
    if (card === undefined) return
    this.#visibility.unobserve(card.element)
    this.#sizes.unobserve(card.measured)
    card.destroy()
    this.#cards.delete(id)
  }

  #later (): void {
    if (this.#frame) return
    this.#frame = true
    requestAnimationFrame(() => {
      this.#frame = false
      for (const card of this.#cards.values()) if (card.due) card.draw()
    })
  }
}
