import { format } from 'node:util'
import type { LabelValue, Labels } from './labels.js'

/** A sample with the trace it came from (OpenMetrics 1.0, section "Exemplars"). */
export interface Exemplar {
  labelSet: Labels
  value: number
  /** Seconds since the epoch. */
  timestamp: number
}

/** What a child needs of its family. */
export interface SeriesSource {
  /** Grows whenever a series is removed: what was found before may be somebody else's now. */
  readonly epoch: number
  /** The place of a label set, made when it is first written to. */
  resolve (values: ReadonlyArray<LabelValue | undefined>): number
  /** Whether it is the place of all that have none of their own. */
  isOverflow (place: number): boolean
  labelsOf (values: ReadonlyArray<LabelValue | undefined>): Labels
}

/**
 * A family with its labels given. It finds its place at the first write and keeps it, so a write is a check and an addition;
 * it looks again only after a series was removed, or while there is no room for its own. As with prom-client, a label set exists from its first write on.
 */
export abstract class Child<F extends SeriesSource> {
  protected readonly family: F
  readonly #values: ReadonlyArray<LabelValue | undefined>
  #epoch = -1
  #place = 0

  /** Made by a family's `labels(...)`. */
  constructor (family: F, values: ReadonlyArray<LabelValue | undefined>) {
    this.family = family
    this.#values = values
  }

  /** These labels with those that are known only later, in place of the ones of the same name. */
  protected labelsWith (later: Labels): Labels {
    return { ...this.family.labelsOf(this.#values), ...later }
  }

  protected place (): number {
    return this.#epoch === this.family.epoch ? this.#place : this.#find()
  }

  #find (): number {
    const place = this.family.resolve(this.#values)
    if (!this.family.isOverflow(place)) {
      this.#place = place
      this.#epoch = this.family.epoch
    }
    return place
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
