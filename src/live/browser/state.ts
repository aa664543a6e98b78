import type { Chart, Line, Live, Mark, RouteName, Sample } from '../shape.js'

/** A pause between two points longer than this many steps is drawn as a gap. */
const GAP_STEPS = 2.5

/** What is shown once this sample has come: its points at the end, and none older than the range. */
export function append (live: Live, sample: Sample): Live {
  const { step, totals, ...rest } = sample
  const last = live.times.at(-1)
  const fresh = step !== null && (last === undefined || step.time > last) ? step : null
  const all = fresh === null ? live.times : [...live.times, fresh.time]
  const oldest = sample.time - sample.about.span
  const from = firstFrom(all, oldest)
  const charts = live.charts.map((chart, index) => {
    const known = totals[index]
    const lines = chart.lines.map((line, at) => {
      const values = fresh === null ? line.values : [...line.values, fresh.values[index]?.[at] ?? null]
      return { ...line, values: from === 0 ? values : values.slice(from), total: known !== undefined && at < known.length ? known[at] ?? null : line.total }
    })
    // The lines after those that the service still has are of a process before this one.
    return { ...chart, lines: lines.filter((line, at) => at < (known?.length ?? 0) || hasValue(line)) }
  }).filter((chart, index) => index < totals.length || chart.lines.length > 0)
  return { ...live, ...rest, marks: joinMarks(live.marks, sample.marks, oldest), times: from === 0 ? all : all.slice(from), charts }
}

/**
 * What is shown once a whole Live has come. Older points of the same range and route stay in front of the new ones, so
 * that the restart of a process does not erase the picture.
 */
export function merge (old: Live | null, fresh: Live): Live {
  if (old === null || old.range !== fresh.range || !sameRoute(old.route, fresh.route)) return fresh
  const first = fresh.times[0] ?? fresh.time
  const oldest = fresh.time - fresh.about.span
  const from = firstFrom(old.times, oldest)
  const to = firstFrom(old.times, first)
  const kept = old.times.slice(from, Math.max(from, to))
  const marks = joinMarks(old.marks, startMark(old, fresh), oldest)
  const last = kept.at(-1)
  if (last === undefined) return { ...fresh, marks }
  const gap = old.about.id !== fresh.about.id || first - last > GAP_STEPS * fresh.about.step
  const before = (line: Line | undefined): Array<number | null> => {
    const values: Array<number | null> = kept.map((_, index) => line?.values[from + index] ?? null)
    return gap ? [...values, null] : values
  }
  const after = fresh.times.map(() => null)
  const gone = (line: Line): Line => ({ ...line, values: [...before(line), ...after] })
  const charts = fresh.charts.map((chart): Chart => {
    const earlier = old.charts.find(({ id, kind }) => id === chart.id && kind === chart.kind)?.lines ?? []
    const lines = chart.lines.map((line) => ({ ...line, values: [...before(earlier.find(({ name }) => name === line.name)), ...line.values] }))
    return { ...chart, lines: [...lines, ...earlier.filter(({ name }) => !chart.lines.some((line) => line.name === name)).map(gone).filter(hasValue)] }
  })
  const goneCharts = old.charts.filter(({ id }) => !fresh.charts.some((chart) => chart.id === id))
    .map((chart) => ({ ...chart, lines: chart.lines.map(gone).filter(hasValue) }))
    .filter(({ lines }) => lines.length > 0)
  const times = [...kept, ...(gap ? [(last + first) / 2] : []), ...fresh.times]
  return { ...fresh, marks, times, charts: [...charts, ...goneCharts] }
}

export function sameRoute (a: RouteName | null, b: RouteName | null): boolean {
  return a?.route === b?.route && a?.method === b?.method
}

/** Whether the line has a point. */
export function hasValue (line: Line): boolean {
  return line.values.some((value) => value !== null)
}

/** Whether there has been any number yet. */
export function hasNumbers (live: Live): boolean {
  return live.times.length > 0 || live.summary.some(({ value }) => value !== null)
}

/** The lines as they are drawn: classes of a status in their order, and aborted requests last. */
export function inOrder (lines: readonly Line[]): Line[] {
  const place = ({ name }: Line): number => /^[1-5]xx$/.test(name) ? Number(name.charAt(0)) : name === 'aborted' ? 6 : 0
  return [...lines].sort((a, b) => place(a) - place(b))
}

/** The sums from the first line up to each line, and null where no line has a value. */
export function stacked (lines: readonly Line[]): Array<Array<number | null>> {
  const sums: number[] = []
  const known = (lines[0]?.values ?? []).map((_, index) => lines.some(({ values }) => (values[index] ?? null) !== null))
  return lines.map(({ values }) => known.map((has, index) => {
    sums[index] = (sums[index] ?? 0) + (values[index] ?? 0)
    return has ? sums[index] ?? 0 : null
  }))
}

/** The first moment on the time axis: of the range, or less of it while there are few points. */
export function axisStart (live: Live): number {
  const { span, step } = live.about
  const first = (live.times[0] ?? live.time) - step
  return Math.max(live.time - span, Math.min(first, live.time - span / 5))
}

/** The marks of a fresh Live, with the start of its process where it is a new one. */
function startMark (old: Live, fresh: Live): readonly Mark[] {
  const { started, service: { version } } = fresh.about
  const told = fresh.marks.some(({ kind, time }) => kind === 'start' && Math.abs(time - started) < 5000)
  if (old.about.id === fresh.about.id || told) return fresh.marks
  return [...fresh.marks, { time: started, kind: 'start', text: version === null ? 'started' : `started, ${version}` }]
}

function joinMarks (old: readonly Mark[], fresh: readonly Mark[], oldest: number): Mark[] {
  const marks = new Map<string, Mark>()
  // Its text may be known better later.
  for (const mark of [...old, ...fresh]) if (mark.time >= oldest) marks.set(`${mark.time} ${mark.kind}`, mark)
  return [...marks.values()].sort((a, b) => a.time - b.time)
}

/** The index of the first time that is not before this one; the length if there is none. */
function firstFrom (times: readonly number[], time: number): number {
  const index = times.findIndex((each) => each >= time)
  return index === -1 ? times.length : index
}
