import { wellFormed } from './unicode.js'

/** A label with its value: one object for all series of a snapshot that have it, so that an encoder makes its bytes once. */
export class LabelPair {
  readonly name: string
  /** As UTF-8 can have it. */
  readonly value: string
  #text: string | undefined
  #bytes: Uint8Array | undefined

  constructor (name: string, value: string) {
    this.name = name
    this.value = wellFormed(value)
  }

  /** `method="GET"`, as both text formats have it: backslash, quote and line feed escaped (OpenMetrics 1.0, "Escaping"). */
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

/** The labels as a scraper tells series apart by them: in any order, and an empty one is none. */
export function labelsKey (labels: readonly LabelPair[]): string {
  return labels.filter(({ value }) => value !== '').map(({ text }) => text).sort().join()
}

const SPECIAL = /[\\"\n]/
const ALL_SPECIAL = /[\\"\n]/g

function escaped (value: string): string {
  return SPECIAL.test(value) ? value.replace(ALL_SPECIAL, (character) => character === '\n' ? '\\n' : `\\${character}`) : value
}
