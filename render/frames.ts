import { DataFrameType, FieldType, type DataFrame, type DataQueryRequest, type DataQueryResponse, type Labels } from '@grafana/data'
// The package's index brings its editor, some megabytes.
// @ts-expect-error: it has types for its index alone.
import { transformV2 } from './node_modules/@grafana/prometheus/dist/esm/result_transformer.mjs'
import type { Dashboard, Scene, Target } from './dashboard.js'

/** As many steps as a panel of a dashboard has, about; and the scrape_interval of the Prometheus that is drawn. */
const STEPS = 240
const SCRAPE_SECONDS = 2

type Sample = [seconds: number, value: string]
type Histogram = [seconds: number, histogram: { buckets?: Array<[bounds: number, lower: string, upper: string, count: string]> }]

interface Series {
  readonly metric: Labels
  readonly value?: Sample
  readonly values?: Sample[]
  readonly histogram?: Histogram
  readonly histograms?: Histogram[]
}

/** The frames of a panel's queries, as Grafana's data source makes them. @throws Error with what Prometheus says of a query */
export async function framesOf (targets: readonly Target[], scene: Scene, dashboard: Dashboard): Promise<DataFrame[]> {
  const data = (await Promise.all(targets.map((target) => ask(target, scene, dashboard)))).flat()
  const request = { targets } as unknown as DataQueryRequest
  return (transformV2 as (response: DataQueryResponse, request: DataQueryRequest, options: object) => DataQueryResponse)({ data }, request, {}).data as DataFrame[]
}

export function stepOf ({ from, to }: Scene): number {
  return Math.max(1, Math.round((to - from) / STEPS))
}

async function ask (target: Target, scene: Scene, dashboard: Dashboard): Promise<DataFrame[]> {
  const step = stepOf(scene)
  const query = interpolate(target.expr, scene, dashboard)
  const search = target.instant === true
    ? new URLSearchParams({ query, time: String(scene.to) })
    : new URLSearchParams({ query, start: String(scene.from), end: String(scene.to), step: String(step) })
  const response = await fetch(`${scene.prometheus}/api/v1/${target.instant === true ? 'query' : 'query_range'}?${search.toString()}`)
  const { status, data, error } = await response.json() as { status: string, data: { result: Series[] }, error?: string }
  if (status !== 'success') throw new Error(`${query}: ${error}`)
  return data.result.map((series) => series.histograms ? cells(target, series.histograms, step) : numbers(target, series, step))
}

function numbers ({ refId, legendFormat, instant }: Target, { metric, value, values }: Series, step: number): DataFrame {
  const samples = values ?? (value ? [value] : [])
  const name = legendFormat === undefined ? undefined : legendFormat.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, label: string) => metric[label] ?? '')
  return {
    refId,
    name,
    length: samples.length,
    meta: { type: instant === true ? DataFrameType.NumericMulti : DataFrameType.TimeSeriesMulti },
    fields: [
      { name: 'Time', type: FieldType.time, config: { interval: step * 1000 }, values: samples.map(([seconds]) => seconds * 1000) },
      { name: 'Value', type: FieldType.number, labels: metric, config: { displayNameFromDS: name ?? text(metric) }, values: samples.map(([, number]) => Number(number.replace('Inf', 'Infinity'))) }
    ]
  }
}

/** A native histogram in time: a cell for each bucket that counts anything. */
function cells ({ refId }: Target, histograms: Histogram[], step: number): DataFrame {
  const all = histograms.flatMap(([seconds, { buckets = [] }]) => buckets.map(([, lower, upper, count]) => [seconds * 1000, Number(lower), Number(upper), Number(count)] as const))
  const column = (name: string, index: 0 | 1 | 2 | 3, type = FieldType.number) => ({ name, type, config: index === 0 ? { interval: step * 1000 } : {}, values: all.map((cell) => cell[index]) })
  return { refId, length: all.length, meta: { type: DataFrameType.HeatmapCells }, fields: [column('xMax', 0, FieldType.time), column('yMin', 1), column('yMax', 2), column('count', 3)] }
}

function text (labels: Labels): string {
  return `{${Object.entries(labels).map(([label, value]) => `${label}="${value}"`).join(', ')}}`
}

/** A query with its variables, as Grafana sends it. */
export function interpolate (query: string, scene: Scene, { templating }: Dashboard): string {
  const step = stepOf(scene)
  const built: Record<string, string> = {
    __rate_interval: `${Math.max(4 * SCRAPE_SECONDS, step + SCRAPE_SECONDS)}s`,
    __interval: `${step}s`,
    __range: `${scene.to - scene.from}s`
  }
  return query.replace(/\$(\w+)/g, (_, name: string) => {
    const { value = '$__all' } = templating.list.find((variable) => variable.name === name)?.current ?? {}
    return built[name] ?? scene.variables[name] ?? (value === '$__all' ? '.*' : value)
  })
}
