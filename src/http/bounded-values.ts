/** The method label of a method that the server does not know, and the value of a label whose set is full. */
export const OTHER = '_OTHER'
/** Values that one label may take from a user's function. */
export const MAX_LABEL_VALUES = 100
/** The most characters of a value: clients may send values of many kilobytes. */
const MAX_LENGTH = 128

/**
 * The values of one label that nothing else bounds: a value that is too long, or new when the set is full, is `_OTHER`.
 */
export class BoundedValues {
  readonly #seen = new Set<string>()
  readonly #full: () => void

  /** @param full called at each new value when the set is full */
  constructor (full: () => void) {
    this.#full = full
  }

  of (value: string): string {
    if (value.length > MAX_LENGTH) return OTHER
    if (this.#seen.has(value)) return value
    if (this.#seen.size >= MAX_LABEL_VALUES) {
      this.#full()
      return OTHER
    }
    this.#seen.add(value)
    return value
  }
}

/** Gives a function that runs `call` at its first call only. */
export function once (call: () => void): () => void {
  let called = false
  return () => {
    if (called) return
    called = true
    call()
  }
}
