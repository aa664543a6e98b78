import type { Chart } from '../shape.js'
import { lineColour } from './colours.js'
import { element, setText } from './element.js'
import { allDigits, text, visible } from './format.js'

/** More lines than these are not listed. */
const MOST = 24

interface Entry {
  readonly value: HTMLElement
  readonly total: HTMLElement
}

/** The names of the lines, each with its value at the pointer's moment, or else the newest one. */
export class Legend {
  readonly element = element('ul', { class: 'legend' })
  #entries: Entry[] = []
  #sum: HTMLElement | null = null

  /** Lists the lines of this chart anew. */
  rebuild (chart: Chart): void {
    this.element.replaceChildren()
    this.element.classList.toggle('totals', chart.lines.some(({ total }) => total !== null))
    this.#sum = null
    this.#entries = chart.lines.slice(0, MOST).map((line, index) => {
      const swatch = element('span', { class: 'swatch', 'aria-hidden': 'true' })
      swatch.style.background = `var(${lineColour(line.name, index)})`
      const value = element('span', { class: 'value' })
      const total = element('span', { class: 'total' })
      const name = visible(line.name)
      this.element.append(element('li', {}, swatch, element('bdi', { class: 'name', title: name }, name === '' ? '(no name)' : name), total, value))
      return { value, total }
    })
    if (chart.kind === 'area' && chart.lines.length > 1) {
      this.#sum = element('span', { class: 'value' })
      this.element.append(element('li', { class: 'sum' }, element('span', { class: 'name' }, 'sum'), this.#sum))
    }
    const more = chart.lines.length - MOST
    if (more > 0) this.element.append(element('li', { class: 'more' }, `and ${more} more`))
  }

  /** Writes the values at this index of the times. */
  show (chart: Chart, index: number): void {
    let sum: number | null = null
    chart.lines.forEach((line, at) => {
      const value = line.values[index] ?? null
      if (value !== null) sum = (sum ?? 0) + value
      const entry = this.#entries[at]
      if (entry === undefined) return
      setText(entry.value, value === null ? '–' : text(value, chart.unit))
      setText(entry.total, line.total === null ? '' : `${allDigits(line.total)} in all`)
    })
    if (this.#sum !== null) setText(this.#sum, sum === null ? '–' : text(sum, chart.unit))
  }
}
