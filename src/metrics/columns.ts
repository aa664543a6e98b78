/** The label sets of a family in columns: for each label its values, and for each series the numbers of its own. */
export interface LabelColumns {
  readonly names: readonly string[]
  /** The values by label and number. Number 0 stands for no value. */
  readonly values: ReadonlyArray<ReadonlyArray<string | undefined>>
  /** The numbers, series by series. */
  readonly numbers: Uint32Array
}

/**
 * The label sets of a family as they are now, and the places of their numbers. As long as no series comes or goes, this
 * is the same object.
 */
export interface SeriesColumns {
  readonly labels: LabelColumns
  readonly places: Uint32Array
}
