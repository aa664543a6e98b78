import { format } from 'node:util'
import type { LabelValue, Labels } from './labels.js'

/** A sample with the trace it came from (OpenMetrics 1.0, section "Exemplars"). */
export interface Exemplar {
  labelSet: Labels
  value: number
  /** Seconds since the epoch. */
  timestamp: number
}

/** Where one label set's numbers live. */
export interface Series {
  readonly values: ReadonlyArray<LabelValue | undefined>
  readonly page: Float64Array
  readonly slot: number
  /** Whether a child may keep it: not when it was removed, nor when it is the overflow series, which is nobody's own. */
  live: boolean
  /** One for the series, or one a bucket of a histogram; undefined while there are none. */
  exemplars: Array<Exemplar | undefined> | undefined
}

const UNBOUND: Series = { values: [], page: new Float64Array(0), slot: 0, live: false, exemplars: undefined }

/** What a child needs of its family: the series of a label set, made when it is first written to. */
export interface SeriesSource {
  resolve (values: ReadonlyArray<LabelValue | undefined>): Series
  labelsOf (series: Pick<Series, 'values'>): Labels
}

/**
 * A family with its labels given. It finds its series at the first write and keeps it, so a write is a check and an addition;
 * it looks again only after its series was removed, or while there is no room for one. As with prom-client, a label set exists from its first write on.
 */
export abstract class Child<F extends SeriesSource> {
  protected readonly family: F
  readonly #values: ReadonlyArray<LabelValue | undefined>
  #series = UNBOUND

  /** Made by a family's `labels(...)`. */
  constructor (family: F, values: ReadonlyArray<LabelValue | undefined>) {
    this.family = family
    this.#values = values
  }

  /** These labels with those that are known only later, in place of the ones of the same name. */
  protected labelsWith (later: Labels): Labels {
    return { ...this.family.labelsOf({ values: this.#values }), ...later }
  }

  protected series (): Series {
    return this.#series.live ? this.#series : (this.#series = this.family.resolve(this.#values))
  }
}

/** The error for a number that is none, in prom-client's words. @param what 'Value' or 'Delta' */
export function notANumber (what: string, value: unknown): TypeError {
  return new TypeError(`${what} is not a valid number: ${format(value)}`)
}

/** @throws RangeError when the labels are longer than the 128 characters that OpenMetrics allows */
export function exemplarOf (labelSet: Labels, value: number): Exemplar {
  let length = 0
  for (const [name, text] of Object.entries(labelSet)) length += name.length + String(text).length
  if (length > 128) throw new RangeError('Label set size must be smaller than 128 UTF-8 chars')
  return { labelSet, value, timestamp: Date.now() / 1000 }
}
