import type { DataTransformerConfig, FieldConfigSource } from '@grafana/data'

/** A dashboard as its file has it, as far as it is drawn. */
export interface Dashboard {
  readonly title: string
  readonly panels: readonly Panel[]
  readonly annotations: { readonly list: ReadonlyArray<{ readonly name: string, readonly iconColor: string, readonly expr: string }> }
  readonly templating: { readonly list: ReadonlyArray<{ readonly name: string, readonly current?: { readonly value: string } }> }
}

export interface Panel {
  readonly id: number
  readonly type: 'row' | 'stat' | 'bargauge' | 'timeseries' | 'heatmap' | 'table'
  readonly title: string
  readonly description?: string
  readonly gridPos: { readonly x: number, readonly y: number, readonly w: number, readonly h: number }
  readonly targets?: readonly Target[]
  readonly panels?: readonly Panel[]
  readonly fieldConfig: FieldConfigSource
  readonly transformations?: DataTransformerConfig[]
  readonly options: Record<string, unknown>
}

export interface Target {
  readonly refId: string
  readonly expr: string
  readonly legendFormat?: string
  readonly format?: 'time_series' | 'table' | 'heatmap'
  readonly instant?: boolean
}

/** What is drawn: seconds of Prometheus, and values of variables. */
export interface Scene {
  readonly prometheus: string
  readonly from: number
  readonly to: number
  readonly variables: Readonly<Record<string, string>>
}
