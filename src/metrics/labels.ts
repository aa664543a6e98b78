import { inspect } from 'node:util'

/** A label's value: written as its string, shown as it was given. */
export type LabelValue = string | number

/** Labels as an object. A name left out, or undefined, is a label the series does not carry. */
export type Labels<T extends string = string> = Partial<Record<T, LabelValue>>

const METRIC_NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/
const LABEL_NAME = /^[a-zA-Z_][a-zA-Z0-9_]*$/
/** The label that Prometheus keeps a metric's name in: a series that has one itself costs the whole page. */
export const NAME_LABEL = '__name__'

/** Whether Prometheus takes it as a metric's name (https://prometheus.io/docs/concepts/data_model/). */
export function isMetricName (name: unknown): name is string {
  return typeof name === 'string' && METRIC_NAME.test(name)
}

/** Whether Prometheus takes it as a label's name. */
export function isLabelName (name: unknown): name is string {
  return typeof name === 'string' && LABEL_NAME.test(name)
}

/** @throws Error when `labels` names a label that the family does not have */
export function refuseUnknownLabels (labelNames: readonly string[], labels: object): void {
  for (const label in labels) {
    if (!labelNames.includes(label)) {
      throw new Error(`Added label "${label}" is not included in initial labelset: ${inspect(labelNames)}`)
    }
  }
}
