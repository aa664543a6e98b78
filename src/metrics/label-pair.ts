import { wellFormed } from './unicode.js'

/**
 * A label with its value. All series of a snapshot that have this label and value share one object, so that an encoder
 * makes its bytes once.
 */
export class LabelPair {
  readonly name: string
  /** The value, in a form that UTF-8 can encode. */
  readonly value: string
  #text: string | undefined
  #bytes: Uint8Array | undefined

  constructor (name: string, value: string) {
    this.name = name
    this.value = wellFormed(value)
  }

  /**
   * The pair as the text formats write it, `method="GET"`. Backslash, quote and line feed are escaped (OpenMetrics 1.0,
   * "Escaping").
   */
  get text (): string {
    this.#text ??= `${this.name}="${escaped(this.value)}"`
    return this.#text
  }

  /** The text in UTF-8. */
  get bytes (): Uint8Array {
    this.#bytes ??= Buffer.from(this.text)
    return this.#bytes
  }
}

/**
 * A key that is equal for labels that are the same to a scraper: the order of labels does not matter, and an empty
 * label is no label.
 */
export function labelsKey (labels: readonly LabelPair[]): string {
  return labels.filter(({ value }) => value !== '').map(({ text }) => text).sort().join()
}

const SPECIAL = /[\\"\n]/
const ALL_SPECIAL = /[\\"\n]/g

function escaped (value: string): string {
  return SPECIAL.test(value) ? value.replace(ALL_SPECIAL, (character) => character === '\n' ? '\\n' : `\\${character}`) : value
}
