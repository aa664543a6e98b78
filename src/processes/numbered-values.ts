/** The values of one label, each with a number from 1 on. Number 0 stands for no value. */
export class NumberedValues {
  /** By number. */
  readonly values: Array<string | undefined> = [undefined]
  readonly #numbers = new Map<string, number>()

  /** @param value undefined, or null, which JSON has for it, for no value */
  numberOf (value: string | null | undefined): number {
    if (value === undefined || value === null) return 0
    let number = this.#numbers.get(value)
    if (number === undefined) {
      number = this.values.push(value) - 1
      this.#numbers.set(value, number)
    }
    return number
  }
}
