import t from 'tap'
import { lineColour } from '../../src/live/browser/colours.js'
import { byBound, columns, darkness, highest } from '../../src/live/browser/heat.js'
import { ordered, steady } from '../../src/live/browser/route-order.js'
import { append, axisStart, hasNumbers, inOrder, merge, stacked } from '../../src/live/browser/state.js'
import { queryOf, readView } from '../../src/live/browser/view.js'
import type { Chart, Line, Live, RouteRow, Sample } from '../../src/live/shape.js'

const STEP = 1000
const SPAN = 10_000

const line = (name: string, values: Line['values'], total: number | null = null): Line => ({ name, values, total })

function chart (id: string, ...lines: Line[]): Chart {
  return { id, section: 'traffic', title: id, help: '', unit: 'number', kind: 'line', of: 'all', lines }
}

/** What a process tells that has been asked at this time. */
function liveAt (time: number, times: number[], charts: Chart[], { id = 'a', ...more }: Partial<Live> & { id?: string } = {}): Live {
  const about = { service: { name: 'walks', version: '1.4.2', commit: null }, host: 'h', pid: 1, node: 'v20', id, started: 0, processes: null, interval: STEP, step: STEP, span: SPAN }
  return { version: 1, time, range: '5m', route: null, about, problems: [], summary: [], times, charts, routes: [], marks: [], leftOut: [], ...more }
}

function sampleOf (live: Live, time: number, values: Array<Array<number | null>> | null, totals: Array<Array<number | null>> = live.charts.map(({ lines }) => lines.map(() => null))): Sample {
  const { about, problems, summary, routes, marks, leftOut } = live
  return { time, about, problems, summary, routes, marks, leftOut, step: values === null ? null : { time, values }, totals }
}

t.test('a sample is put at the end, and what is older than the range goes', async (t) => {
  const live = liveAt(10_000, [1000, 9000, 10_000], [chart('c', line('x', [1, 2, null]))])
  const next = append(live, sampleOf(live, 11_500, [[4]], [[7]]))
  t.same(next.times, [9000, 10_000, 11_500])
  t.same(next.charts[0]?.lines, [line('x', [2, null, 4], 7)])
  t.same(live.times, [1000, 9000, 10_000], 'what was shown before is not changed')
})

t.test('a sample within a step brings its numbers, and no point', async (t) => {
  const live = liveAt(10_000, [9000, 10_000], [chart('c', line('x', [1, 2], 5))])
  const next = append(live, { ...sampleOf(live, 10_500, null, [[6]]), summary: [{ id: 's', title: 's', unit: 'number', value: 1, max: null }] })
  t.same(next.times, [9000, 10_000])
  t.equal(next.charts[0]?.lines[0]?.total, 6)
  t.equal(next.summary.length, 1)
  t.equal(next.time, 10_500)
})

t.test('a sample that came before is not put there twice', async (t) => {
  const live = liveAt(10_000, [9000, 10_000], [chart('c', line('x', [1, 2]))])
  t.same(append(live, sampleOf(live, 10_000, [[9]])).times, [9000, 10_000])
})

t.test('memory does not grow with time', async (t) => {
  let live = liveAt(0, [], [chart('c', line('x', []))])
  for (let time = STEP; time <= 500 * STEP; time += STEP) {
    live = append(live, { ...sampleOf(live, time, [[time]]), marks: time % 5000 === 0 ? [{ time, kind: 'start', text: 'started' }] : [] })
  }
  t.equal(live.times.length, 11)
  t.equal(live.charts[0]?.lines[0]?.values.length, 11)
  t.equal(live.marks.length, 3)
})

t.test('a restart leaves the picture, with a gap and a mark', async (t) => {
  const old = liveAt(10_000, [8000, 9000, 10_000], [chart('c', line('2xx', [1, 2, 3]), line('5xx', [null, 1, null])), chart('gone', line('y', [5, 5, 5]))])
  const fresh = liveAt(13_000, [13_000], [chart('c', line('2xx', [7])), chart('new', line('z', [1]))], { id: 'b' })
  const shown = merge(old, { ...fresh, about: { ...fresh.about, started: 12_000 } })
  t.same(shown.times, [8000, 9000, 10_000, 11_500, 13_000])
  t.same(shown.charts.map(({ id, lines }) => [id, ...lines]), [
    ['c', line('2xx', [1, 2, 3, null, 7]), line('5xx', [null, 1, null, null, null])],
    ['new', line('z', [null, null, null, null, 1])],
    ['gone', line('y', [5, 5, 5, null, null])]
  ])
  t.same(shown.marks, [{ time: 12_000, kind: 'start', text: 'started, 1.4.2' }])
})

t.test('a mark of the service for that start is not doubled', async (t) => {
  const old = liveAt(10_000, [10_000], [chart('c', line('x', [1]))])
  const marks = [{ time: 12_100, kind: 'start' as const, text: 'started, 1.4.2' }]
  const fresh = liveAt(13_000, [13_000], [chart('c', line('x', [7]))], { id: 'b', marks })
  t.same(merge(old, { ...fresh, about: { ...fresh.about, started: 12_000 } }).marks, marks)
})

t.test('a mark whose text is known better later is one mark', async (t) => {
  const mark = (text: string) => ({ time: 9000, kind: 'start' as const, text })
  const old = liveAt(10_000, [10_000], [chart('c', line('x', [1]))], { marks: [mark('started, 1.0.0')] })
  const fresh = liveAt(11_000, [10_000, 11_000], [chart('c', line('x', [1, 2]))], { marks: [mark('started, 2.0.0')] })
  t.same(merge(old, fresh).marks, [mark('started, 2.0.0')])
})

t.test('lines and charts of the process before go when their last point is out of the range', async (t) => {
  const old = liveAt(10_000, [10_000], [chart('c', line('x', [1]), line('old', [1])), chart('gone', line('y', [5]))])
  const fresh = liveAt(12_000, [12_000], [chart('c', line('x', [7]))], { id: 'b' })
  let shown = merge(old, fresh)
  t.same(shown.charts.map(({ lines }) => lines.length), [2, 1])
  for (let time = 13_000; time <= 21_000; time += STEP) shown = append(shown, sampleOf(fresh, time, [[time]]))
  t.same(shown.charts.map(({ id, lines }) => [id, lines.map(({ name }) => name)]), [['c', ['x']]])
  t.equal(shown.charts[0]?.lines[0]?.values.at(-1), 21_000)
})

t.test('a connection that was away shortly leaves no gap', async (t) => {
  const old = liveAt(10_000, [8000, 9000, 10_000], [chart('c', line('x', [1, 2, 3]))])
  const shown = merge(old, liveAt(11_000, [10_000, 11_000], [chart('c', line('x', [3, 4]))]))
  t.same(shown.times, [8000, 9000, 10_000, 11_000])
  t.same(shown.charts[0]?.lines[0]?.values, [1, 2, 3, 4])
  t.same(shown.marks, [])
})

t.test('another range or another route starts anew', async (t) => {
  const old = liveAt(10_000, [9000], [chart('c', line('x', [1]))])
  t.same(merge(old, liveAt(10_000, [10_000], [], { range: '1h' })).times, [10_000])
  t.same(merge(old, liveAt(10_000, [10_000], [], { route: { method: 'GET', route: '/' } })).times, [10_000])
  t.same(merge(null, old), old)
})

t.test('areas stand on each other; where nothing is known there is nothing', async (t) => {
  t.same(stacked([line('a', [1, null, null]), line('b', [2, 3, null])]), [[1, 0, null], [3, 3, null]])
  t.same(stacked([]), [])
})

t.test('classes of a status are drawn in their order, whichever came first', async (t) => {
  const names = (...lines: string[]): string[] => inOrder(lines.map((name) => line(name, []))).map(({ name }) => name)
  t.same(names('5xx', 'aborted', '2xx', '4xx'), ['2xx', '4xx', '5xx', 'aborted'])
  t.same(names('small', 'large'), ['small', 'large'])
})

t.test('the time axis is that of the range, and shorter while there are few points', async (t) => {
  t.equal(axisStart(liveAt(100_000, [89_000, 99_000], [])), 90_000)
  t.equal(axisStart(liveAt(100_000, [96_000], [])), 95_000)
  t.equal(axisStart(liveAt(100_000, [], [])), 98_000)
})

t.test('there are no numbers before the first', async (t) => {
  t.equal(hasNumbers(liveAt(1, [], [])), false)
  t.equal(hasNumbers(liveAt(1, [1], [])), true)
})

t.test('columns of a heatmap are joined to the width that there is', async (t) => {
  const times = Array.from({ length: 100 }, (_, index) => (index + 1) * STEP)
  const lines = [line('1', times.map((_, index) => index % 2)), line('+Inf', times.map(() => null))]
  const joined = columns(times, lines, STEP, 10)
  t.ok(joined.length <= 11)
  t.same(joined[1]?.counts, [0.5, null])
  t.equal(highest(joined), 0.5)
  t.equal(columns(times, lines, STEP, 1000).length, 100)
  t.same(columns([], lines, STEP, 10), [])
})

t.test('a heatmap shows a gap as a gap', async (t) => {
  const all = columns([1000, 2000, 3000, 60_000], [line('1', [1, null, 3, 4])], STEP, 1)
  t.same(all.map(({ from, to }) => [from, to]), [[0, 1000], [2000, 3000], [56_000, 60_000]])
})

t.test('buckets are in the order of their bounds, and an empty one has no colour', async (t) => {
  t.same(byBound(['+Inf', '10', '2.5', '0.005'].map((name) => line(name, []))).map(({ name }) => name), ['0.005', '2.5', '10', '+Inf'])
  t.equal(darkness(0, 10), 0)
  t.equal(darkness(10, 10), 1)
  t.ok(darkness(1, 10_000) > 0.1)
})

t.test('the address keeps the view', async (t) => {
  const view = { range: '1h' as const, route: { method: 'GET', route: '/walks/:id?x=1&y' } }
  t.same(readView(queryOf(view)), view)
  t.same(readView(queryOf({ range: '1d', route: null })), { range: '1d', route: null })
  t.same(readView('?range=7y&route=/walks'), { range: '5m', route: null })
})

t.test('routes are filtered and sorted, those without a number last', async (t) => {
  const row = (method: string, route: string, p95: number | null): RouteRow => ({ method, route, p95, rate: 1, errors: 0, p50: 0, inFlight: 0, databaseSeconds: null, queries: null })
  const rows = [row('GET', '/b', 1), row('POST', '/a', null), row('GET', '/a', 3), row('GET', '/c', 2)]
  const names = (found: RouteRow[]): string[] => found.map(({ method, route }) => `${method} ${route}`)
  t.same(names(ordered(rows, '', { column: 'p95', down: true })), ['GET /a', 'GET /c', 'GET /b', 'POST /a'])
  t.same(names(ordered(rows, '', { column: 'p95', down: false })), ['GET /b', 'GET /c', 'GET /a', 'POST /a'])
  t.same(names(ordered(rows, ' get A ', { column: 'route', down: false })), ['GET /a'])
  t.same(names(steady(rows, ['/c', '/a'], ({ route }) => route)), ['GET /c', 'POST /a', 'GET /a', 'GET /b'])
})

t.test('a line has the colour of its meaning, or else of its place', async (t) => {
  t.same(['2xx', '404', '5xx', '499', 'aborted', 'p95'].map((name) => lineColour(name, 0)), ['--status-2', '--status-4', '--status-5', '--aborted', '--aborted', '--quantile-2'])
  t.same([lineColour('small', 0), lineColour('2xx {x}', 9)], ['--line-1', '--line-2'])
})
