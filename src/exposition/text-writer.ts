import { Writer } from './writer.js'

/** Up to these lengths, in characters and in bytes, writing in JavaScript is faster than a call into native code. */
const SHORT = 48
const LONG = 400

/** Writes text into chunks, as UTF-8. Every method but `bytesAndDigits` makes its own room. */
export class TextWriter extends Writer {
  byte (byte: number): void {
    this.reserve(1)
    this.buffer[this.at++] = byte
  }

  /** Writes a text. A lone surrogate, which is no valid Unicode, becomes U+FFFD. */
  text (text: string): void {
    this.reserve(text.length * 3)
    this.at += this.buffer.write(text, this.at)
  }

  /** Writes a text that is known to be ASCII. */
  ascii (text: string): void {
    const { length } = text
    this.reserve(length)
    if (length > SHORT) {
      this.at += this.buffer.write(text, this.at, 'latin1')
      return
    }
    const buffer = this.buffer
    let at = this.at
    for (let i = 0; i < length; i++) buffer[at++] = text.charCodeAt(i)
    this.at = at
  }

  bytes (bytes: Uint8Array): void {
    const { length } = bytes
    this.reserve(length)
    const buffer = this.buffer
    const at = this.at
    if (length > LONG) buffer.set(bytes, at)
    else for (let i = 0; i < length; i++) buffer[at + i] = bytes[i] as number
    this.at = at + length
  }

  /** Writes bytes of the current chunk once more. */
  repeat (start: number, end: number): void {
    this.reserve(end - start)
    this.buffer.copyWithin(this.at, start, end)
    this.at += end - start
  }

  /** Writes a whole number below 2^31 in decimal digits. */
  digits (number: number): void {
    this.reserve(10)
    this.at = writeDigits(this.buffer, this.at, number)
  }

  /**
   * Writes a few bytes, and then the digits of a whole number. A composite value has both for each bucket, so one
   * method writes them. The caller has reserved the length of the bytes and ten more.
   */
  bytesAndDigits (bytes: Uint8Array, number: number): void {
    const buffer = this.buffer
    const length = bytes.length
    let at = this.at
    for (let i = 0; i < length; i++) buffer[at++] = bytes[i] as number
    this.at = writeDigits(buffer, at, number)
  }
}

/** @param number whole, below 2^31. @returns the position of the next byte */
function writeDigits (buffer: Buffer, at: number, number: number): number {
  if (number < 10) {
    buffer[at] = 48 + number
    return at + 1
  }
  let end = at + 1
  for (let rest = number; rest >= 10; rest = (rest / 10) | 0) end++
  let place = end
  let rest = number
  do {
    const tenth = (rest / 10) | 0
    buffer[--place] = 48 + rest - tenth * 10
    rest = tenth
  } while (rest > 0)
  return end
}
