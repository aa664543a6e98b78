import { inspect } from 'node:util'

/** A label's value. Pages have it as a string; `get()` and the like show it as it was given. */
export type LabelValue = string | number

/** Labels as an object. A name that is left out, or is undefined, is a label that the series does not have. */
export type Labels<T extends string = string> = Partial<Record<T, LabelValue>>

const METRIC_NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/
const LABEL_NAME = /^[a-zA-Z_][a-zA-Z0-9_]*$/
/** The label in which Prometheus keeps a metric's name. A scraper loses the whole page if a series has it itself. */
export const NAME_LABEL = '__name__'

/** Whether Prometheus accepts a value as a metric's name (https://prometheus.io/docs/concepts/data_model/). */
export function isMetricName (name: unknown): name is string {
  return typeof name === 'string' && METRIC_NAME.test(name)
}

/** Whether Prometheus accepts a value as a label's name. */
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
