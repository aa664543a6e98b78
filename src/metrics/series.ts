import { format } from 'node:util'
import type { LabelValue, Labels } from './labels.js'

/** The part of a family that its children need. */
export interface SeriesSource {
  /** Grows whenever a series is removed: a place that was found before may belong to another series now. */
  readonly epoch: number
  /** The place of a label set. It is made at the first write to the label set. */
  resolve (values: ReadonlyArray<LabelValue | undefined>): number
  /** Whether a place belongs to the overflow series, which takes all label sets without a place of their own. */
  isOverflow (place: number): boolean
  labelsOf (values: ReadonlyArray<LabelValue | undefined>): Labels
}

/**
 * The child of a family for one label set. It finds its place at the first write and keeps it, so a later write is a
 * check and an addition. It looks for its place again only after a series was removed, or while the family has no room
 * for a series of its own. As with prom-client, a label set exists from its first write on.
 *
 * As with prom-client, every public method is an own function of the child and bound to it. So a caller may destructure
 * or spread a child, and pass its methods as callbacks.
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

  /**
   * The labels of this child, with labels that are known only later. A later label replaces the one of the same name.
   */
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

/** The error for a value that is not a number, in prom-client's words. @param what 'Value' or 'Delta' */
export function notANumber (what: string, value: unknown): TypeError {
  return new TypeError(`${what} is not a valid number: ${format(value)}`)
}
