import type { Labels } from './labels.js'

/** A sample with the trace it came from (OpenMetrics 1.0, section "Exemplars"). */
export interface Exemplar {
  labelSet: Labels
  value: number
  /** Seconds since the epoch. */
  timestamp: number
}

/** Of all names and values (OpenMetrics 1.0, "Exemplars"); here characters are JavaScript's, which are never fewer. */
export const MOST_EXEMPLAR_CHARACTERS = 128

/**
 * Gives the labels of an exemplar, `{ trace_id: '...' }`, at most 128 characters of names and values; nothing for no exemplar.
 *
 * For HTTP it is called with the request, once: when the handler has ended or else the response, in no async context in particular; not for
 * what Fastify answers before any hook. For a database it is called with nothing, when a query starts, in the async context of the query's caller.
 * What it throws, or gives that is no label set, costs the exemplar alone, and is counted in metrics_instrumentation_errors_total.
 */
export type ExemplarSource<Of = void> = (of: Of) => Labels | null | undefined

/** Makes an exemplar of now from labels that were checked. */
export function exemplarOf (labelSet: Labels, value: number): Exemplar {
  return { labelSet, value, timestamp: Date.now() / 1000 }
}

/** @throws RangeError when the labels are longer than OpenMetrics allows, in prom-client's words */
export function refuseLongExemplar (labels: Labels): void {
  let characters = 0
  for (const [name, text] of Object.entries(labels)) characters += name.length + String(text).length
  if (characters > MOST_EXEMPLAR_CHARACTERS) throw new RangeError('Label set size must be smaller than 128 UTF-8 chars')
}

/** Whether it can be the labels of an exemplar: a plain object with strings and numbers, not too long. */
export function isExemplarLabels (value: object | null): value is Labels {
  if (value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) return false
  let characters = 0
  for (const name of Object.keys(value)) {
    const text: unknown = (value as Record<string, unknown>)[name]
    if (typeof text === 'string') characters += name.length + text.length
    else if (typeof text === 'number') characters += name.length + String(text).length
    else return false
  }
  return characters > 0 && characters <= MOST_EXEMPLAR_CHARACTERS
}
