import type { Labels } from './labels.js'

/** A sample with the trace that it came from (OpenMetrics 1.0, section "Exemplars"). */
export interface Exemplar {
  labelSet: Labels
  value: number
  /** Seconds since the epoch. */
  timestamp: number
}

/**
 * The most characters of all label names and values together (OpenMetrics 1.0, "Exemplars"). Characters are counted
 * here as JavaScript counts them, which never gives fewer.
 */
export const MOST_EXEMPLAR_CHARACTERS = 128

/**
 * Gives the labels of an exemplar, such as `{ trace_id: '...' }`, with at most 128 characters of names and values. It
 * gives nothing for no exemplar.
 *
 * For HTTP it is called once for each request, with the request: when the handler has ended, or else when the response
 * has ended. Do not rely on the async context of that call. It is not called for requests that Fastify answers before
 * any hook. For a database it is called without arguments when a query starts, in the async context of the query's
 * caller. If it throws, or gives a value that is no label set, only the exemplar is lost, and the error is counted in
 * metrics_instrumentation_errors_total.
 */
export type ExemplarSource<Of = void> = (of: Of) => Labels | null | undefined

/** Makes an exemplar with the current time. The caller has checked the labels. */
export function exemplarOf (labelSet: Labels, value: number): Exemplar {
  return { labelSet, value, timestamp: Date.now() / 1000 }
}

/** @throws RangeError when the labels are longer than OpenMetrics allows, in prom-client's words */
export function refuseLongExemplar (labels: Labels): void {
  let characters = 0
  for (const [name, text] of Object.entries(labels)) characters += name.length + String(text).length
  if (characters > MOST_EXEMPLAR_CHARACTERS) throw new RangeError('Label set size must be smaller than 128 UTF-8 chars')
}

/**
 * Whether a value can be the labels of an exemplar: a plain object of strings and numbers, not empty and not too long.
 */
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
