import type { Builder } from '@grafana/grafana-foundation-sdk/cog'
import {
  BarGaugeDisplayMode, BigValueGraphMode, LegendDisplayMode, LegendPlacement, ReduceDataOptionsBuilder, SortOrder, StackingConfigBuilder, StackingMode,
  TooltipDisplayMode, VizLegendOptionsBuilder, VizOrientation, VizTooltipOptionsBuilder
} from '@grafana/grafana-foundation-sdk/common'
import { PanelBuilder as BarGaugeBuilder } from '@grafana/grafana-foundation-sdk/bargauge'
import { FieldColorBuilder, FieldColorModeId, ThresholdsConfigBuilder, ThresholdsMode, type ThresholdsConfig } from '@grafana/grafana-foundation-sdk/dashboard'
import { HeatmapColorMode, HeatmapColorOptionsBuilder, HeatmapTooltipBuilder, PanelBuilder as HeatmapBuilder, YAxisConfigBuilder } from '@grafana/grafana-foundation-sdk/heatmap'
import { DataqueryBuilder, PromQueryFormat } from '@grafana/grafana-foundation-sdk/prometheus'
import { PanelBuilder as StatBuilder } from '@grafana/grafana-foundation-sdk/stat'
import { PanelBuilder as TimeSeriesBuilder } from '@grafana/grafana-foundation-sdk/timeseries'
import { datasource } from './variables.js'

/** A query, and what its series are called. */
export type Query = readonly [expr: string, legend?: string]

/** What every panel says of itself. */
export interface Subject {
  readonly title: string
  /** What it shows, and what is bad. */
  readonly description: string
  /** Of Grafana's (https://github.com/grafana/grafana/blob/main/packages/grafana-data/src/valueFormats/categories.ts). */
  readonly unit: string
  readonly queries: readonly Query[]
  /** Of the 24 columns. */
  readonly width?: number
  readonly height?: number
}

/** From which values on it is yellow and red; downwards where red is less than yellow. */
export interface Limits {
  readonly yellow?: number
  readonly red?: number
}

/** Lines in time; a stack where they add up to a whole, signed where they go below 0. */
export function lines ({ title, description, unit, queries, width = 8, height = 8, stacked = false, signed = false, exemplars = false }: Subject & { stacked?: boolean, signed?: boolean, exemplars?: boolean }): TimeSeriesBuilder {
  const panel = new TimeSeriesBuilder()
    .title(title).description(description).datasource(datasource).unit(unit).span(width).height(height)
    .targets(queries.map(([expr, legend], index) => target(expr, legend, index).range().exemplar(exemplars)))
    .lineWidth(1).fillOpacity(stacked ? 30 : 8)
    .tooltip(new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi).sort(SortOrder.Descending))
    .legend(new VizLegendOptionsBuilder().showLegend(true).displayMode(LegendDisplayMode.Table).placement(LegendPlacement.Bottom).calcs(['mean', 'max', 'lastNotNull']).sortBy('Mean').sortDesc(true))
  if (!signed) panel.min(0)
  return stacked ? panel.stacking(new StackingConfigBuilder().mode(StackingMode.Normal)) : panel
}

/** Numbers of this moment. Asked for it alone: the last of a range could be an old one, from before the traffic stopped. */
export function stat ({ title, description, unit, queries, width = 3, height = 4, limits, noValue = 'no data' }: Subject & { limits?: Limits, noValue?: string }): StatBuilder {
  return new StatBuilder()
    .title(title).description(description).datasource(datasource).unit(unit).span(width).height(height)
    .targets(queries.map(([expr, legend], index) => target(expr, legend, index).instant()))
    .graphMode(BigValueGraphMode.None).noValue(noValue)
    .reduceOptions(new ReduceDataOptionsBuilder().calcs(['lastNotNull']))
    .thresholds(thresholds(limits)).colorScheme(byThresholds())
}

/** One number by a label, of this moment, the highest first where the query says so. */
export function bars ({ title, description, unit, queries, width = 8, height = 8, limits, format = PromQueryFormat.TimeSeries }: Subject & { limits?: Limits, format?: PromQueryFormat }): BarGaugeBuilder {
  return new BarGaugeBuilder()
    .title(title).description(description).datasource(datasource).unit(unit).span(width).height(height)
    .targets(queries.map(([expr, legend], index) => target(expr, legend, index).instant().format(format)))
    .orientation(VizOrientation.Horizontal).displayMode(BarGaugeDisplayMode.Basic).min(0)
    .reduceOptions(new ReduceDataOptionsBuilder().calcs(['lastNotNull']))
    .thresholds(thresholds(limits)).colorScheme(byThresholds())
}

/** The buckets of one histogram in time. */
export function heatmap ({ title, description, unit, queries, width = 12, height = 8 }: Subject): HeatmapBuilder {
  return new HeatmapBuilder()
    .title(title).description(description).datasource(datasource).unit('short').span(width).height(height)
    .targets(queries.map(([expr], index) => target(expr, '{{le}}', index).range().format(PromQueryFormat.Heatmap)))
    .calculate(false)
    .yAxis(new YAxisConfigBuilder().unit(unit))
    .color(new HeatmapColorOptionsBuilder().mode(HeatmapColorMode.Scheme).scheme('Oranges').fill('dark-orange').exponent(0.5).steps(64).reverse(false))
    .tooltip(new HeatmapTooltipBuilder().mode(TooltipDisplayMode.Single).yHistogram(true))
}

/** @param index of the query in its panel */
export function target (expr: string, legend: string | undefined, index: number): DataqueryBuilder {
  const query = new DataqueryBuilder().datasource(datasource).refId(String.fromCharCode(65 + index)).expr(expr)
  return legend === undefined ? query : query.legendFormat(legend)
}

export function thresholds ({ yellow, red }: Limits = {}): Builder<ThresholdsConfig> {
  const worse = [{ value: yellow, color: 'yellow' }, { value: red, color: 'red' }].filter((step): step is { value: number, color: string } => step.value !== undefined)
  // Downwards each colour begins where the one below it ends.
  const steps = yellow !== undefined && red !== undefined && red < yellow
    ? [{ value: null, color: 'red' }, { value: red, color: 'yellow' }, { value: yellow, color: 'green' }]
    : [{ value: null, color: worse.length === 0 ? 'blue' : 'green' }, ...worse]
  return new ThresholdsConfigBuilder().mode(ThresholdsMode.Absolute).steps(steps)
}

function byThresholds (): FieldColorBuilder {
  return new FieldColorBuilder().mode(FieldColorModeId.Thresholds)
}
