import { Writer } from './writer.js'

/** Text written into chunks, as UTF-8. Every method makes its own room. */
export class TextWriter extends Writer {
  byte (byte: number): void {
    this.reserve(1)
    this.buffer[this.at++] = byte
  }

  /** Text that is no Unicode, a lone surrogate, is written as U+FFFD. */
  text (text: string): void {
    this.reserve(text.length * 3)
    this.at += this.buffer.write(text, this.at)
  }

  /** Text that is known to be ASCII. */
  ascii (text: string): void {
    this.reserve(text.length)
    this.at += this.buffer.write(text, this.at, 'latin1')
  }

  /** A few bytes: in JavaScript, for a call into native code takes longer than those. */
  bytes (bytes: Uint8Array): void {
    const length = bytes.length
    this.reserve(length)
    const buffer = this.buffer
    let at = this.at
    for (let i = 0; i < length; i++) buffer[at++] = bytes[i] as number
    this.at = at
  }

  /** Bytes of this chunk once more. */
  repeat (start: number, end: number): void {
    this.reserve(end - start)
    this.buffer.copyWithin(this.at, start, end)
    this.at += end - start
  }

  /** A whole number below 2^31 in decimal digits. */
  digits (number: number): void {
    this.reserve(10)
    const buffer = this.buffer
    let end = this.at + 1
    for (let rest = number; rest >= 10; rest = (rest / 10) | 0) end++
    this.at = end
    let rest = number
    do {
      const tenth = (rest / 10) | 0
      buffer[--end] = 48 + rest - tenth * 10
      rest = tenth
    } while (rest > 0)
  }
}
