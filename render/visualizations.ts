import {
  applyNullInsertThreshold, FieldType, getFieldDisplayValues, getDisplayValueAlignmentFactors, VizOrientation,
  type DataFrame, type DisplayValueAlignmentFactors, type FieldDisplay, type GrafanaTheme2, type ReduceDataOptions
} from '@grafana/data'
import { BarGauge, BigValue, Table, TimeSeries, VizRepeater, type UPlotConfigBuilder } from '@grafana/ui'
import { createElement as h, type ComponentProps, type ReactElement } from 'react'
import type { Panel, Scene } from './dashboard.js'
import { drawHeatmap } from './heatmap.js'

/** When something happened, and the colour of its line. */
export interface Mark {
  readonly time: number
  readonly color: string
}

export interface Drawing {
  readonly panel: Panel
  readonly frames: DataFrame[]
  readonly scene: Scene
  readonly marks: readonly Mark[]
  readonly theme: GrafanaTheme2
  readonly width: number
  readonly height: number
}

type Repeated = Partial<ComponentProps<typeof VizRepeater<FieldDisplay, DisplayValueAlignmentFactors>>>

/** What is in a panel's frame. Stats and bars say themselves that there is nothing; the others say it in the middle. */
export function visualization (drawing: Drawing): ReactElement {
  const { panel, frames } = drawing
  if (panel.type === 'stat') return stat(drawing)
  const isEmpty = frames.length === 0 || frames.every(({ length }) => length === 0)
  if (panel.type === 'bargauge') return bars(drawing)
  if (isEmpty) return h('div', { className: 'nothing' }, panel.fieldConfig.defaults.noValue ?? 'No data')
  if (panel.type === 'timeseries') return lines(drawing)
  if (panel.type === 'heatmap') return h('canvas', { ref: (canvas: HTMLCanvasElement | null) => { if (canvas !== null) drawHeatmap(canvas, drawing) } })
  return h(Table, { data: frames[0] as DataFrame, width: drawing.width, height: drawing.height, initialSortBy: panel.options['sortBy'] as never })
}

function values ({ panel, frames, theme }: Drawing): FieldDisplay[] {
  return getFieldDisplayValues({
    fieldConfig: panel.fieldConfig,
    reduceOptions: panel.options['reduceOptions'] as ReduceDataOptions,
    replaceVariables: (value) => value,
    theme,
    data: frames,
    sparkline: false,
    timeZone: 'utc'
  })
}

function stat (drawing: Drawing): ReactElement {
  const { width, height, theme, panel } = drawing
  return h(VizRepeater, {
    width,
    height,
    source: drawing.frames,
    renderCounter: 0,
    orientation: VizOrientation.Auto,
    getValues: () => values(drawing),
    getAlignmentFactors: (all) => getDisplayValueAlignmentFactors(all),
    renderValue: ({ value, width, height, count }) => h(BigValue, {
      value: value.display,
      count,
      theme,
      width,
      height,
      colorMode: (panel.options['colorMode'] ?? 'value') as never,
      graphMode: 'none' as never,
      justifyMode: 'auto' as never,
      textMode: panel.options['textMode'] ?? 'auto',
      text: panel.options['text'] ?? {}
    } as never)
  } satisfies Repeated as never)
}

function bars (drawing: Drawing): ReactElement {
  const { width, height, theme, panel } = drawing
  return h(VizRepeater, {
    width,
    height,
    source: drawing.frames,
    renderCounter: 0,
    orientation: VizOrientation.Horizontal,
    itemSpacing: 10,
    minVizHeight: 16,
    maxVizHeight: 300,
    getValues: () => values(drawing),
    getAlignmentFactors: (all) => getDisplayValueAlignmentFactors(all),
    renderValue: ({ value, width, height, alignmentFactors, orientation }) => h(BarGauge, {
      value: value.display,
      field: value.field,
      theme,
      width,
      height,
      orientation,
      alignmentFactors,
      displayMode: panel.options['displayMode'],
      namePlacement: panel.options['namePlacement'] ?? 'auto',
      text: panel.options['text'],
      showUnfilled: true,
      isOverflow: false,
      itemSpacing: 10
    } as never)
  } satisfies Repeated as never)
}

function lines (drawing: Drawing): ReactElement {
  const { frames, scene, marks, theme, width, height, panel } = drawing
  const hooked = new WeakSet<UPlotConfigBuilder>()
  const range = { from: scene.from * 1000, to: scene.to * 1000 }
  return h(TimeSeries, {
    // A line breaks where a step has no value, as in Grafana's own panel.
    frames: frames.filter(({ fields }) => fields.some(({ type }) => type === FieldType.number))
      .map((frame) => applyNullInsertThreshold({ frame, refFieldPseudoMin: range.from, refFieldPseudoMax: range.to })),
    width,
    height,
    theme,
    timeZone: 'utc',
    timeRange: { from: moment(range.from), to: moment(range.to), raw: { from: 'now-15m', to: 'now' } } as never,
    legend: panel.options['legend'] as never,
    children: (config: UPlotConfigBuilder) => {
      if (!hooked.has(config)) {
        hooked.add(config)
        config.addHook('draw', (plot) => {
          for (const { time, color } of marks) {
            const x = plot.valToPos(time, 'x', true)
            plot.ctx.fillStyle = color
            plot.ctx.fillRect(x, plot.bbox.top, 1, plot.bbox.height)
          }
        })
      }
      return null
    }
  } as never)
}

/** A time as the components take it, of which they ask no more. */
function moment (milliseconds: number): { valueOf: () => number } {
  return { valueOf: () => milliseconds }
}
