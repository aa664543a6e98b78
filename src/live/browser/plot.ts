import Plot from 'uplot'
import type { Chart, Live, Mark } from '../shape.js'
import { bounds, splits, TIME_STEPS } from './axis.js'
import { timeTicks } from './clock.js'
import { colour, lineColour } from './colours.js'
import { ticks, visible } from './format.js'
import { axisStart, stacked } from './state.js'

export const FONT = '11px system-ui, sans-serif'
/** All charts show the pointer's moment. */
const SYNC = 'live'
const LABEL = 22
const AXIS_WIDTH = 58
/** What a label of the y axis takes, in CSS pixels. */
const SPACE = 28
const RIGHT = 12

/** What a plot reads while it draws. */
export interface Drawn {
  readonly chart: Chart
  readonly live: Live
}

/** What a plot needs of its card. */
export interface Card {
  readonly drawn: () => Drawn
  /** Whether it can be seen: only then the pointer of other charts is followed. */
  readonly near: () => boolean
  /** The pointer moved. */
  readonly pointed: (plot: Plot) => void
}

/** A plot of lines, or of areas that stand on each other. */
export function linePlot (target: HTMLElement, size: { width: number, height: number }, card: Card): Plot {
  const { chart } = card.drawn()
  const area = chart.kind === 'area'
  const common = commonOptions(size, card)
  return new Plot({
    ...common,
    cursor: { ...common.cursor, points: { size: 7, width: 1, fill: (_plot, index) => lineColourOf(chart, index), stroke: () => colour('--card') } },
    series: [{}, ...chart.lines.map((line, index): Plot.Series => {
      const property = lineColour(line.name, index)
      return {
        // An area has no outline: that would show a colour where the value is 0.
        ...(area ? { width: 0, fill: () => translucent(colour(property)) } : { width: 1.5, stroke: () => colour(property) }),
        points: { size: 4, stroke: () => colour(property), fill: () => colour(property), filter: alone }
      }
    })],
    ...(area && { bands: chart.lines.slice(1).map((_, index) => ({ series: [index + 2, index + 1] as [number, number] })) }),
    scales: {
      x: common.scales.x,
      y: { range: (_plot, least, most) => bounds(card.drawn().chart.unit, least, most) }
    },
    axes: [timeAxis(), {
      ...AXIS,
      splits: (plot, _axis, least, most) => splits(card.drawn().chart.unit, least, most, plot.bbox.height / Plot.pxRatio / SPACE),
      size: (_plot, values) => labelWidth(values),
      values: (_plot, values) => ticks(values, card.drawn().chart.unit)
    }]
  }, dataOf(card.drawn()), target)
}

/** The points as uPlot takes them. It does not change them, but its types do not say so. */
export function dataOf ({ chart, live }: Drawn): Plot.AlignedData {
  const values = chart.kind === 'area' ? stacked(chart.lines) : chart.lines.map((line) => line.values)
  return [live.times, ...values] as unknown as Plot.AlignedData
}

/** The options that plots of all kinds share. */
export function commonOptions (size: { width: number, height: number }, card: Card) {
  return {
    ...size,
    ms: 1 as const,
    padding: [13, RIGHT, 0, 0] as Plot.Padding,
    legend: { show: false },
    select: { show: false, left: 0, top: 0, width: 0, height: 0 },
    cursor: {
      y: false,
      drag: { x: false, y: false, setScale: false },
      sync: { key: SYNC, scales: ['x', null] as Plot.Cursor.Sync.Scales, filters: { sub: () => card.near() } }
    },
    scales: { x: { time: true, range: (): [number, number] => [axisStart(card.drawn().live), card.drawn().live.time] } },
    hooks: {
      draw: [(plot: Plot) => { drawMarks(plot, card.drawn().live.marks) }],
      setCursor: [(plot: Plot) => { card.pointed(plot) }]
    }
  }
}

export const AXIS: Plot.Axis = {
  font: FONT,
  stroke: () => colour('--muted'),
  gap: 4,
  grid: { stroke: () => colour('--grid'), width: 1 },
  ticks: { show: false }
}

export function timeAxis (): Plot.Axis {
  return {
    ...AXIS,
    size: LABEL,
    incrs: TIME_STEPS,
    space: 64,
    grid: { show: false },
    ticks: { show: true, size: 4, stroke: () => colour('--grid'), width: 1 },
    values: (plot, times, _axis, _space, apart) => timeTicks(times, apart).map((label, index) => {
      const room = plot.bbox.width / Plot.pxRatio - plot.valToPos(times[index] ?? 0, 'x') + RIGHT
      return room < label.length * 3.4 ? '' : label
    })
  }
}

/** How wide an axis is for these labels, in CSS pixels. Most are of one width, so that the charts stand in line. */
export function labelWidth (values: readonly string[] | null): number {
  const longest = Math.max(...(values ?? []).map((value) => (value ?? '').length), 3)
  return Math.min(96, Math.max(AXIS_WIDTH, Math.ceil(longest * 6.3) + 10))
}

/** The points that have no neighbour, which a line would not show. */
function alone (plot: Plot, series: number): number[] {
  const values = plot.data[series] ?? []
  const result: number[] = []
  for (let index = 0; index < values.length; index++) {
    if (values[index] != null && values[index - 1] == null && values[index + 1] == null) result.push(index)
  }
  return result
}

/** A dashed line at each mark, with its text where there is room for it. */
function drawMarks (plot: Plot, marks: readonly Mark[]): void {
  const { ctx, bbox } = plot
  const ratio = Plot.pxRatio
  const end = bbox.left + bbox.width
  const taken: Array<readonly [from: number, to: number]> = []
  ctx.save()
  ctx.strokeStyle = ctx.fillStyle = colour('--mark')
  ctx.lineWidth = ratio
  ctx.font = `${10 * ratio}px system-ui, sans-serif`
  ctx.textBaseline = 'top'
  ctx.textAlign = 'left'
  // Where a process ended as the next one started, there is room for one text: that of the start.
  for (const mark of [...marks].sort((a, b) => Number(b.kind === 'start') - Number(a.kind === 'start') || b.time - a.time)) {
    const x = Math.round(plot.valToPos(mark.time, 'x', true))
    if (x < bbox.left || x > end) continue
    ctx.setLineDash([4 * ratio, 3 * ratio])
    ctx.beginPath()
    ctx.moveTo(x + 0.5, bbox.top)
    ctx.lineTo(x + 0.5, bbox.top + bbox.height)
    ctx.stroke()
    const text = shortened(visible(mark.text))
    const width = ctx.measureText(text).width + 4 * ratio
    const left = x + width > end ? end - width : x
    if (taken.some(([from, to]) => left < to && left + width > from)) continue
    ctx.fillText(text, left, bbox.top - 11 * ratio)
    taken.push([left, left + width + 4 * ratio])
  }
  ctx.restore()
}

function shortened (text: string): string {
  return text.length > 24 ? `${text.slice(0, 23)}…` : text
}

/** The colour of a series of uPlot, whose first is the time. */
function lineColourOf (chart: Chart, index: number): string {
  return colour(lineColour(chart.lines[index - 1]?.name ?? '', index - 1))
}

function translucent (rgb: string): string {
  return rgb.replace(/^rgb\((.*)\)$/, 'rgba($1, 0.85)')
}
