import type { Range, RouteName } from '../shape.js'

/** What the viewer chose to see; it stands in the address of the page. */
export interface View {
  readonly range: Range
  readonly route: RouteName | null
}

const RANGES: readonly Range[] = ['5m', '1h', '1d']

/** The view that an address asks for. What it does not say, or says wrongly, is the default. */
export function readView (search: string): View {
  const query = new URLSearchParams(search)
  const route = query.get('route')
  const method = query.get('method')
  const range = RANGES.find((each) => each === query.get('range')) ?? '5m'
  return { range, route: route === null || method === null ? null : { method, route } }
}

/** The view as a query, with its question mark. */
export function queryOf ({ range, route }: View): string {
  const query = new URLSearchParams({ range })
  if (route !== null) {
    query.set('route', route.route)
    query.set('method', route.method)
  }
  return `?${query}`
}
