import type { LabelPair } from '../metrics/index.js'
import { MessageWriter } from './message-writer.js'

/** The field `label` of Metric and of Exemplar, and the fields of LabelPair. */
const LABEL = 0x0a
const NAME = 0x0a
const VALUE = 0x12
/** A longer text is made anew for each series: it takes more room than time. */
const LONG = 1_024
/** So many are kept: a map that is much larger takes milliseconds to grow, and more time to look into than making a message does. */
const MOST = 8_192

/** The LabelPair messages of an encoding: each pair's bytes are made once, all in one buffer, and copied from there. */
export class LabelMessages {
  readonly #messages = new MessageWriter(16_384)
  readonly #numbers = new Map<LabelPair, number>()
  /** By a pair's number, where its message begins; it ends where the next one begins. */
  readonly #starts = [0]
  /** What the series before had, by position: neighbours have most of their labels in common. */
  readonly #last: LabelPair[] = []
  readonly #lastNumbers: number[] = []

  write (writer: MessageWriter, labels: readonly LabelPair[]): void {
    const starts = this.#starts
    for (let i = 0; i < labels.length; i++) {
      const pair = labels[i] as LabelPair
      let number = this.#lastNumbers[i] as number
      if (this.#last[i] !== pair) {
        if (pair.name.length + pair.value.length > LONG) {
          writeLabel(writer, pair.name, pair.value)
          continue
        }
        number = this.#numbers.get(pair) ?? this.#make(pair)
        this.#last[i] = pair
        this.#lastNumbers[i] = number
      }
      writer.copy(this.#messages, starts[number] as number, starts[number + 1] as number)
    }
  }

  #make (pair: LabelPair): number {
    if (this.#numbers.size === MOST) {
      this.#numbers.clear()
      this.#messages.clear()
      this.#starts.length = 1
      this.#last.length = 0
    }
    const number = this.#numbers.size
    writeLabel(this.#messages, pair.name, pair.value)
    this.#numbers.set(pair, number)
    this.#starts.push(this.#messages.at)
    return number
  }
}

/** A label that is there once, as an exemplar's. */
export function writeLabel (writer: MessageWriter, name: string, value: string): void {
  writer.reserve(8)
  const start = writer.open(LABEL, 1)
  writer.text(NAME, name)
  writer.text(VALUE, value)
  writer.close(start, 1)
}
