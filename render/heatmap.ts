import { DataFrameType, FieldType, formattedValueToString, getValueFormat, type DataFrame } from '@grafana/data'
import type { Drawing } from './visualizations.js'

/** A rectangle and how much is in it. */
interface Cell {
  readonly from: number
  readonly to: number
  readonly row: number
  readonly count: number
}

const AXIS = 60
const TICKS = 22

/*
 * Grafana keeps its heatmap in its own repository and not on npm. This draws the same frames, with the same number formats, and says no
 * more than that there is something to draw.
 */
export function drawHeatmap (canvas: HTMLCanvasElement, { frames, panel, scene, theme, width, height }: Drawing): void {
  canvas.width = width
  canvas.height = height
  const context = canvas.getContext('2d') as CanvasRenderingContext2D
  const [frame] = frames as [DataFrame]
  const { rows, cells } = frame.meta?.type === DataFrameType.HeatmapCells ? nativeCells(frame) : classicCells(frame)
  const format = getValueFormat((panel.options['yAxis'] as { unit?: string }).unit)
  const most = Math.max(...cells.map(({ count }) => count))
  const x = (time: number) => AXIS + (width - AXIS) * (time / 1000 - scene.from) / (scene.to - scene.from)
  const tall = (height - TICKS) / rows.length
  for (const { from, to, row, count } of cells) {
    context.fillStyle = `rgba(255, 120, 10, ${Math.sqrt(count / most)})`
    context.fillRect(x(from), height - TICKS - (row + 1) * tall, Math.max(1, x(to) - x(from) - 1), Math.max(1, tall - 1))
  }
  context.fillStyle = theme.colors.text.secondary
  context.font = `12px ${theme.typography.fontFamily}`
  const every = Math.ceil(14 / tall)
  rows.forEach((bound, row) => {
    if (row % every === 0) context.fillText(bound === Infinity ? '+Inf' : formattedValueToString(format(bound)), 4, height - TICKS - row * tall - tall / 2 + 4)
  })
}

/** A row for each bound, and how many values were up to it and above the one before. */
function classicCells ({ fields }: DataFrame): { rows: number[], cells: Cell[] } {
  const [time, ...bounds] = fields
  const step = time?.config.interval ?? 0
  const times = (time?.values ?? []) as number[]
  const numbers = bounds.filter(({ type }) => type === FieldType.number)
  return {
    rows: numbers.map(({ name, config }) => Number((config.displayNameFromDS ?? name).replace('+Inf', 'Infinity'))),
    cells: numbers.flatMap(({ values }, row) => times.map((at, index) => ({ from: at - step, to: at, row, count: Number(values[index]) }))).filter(({ count }) => count > 0)
  }
}

function nativeCells (frame: DataFrame): { rows: number[], cells: Cell[] } {
  const [times, , upper, counts] = frame.fields.map(({ values }) => values as number[]) as [number[], number[], number[], number[]]
  const step = frame.fields[0]?.config.interval ?? 0
  const rows = [...new Set(upper)].sort((a, b) => a - b)
  return { rows, cells: times.map((at, index) => ({ from: at - step, to: at, row: rows.indexOf(upper[index] as number), count: counts[index] as number })) }
}
