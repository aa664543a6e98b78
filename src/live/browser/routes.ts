import type { RouteName, RouteRow, Unit } from '../shape.js'
import { byId, element, setAttribute, setText } from './element.js'
import { counted, text, visible } from './format.js'
import { ordered, steady, type Column, type Order } from './route-order.js'
import { sameRoute } from './state.js'

const MOST = 50
const COLUMNS: ReadonlyArray<readonly [column: Exclude<Column, 'route'>, title: string, unit: Unit]> = [
  ['rate', 'Requests', 'per second'],
  ['errors', 'Errors', 'ratio'],
  ['p50', 'p50', 'seconds'],
  ['p95', 'p95', 'seconds'],
  ['inFlight', 'In flight', 'number'],
  ['databaseSeconds', 'Database a request', 'seconds'],
  ['queries', 'Queries a request', 'number']
]

interface Row {
  readonly element: HTMLTableRowElement
  readonly link: HTMLAnchorElement
  readonly cells: readonly HTMLElement[]
}

/** The table of routes. Its rows keep their order while the pointer or the focus is among them. */
export class Routes {
  readonly #body = element('tbody')
  readonly #heads = new Map<Column, HTMLElement>()
  readonly #rows = new Map<string, Row>()
  readonly #filter = byId('filter') as HTMLInputElement
  readonly #all = byId('all-rows')
  readonly #count = byId('route-count')
  readonly #addressOf: (route: RouteName) => string
  readonly #choose: (route: RouteName) => void
  #order: Order = { column: 'rate', down: true }
  #shownAll = false
  #keys: string[] = []
  #routes: readonly RouteRow[] = []
  #chosen: RouteName | null = null

  /**
   * @param addressOf the address that shows a route
   * @param choose called when the viewer chooses a route
   */
  constructor (table: HTMLElement, addressOf: (route: RouteName) => string, choose: (route: RouteName) => void) {
    this.#addressOf = addressOf
    this.#choose = choose
    const heads = [['route', 'Route'] as const, ...COLUMNS].map(([column, title]) => this.#head(column, title))
    table.append(element('thead', {}, element('tr', {}, ...heads)), this.#body)
    this.#filter.addEventListener('input', () => { this.#render(true) })
    this.#all.addEventListener('click', () => {
      this.#shownAll = true
      this.#render(true)
    })
    this.#sorted()
  }

  show (routes: readonly RouteRow[], chosen: RouteName | null): void {
    this.#routes = routes
    this.#chosen = chosen
    this.#render(false)
  }

  #head (column: Column, title: string): HTMLElement {
    const button = element('button', { type: 'button' }, title)
    const head = element('th', { scope: 'col' }, button)
    this.#heads.set(column, head)
    button.addEventListener('click', () => {
      const same = this.#order.column === column
      this.#order = { column, down: same ? !this.#order.down : column !== 'route' }
      this.#sorted()
      this.#render(true)
    })
    return head
  }

  #sorted (): void {
    for (const [column, head] of this.#heads) {
      if (column === this.#order.column) head.setAttribute('aria-sort', this.#order.down ? 'descending' : 'ascending')
      else head.removeAttribute('aria-sort')
    }
  }

  #render (asked: boolean): void {
    const found = ordered(this.#routes, this.#filter.value, this.#order)
    const held = !asked && (this.#body.matches(':hover') || this.#body.contains(document.activeElement))
    const inOrder = held ? steady(found, this.#keys, keyOf) : found
    const shown = this.#shownAll ? inOrder : inOrder.slice(0, MOST)
    this.#keys = shown.map(keyOf)
    const gone = new Set(this.#rows.keys())
    let place = this.#body.firstElementChild
    for (const route of shown) {
      const key = keyOf(route)
      gone.delete(key)
      const row = this.#rows.get(key) ?? this.#add(key, route)
      this.#fill(row, route)
      if (place === row.element) place = place.nextElementSibling
      else this.#body.insertBefore(row.element, place)
    }
    for (const key of gone) {
      this.#rows.get(key)?.element.remove()
      this.#rows.delete(key)
    }
    this.#all.hidden = shown.length === found.length
    setText(this.#all, `Show all ${found.length}`)
    setText(this.#count, this.#routes.length === 0
      ? 'No requests in the last minute'
      : found.length === this.#routes.length ? counted(found.length, 'route', 'routes') : `${found.length} of ${counted(this.#routes.length, 'route', 'routes')}`)
  }

  #add (key: string, route: RouteName): Row {
    const path = visible(route.route)
    const link = element('a', { href: this.#addressOf(route), title: `${visible(route.method)} ${path}` },
      element('span', { class: 'method' }, visible(route.method)), ' ', element('bdi', {}, path))
    link.addEventListener('click', (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return
      event.preventDefault()
      this.#choose(route)
    })
    const cells = COLUMNS.map(() => element('td'))
    const row = { element: element('tr', {}, element('th', { scope: 'row' }, link), ...cells), link, cells }
    this.#rows.set(key, row)
    return row
  }

  #fill (row: Row, route: RouteRow): void {
    if (sameRoute(route, this.#chosen)) row.link.setAttribute('aria-current', 'true')
    else row.link.removeAttribute('aria-current')
    setAttribute(row.link, 'href', this.#addressOf(route))
    COLUMNS.forEach(([column, , unit], index) => {
      const cell = row.cells[index]
      if (cell === undefined) return
      const value = route[column]
      setText(cell, value === null ? '–' : text(value, unit))
      if (column === 'errors') cell.classList.toggle('bad', value !== null && value > 0)
    })
  }
}

function keyOf ({ method, route }: RouteName): string {
  return `${method} ${route}`
}
