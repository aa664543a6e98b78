import type { LabelPair } from '../metrics/index.js'
import { MessageWriter } from './message-writer.js'

/** The field `label` of Metric and of Exemplar, and the fields of LabelPair. */
const LABEL = 0x0a
const NAME = 0x0a
const VALUE = 0x12
/**
 * A label longer than this is written anew for each series: keeping it costs more memory than writing it costs time.
 */
const LONG = 1_024
/**
 * The most labels that are kept. A map that is much larger takes milliseconds to grow, and a lookup in it takes longer
 * than making the message.
 */
const MOST = 8_192

/**
 * The LabelPair messages of an encoding. The bytes of each pair are made once, all in one buffer, and copied from
 * there.
 */
export class LabelMessages {
  readonly #messages = new MessageWriter(16_384)
  readonly #numbers = new Map<LabelPair, number>()
  /** By a pair's number, the position where its message begins. It ends where the next message begins. */
  readonly #starts = [0]
  /** The labels of the previous series, by position: neighbouring series have most of their labels in common. */
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

/** Writes a LabelPair message without keeping it, for a label that is there once, such as an exemplar's. */
export function writeLabel (writer: MessageWriter, name: string, value: string): void {
  writer.reserve(8)
  const start = writer.open(LABEL, 1)
  writer.text(NAME, name)
  writer.text(VALUE, value)
  writer.close(start, 1)
}
