import type { Exemplar } from './exemplar.js'
import type { Labels } from './labels.js'

/** How prom-client's cluster registry makes one value of the values of many processes. */
export type Aggregator = 'sum' | 'first' | 'min' | 'max' | 'average' | 'omit'

/** One value of a family, with the labels of its series and, for a bucket, `le`. */
export interface MetricValue<T extends string = string> {
  value: number
  labels: Labels<T>
  /** For a histogram: the metric's name with `_bucket`, `_sum` or `_count`. */
  metricName?: string
  /**
   * The exemplar of a counter or of a histogram's bucket; null or undefined if there is none. Without `enableExemplars`
   * a bucket has null.
   */
  exemplar?: unknown
}

/**
 * One value of a histogram, in the form that prom-client's registries print. All values of a series share one object
 * with the labels of the series.
 */
export interface PromValue {
  labels: { le?: number | '+Inf' }
  sharedLabels: Labels
  value: number
  metricName: string
  exemplar: Exemplar | null | undefined
}

/** A metric's state, with the same keys as the state that prom-client's metrics give. */
export interface MetricObject<V = MetricValue> {
  name: string
  help: string
  /**
   * 'counter', 'gauge' or 'histogram'. It is declared as `never` because prom-client declares an enum of numbers and
   * its relatives declare the strings. With `never`, TypeScript accepts a state for both.
   */
  type: never
  aggregator: Aggregator
  values: V[]
  /** No state has this. prom-client and its relatives declare it, so it is declared here too, for the same reason. */
  collect: never
}
