import type { RouteRow } from '../shape.js'

/** What the table of routes can be sorted by. */
export type Column = 'route' | Exclude<keyof RouteRow, 'route' | 'method'>

export interface Order {
  readonly column: Column
  readonly down: boolean
}

/** The routes that have all words of the filter in their method or path, in this order. A route without a number is last. */
export function ordered (rows: readonly RouteRow[], filter: string, { column, down }: Order): RouteRow[] {
  const words = filter.toLowerCase().split(/\s+/).filter((word) => word !== '')
  const found = rows.filter(({ method, route }) => {
    const name = `${method} ${route}`.toLowerCase()
    return words.every((word) => name.includes(word))
  })
  return found.sort((a, b) => {
    if (column === 'route') return byName(a, b) * (down ? -1 : 1)
    const [left, right] = [a[column], b[column]]
    if (left === null || right === null) return left === right ? byName(a, b) : left === null ? 1 : -1
    return (down ? right - left : left - right) || byName(a, b)
  })
}

/** Routes that stay where they were, and after them those that are new. */
export function steady (rows: readonly RouteRow[], before: readonly string[], keyOf: (row: RouteRow) => string): RouteRow[] {
  const places = new Map(before.map((key, index) => [key, index]))
  return [...rows].sort((a, b) => (places.get(keyOf(a)) ?? Infinity) - (places.get(keyOf(b)) ?? Infinity) || 0)
}

function byName (a: RouteRow, b: RouteRow): number {
  return compare(a.route, b.route) || compare(a.method, b.method)
}

function compare (a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
