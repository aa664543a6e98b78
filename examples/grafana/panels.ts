import type { Builder } from '@grafana/grafana-foundation-sdk/cog'
import {
  BarGaugeDisplayMode, BarGaugeNamePlacement, BigValueGraphMode, LegendDisplayMode, LegendPlacement, ReduceDataOptionsBuilder, SortOrder, StackingConfigBuilder, StackingMode,
  TooltipDisplayMode, VisibilityMode, VizLegendOptionsBuilder, VizOrientation, VizTextDisplayOptionsBuilder, VizTooltipOptionsBuilder
} from '@grafana/grafana-foundation-sdk/common'
import { PanelBuilder as BarGaugeBuilder } from '@grafana/grafana-foundation-sdk/bargauge'
import {
  DashboardLinkBuilder, FieldColorBuilder, FieldColorModeId, MappingType, SpecialValueMatch, ThresholdsConfigBuilder, ThresholdsMode,
  type DashboardLink, type SpecialValueMap, type ThresholdsConfig
} from '@grafana/grafana-foundation-sdk/dashboard'
import { HeatmapColorMode, HeatmapColorOptionsBuilder, HeatmapTooltipBuilder, PanelBuilder as HeatmapBuilder, YAxisConfigBuilder } from '@grafana/grafana-foundation-sdk/heatmap'
import { DataqueryBuilder, PromQueryFormat } from '@grafana/grafana-foundation-sdk/prometheus'
import { PanelBuilder as StatBuilder } from '@grafana/grafana-foundation-sdk/stat'
import { PanelBuilder as TimeSeriesBuilder } from '@grafana/grafana-foundation-sdk/timeseries'
import { runbookUrl, type Section } from './links.js'
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
  /** The word for what is missing where the queries give nothing; it is neither good nor bad. */
  readonly noValue: string
  /** The section of the runbook for the alert that looks at the same. */
  readonly runbook?: Section
  /** Of the 24 columns. */
  readonly width?: number
  readonly height?: number
}

/** From which values on it is yellow and red; downwards where red is less than yellow. */
export interface Limits {
  readonly yellow?: number
  readonly red?: number
}

/** How lines look. */
export interface Look {
  /** Lines that add up to a whole. */
  readonly stacked?: boolean
  /** Lines that go below 0. */
  readonly signed?: boolean
  readonly exemplars?: boolean
  /** The axis reaches at least to here, and further with the values. Default: by the unit. */
  readonly atLeast?: number
  readonly decimals?: number
}

/** Where the axis of zeros ends, by unit; without it Grafana draws one up to 100, which is 10000 %. */
const AT_LEAST: Readonly<Record<string, number>> = { locale: 1, percentunit: 0.05, s: 0.01, reqps: 0.1, ops: 0.1, cps: 0.1, bytes: 1024, 'suffix:m': 1, 'suffix:km': 1 }

/** Lines in time. A line breaks where there is no value; nothing is drawn across. */
export function lines (panel: Subject & Look): TimeSeriesBuilder {
  const { title, description, unit, queries, noValue, runbook, width = 8, height = 8, stacked = false, signed = false, exemplars = false, atLeast = AT_LEAST[unit], decimals } = panel
  const builder = new TimeSeriesBuilder()
    .title(title).description(description).datasource(datasource).unit(unit).span(width).height(height).links(linksTo(runbook)).noValue(noValue)
    .targets(queries.map(([expr, legend], index) => target(expr, legend, index).range().exemplar(exemplars)))
    .lineWidth(1).fillOpacity(stacked ? 30 : 8).showPoints(VisibilityMode.Auto).spanNulls(false)
    .tooltip(new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi).sort(SortOrder.Descending))
    .legend(new VizLegendOptionsBuilder().showLegend(true).displayMode(LegendDisplayMode.Table).placement(LegendPlacement.Bottom).calcs(['mean', 'max', 'lastNotNull']).sortBy('Mean').sortDesc(true))
  if (!signed) builder.min(0)
  if (atLeast !== undefined) builder.axisSoftMax(atLeast)
  if (decimals !== undefined) builder.decimals(decimals)
  return stacked ? builder.stacking(new StackingConfigBuilder().mode(StackingMode.Normal)) : builder
}

/** Numbers of this moment. Asked for it alone: the last of a range could be an old one, from before the traffic stopped. */
export function stat ({ title, description, unit, queries, noValue, runbook, width = 3, height = 4, limits }: Subject & { limits?: Limits }): StatBuilder {
  return new StatBuilder()
    .title(title).description(description).datasource(datasource).unit(unit).span(width).height(height).links(linksTo(runbook))
    .targets(queries.map(([expr, legend], index) => target(expr, legend, index).instant()))
    .graphMode(BigValueGraphMode.None).noValue(noValue).mappings([missing(noValue)])
    .reduceOptions(new ReduceDataOptionsBuilder().calcs(['lastNotNull']))
    .thresholds(thresholds(limits)).colorScheme(byThresholds())
}

/** One number by a label, of this moment, the highest first where the query says so. Names stand above their bars, where they are not cut. */
export function bars ({ title, description, unit, queries, noValue, runbook, width = 8, height = 8, limits }: Subject & { limits?: Limits }): BarGaugeBuilder {
  return new BarGaugeBuilder()
    .title(title).description(description).datasource(datasource).unit(unit).span(width).height(height).links(linksTo(runbook))
    .targets(queries.map(([expr, legend], index) => target(expr, legend, index).instant()))
    .orientation(VizOrientation.Horizontal).displayMode(BarGaugeDisplayMode.Basic).namePlacement(BarGaugeNamePlacement.Top).text(new VizTextDisplayOptionsBuilder().titleSize(14).valueSize(16))
    .min(0).noValue(noValue).mappings([missing(noValue)])
    .reduceOptions(new ReduceDataOptionsBuilder().calcs(['lastNotNull']))
    .thresholds(thresholds(limits)).colorScheme(byThresholds())
}

/** The observations of one histogram in time. */
export function heatmap ({ title, description, unit, queries, noValue, runbook, width = 12, height = 8 }: Subject): HeatmapBuilder {
  return new HeatmapBuilder()
    .title(title).description(description).datasource(datasource).unit('locale').decimals(0).span(width).height(height).links(linksTo(runbook)).noValue(noValue)
    .targets(queries.map(([expr], index) => target(expr, '{{le}}', index).range().format(PromQueryFormat.Heatmap)))
    .calculate(false)
    .yAxis(new YAxisConfigBuilder().unit(unit))
    .color(new HeatmapColorOptionsBuilder().mode(HeatmapColorMode.Scheme).scheme('Oranges').fill('dark-orange').exponent(0.5).steps(64).reverse(false))
    .tooltip(new HeatmapTooltipBuilder().mode(TooltipDisplayMode.Single).yHistogram(true))
}

/** What is shown for no value: a word in the colour of text, whatever the thresholds say. */
export function missing (word: string): SpecialValueMap {
  return { type: MappingType.SpecialValue, options: { match: SpecialValueMatch.NullAndNan, result: { text: word, color: 'text', index: 0 } } }
}

export function linksTo (section: Section | undefined): Array<Builder<DashboardLink>> {
  return section === undefined ? [] : [new DashboardLinkBuilder('Runbook').url(runbookUrl(section)).targetBlank(true)]
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
