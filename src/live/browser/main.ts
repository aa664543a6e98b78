import type { Live, LeftOut, RouteName } from '../shape.js'
import { Charts } from './charts.js'
import { Connection } from './connection.js'
import { byId, element, setText } from './element.js'
import { visible } from './format.js'
import { Heading } from './heading.js'
import { Problems } from './problems.js'
import { Routes } from './routes.js'
import { append, merge } from './state.js'
import { themes } from './theme.js'
import { Tiles } from './tiles.js'
import { queryOf, readView, type View } from './view.js'

const address = document.documentElement.dataset['live'] ?? 'live'
let view = readView(location.search)
let live: Live | null = null
/** Since when the picture stands still. */
let paused: number | null = null
let lost = false
let leftOut = ''

const connection = new Connection(address, {
  live: (fresh) => { take(merge(live, fresh)) },
  sample: (sample) => { if (live !== null) take(append(live, sample)) },
  state: (state) => {
    heading.connection(state)
    lost = state.kind === 'lost'
    document.body.classList.toggle('stale', lost)
    problems.show(live, lost)
  }
})

const heading = new Heading((range) => { go({ ...view, range }) }, pause)
const problems = new Problems()
const tiles = new Tiles(byId('tiles'))
const charts = new Charts(new Map((['traffic', 'database', 'outgoing', 'cache', 'process', 'own'] as const).map((section) => [section, byId(`${section}-charts`)])))
const routes = new Routes(byId('routes'), (route) => queryOf({ ...view, route }), (route) => { go({ ...view, route }) })

themes(document.querySelectorAll<HTMLButtonElement>('button[data-theme]'), () => { charts.recolour() })
byId('all-routes').addEventListener('click', (event) => {
  event.preventDefault()
  go({ ...view, route: null })
})
addEventListener('popstate', () => { see(readView(location.search)) })
see(view)

/** Shows another view, and puts it into the address. */
function go (next: View): void {
  history.pushState(null, '', queryOf(next))
  see(next)
}

function see (next: View): void {
  view = next
  heading.range(view.range)
  showRoute(view.route)
  byId('json').setAttribute('href', `${address}.json${queryOf(view)}`)
  byId('all-routes').setAttribute('href', queryOf({ ...view, route: null }))
  pause(false)
  document.body.classList.add('changing')
  connection.ask(queryOf(view))
}

function take (next: Live): void {
  live = next
  heading.about(next.about, next.problems.length)
  problems.show(live, lost)
  if (paused === null) show(live)
}

function show (now: Live): void {
  document.body.classList.remove('changing')
  tiles.show(now.summary)
  charts.update(now)
  routes.show(now.routes, view.route)
  showLeftOut(now.leftOut)
}

function pause (stop: boolean): void {
  paused = stop ? Date.now() : null
  heading.paused(paused)
  if (!stop && live !== null) show(live)
}

function showRoute (route: RouteName | null): void {
  byId('chosen').hidden = route === null
  setText(byId('chosen-route'), route === null ? '' : visible(`${route.method} ${route.route}`))
}

function showLeftOut (list: readonly LeftOut[]): void {
  const fresh = JSON.stringify(list)
  if (fresh === leftOut) return
  leftOut = fresh
  const rows = list.map(({ what, where }) => element('li', {}, element('bdi', {}, visible(what)), ': ', element('bdi', {}, visible(where))))
  byId('left-out').replaceChildren(...rows.length === 0 ? [element('li', {}, 'Nothing.')] : rows)
}
