import { format } from 'node:util'
import type { LabelValue, Labels } from './labels.js'

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
 *
 * What a caller may call is an own function of the child, bound to it, as with prom-client: it can be taken out, spread and passed as a callback.
 */
export abstract class Child<F extends SeriesSource> {
  readonly #family: F
  readonly #values: ReadonlyArray<LabelValue | undefined>
  #epoch = -1
  #place = 0

  /** Made by a family's `labels(...)`. */
  constructor (family: F, values: ReadonlyArray<LabelValue | undefined>) {
    this.#family = family
    this.#values = values
  }

  protected get family (): F {
    return this.#family
  }

  protected get values (): ReadonlyArray<LabelValue | undefined> {
    return this.#values
  }

  /** These labels with those that are known only later, in place of the ones of the same name. */
  protected labelsWith (later: Labels): Labels {
    return { ...this.#family.labelsOf(this.#values), ...later }
  }

  protected place (): number {
    return this.#epoch === this.#family.epoch ? this.#place : this.#find()
  }

  #find (): number {
    const place = this.#family.resolve(this.#values)
    if (!this.#family.isOverflow(place)) {
      this.#place = place
      this.#epoch = this.#family.epoch
    }
    return place
  }
}

/** The error for a number that is none, in prom-client's words. @param what 'Value' or 'Delta' */
export function notANumber (what: string, value: unknown): TypeError {
  return new TypeError(`${what} is not a valid number: ${format(value)}`)
}
