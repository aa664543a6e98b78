import type { SummaryItem } from '../shape.js'
import { element, setText } from './element.js'
import { visible, write } from './format.js'

interface Tile {
  readonly element: HTMLElement
  readonly title: HTMLElement
  readonly digits: HTMLElement
  readonly unit: HTMLElement
  readonly bar: HTMLElement
}

/** The most important numbers of the last minute. */
export class Tiles {
  readonly #list: HTMLElement
  readonly #tiles = new Map<string, Tile>()

  constructor (list: HTMLElement) {
    this.#list = list
  }

  show (items: readonly SummaryItem[]): void {
    const gone = new Set(this.#tiles.keys())
    for (const item of items) {
      gone.delete(item.id)
      fill(this.#tiles.get(item.id) ?? this.#add(item.id), item)
    }
    for (const id of gone) {
      this.#tiles.get(id)?.element.remove()
      this.#tiles.delete(id)
    }
  }

  #add (id: string): Tile {
    const [title, digits, unit] = [element('dt'), element('span', { class: 'digits' }), element('span', { class: 'unit' })]
    const bar = element('span', { class: 'bar', 'aria-hidden': 'true' })
    const made = element('div', { class: 'tile' }, title, element('dd', {}, digits, ' ', unit, bar))
    this.#list.append(made)
    const tile = { element: made, title, digits, unit, bar }
    this.#tiles.set(id, tile)
    return tile
  }
}

function fill (tile: Tile, { title, value, unit, max }: SummaryItem): void {
  const written = write(value, unit)
  const most = max === null || value === null ? null : write(max, unit)
  setText(tile.title, visible(title))
  setText(tile.digits, written.digits)
  setText(tile.unit, most === null ? written.unit : `${written.unit === most.unit ? '' : written.unit} of ${most.digits} ${most.unit}`.trim())
  tile.element.classList.toggle('none', value === null)
  tile.bar.hidden = most === null
  if (max !== null && value !== null) tile.bar.style.setProperty('--filled', `${Math.min(100, max > 0 ? value / max * 100 : 0)}%`)
}
