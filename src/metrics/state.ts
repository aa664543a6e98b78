import type { Exemplar } from './exemplar.js'
import type { Labels } from './labels.js'

/** How many processes' values become one, as prom-client's cluster registry reads it. */
export type Aggregator = 'sum' | 'first' | 'min' | 'max' | 'average' | 'omit'

/** A label set of a family, with the labels that its values have beside. */
export interface MetricValue<T extends string = string> {
  value: number
  labels: Labels<T>
  /** Of a histogram: with `_bucket`, `_sum` or `_count`. */
  metricName?: string
  /** Of a histogram: of a bucket, null without `enableExemplars`; undefined where there is none. */
  exemplar?: unknown
}

/** A value of a histogram in the form that prom-client's registries print: the labels of a series are one object for all its values. */
export interface PromValue {
  labels: { le?: number | '+Inf' }
  sharedLabels: Labels
  value: number
  metricName: string
  exemplar: Exemplar | null | undefined
}

/** A metric's state, key for key what prom-client's metrics give. */
export interface MetricObject<V = MetricValue> {
  name: string
  help: string
  /**
   * 'counter', 'gauge' or 'histogram'. It is declared as `never` because prom-client declares an enum of numbers, its relatives the strings, and a state
   * is accepted where either is wanted.
   */
  type: never
  aggregator: Aggregator
  values: V[]
  /** Declared by prom-client and its relatives, and so here, for the same reason; no state has it. */
  collect: never
}
