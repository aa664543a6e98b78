import Plot from 'uplot'
import { colour } from './colours.js'
import { text } from './format.js'
import { bound, byBound, columns, darkness, highest } from './heat.js'
import { AXIS, commonOptions, labelWidth, timeAxis, type Card, type Drawn } from './plot.js'

/** A column is at least so many CSS pixels wide. */
const COLUMN = 3
const DARK = 10

/** A plot of buckets: the time goes right, the bounds go up, and a darker cell has counted more. */
export function heatPlot (target: HTMLElement, size: { width: number, height: number }, card: Card): Plot {
  const common = commonOptions(size, card)
  return new Plot({
    ...common,
    cursor: { ...common.cursor, points: { show: false } },
    hooks: { ...common.hooks, drawAxes: [(plot) => { drawCells(plot, card.drawn()) }] },
    series: [{}, { paths: () => null, points: { show: false } }],
    scales: { x: common.scales.x, y: { auto: false, range: (): [number, number] => [0, Math.max(1, card.drawn().chart.lines.length)] } },
    axes: [timeAxis(), {
      ...AXIS,
      grid: { show: false },
      splits: (plot) => rowsWithLabel(card.drawn().chart.lines.length, plot.bbox.height / Plot.pxRatio),
      size: (_plot, values) => labelWidth(values),
      values: (_plot, rows) => rows.map((row) => boundText(card.drawn(), row - 1))
    }]
  }, heatData(card.drawn()), target)
}

/** Only the times: the cells are drawn by hand. */
export function heatData ({ live }: Drawn): Plot.AlignedData {
  return [live.times, live.times.map(() => null)] as unknown as Plot.AlignedData
}

/** The step whose cell is under the pointer: a cell lies before its time. Elsewhere in the page, the step nearest to the pointer's moment. */
export function heatIndex (plot: Plot, { live }: Drawn): number | null {
  if (!plot.over.matches(':hover')) return plot.cursor.idx ?? null
  const pointed = plot.posToVal(plot.cursor.left ?? 0, 'x')
  const index = live.times.findIndex((time) => time >= pointed)
  return index === -1 ? live.times.length - 1 : index
}

/** What is under the pointer, in words: the bucket where the pointer is in this plot, or else all of them. */
export function heatWords (plot: Plot, { chart }: Drawn, index: number): string {
  const lines = byBound(chart.lines)
  const counts = lines.map(({ values }) => values[index] ?? null)
  if (counts.every((count) => count === null)) return 'no data'
  if (!plot.over.matches(':hover')) return `${text(counts.reduce<number>((sum, count) => sum + (count ?? 0), 0), 'number')} in this step`
  const row = Math.min(lines.length - 1, Math.max(0, Math.floor(plot.posToVal(plot.cursor.top ?? 0, 'y'))))
  const range = row === 0 ? `up to ${boundText({ chart }, 0)}` : `${boundText({ chart }, row - 1)} to ${boundText({ chart }, row)}`
  return `${range}: ${text(counts[row] ?? null, 'number')}`
}

/** The upper bound of a row. The chart's unit is that of its bounds; what a bucket counts is a plain number. */
function boundText ({ chart }: Pick<Drawn, 'chart'>, row: number): string {
  const name = byBound(chart.lines)[row]?.name ?? ''
  const value = bound(name)
  if (value === Infinity) return '∞'
  if (Number.isNaN(value)) return name
  return text(value, chart.unit)
}

/** The rows whose upper bound is told, such that the labels have room. */
function rowsWithLabel (rows: number, height: number): number[] {
  const every = Math.max(1, Math.ceil(rows * 14 / Math.max(14, height)))
  const result: number[] = []
  for (let row = rows; row > 0; row -= every) result.unshift(row)
  return result
}

function drawCells (plot: Plot, { chart, live }: Drawn): void {
  const { ctx, bbox } = plot
  const ratio = Plot.pxRatio
  const all = columns(live.times, byBound(chart.lines), live.about.step, bbox.width / ratio / COLUMN)
  const most = highest(all)
  ctx.save()
  ctx.beginPath()
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height)
  ctx.clip()
  ctx.fillStyle = colour('--heat')
  for (const column of all) {
    const left = Math.round(plot.valToPos(column.from, 'x', true))
    const right = Math.max(left + 1, Math.round(plot.valToPos(column.to, 'x', true)))
    column.counts.forEach((count, row) => {
      if (count === null || count <= 0) return
      const top = Math.round(plot.valToPos(row + 1, 'y', true))
      const bottom = Math.round(plot.valToPos(row, 'y', true))
      ctx.globalAlpha = Math.ceil(darkness(count, most) * DARK) / DARK
      ctx.fillRect(left, top, right - left, Math.max(1, bottom - top - ratio))
    })
  }
  ctx.restore()
}
