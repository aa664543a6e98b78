/** About what a chunk has: large enough that a socket is busy with it, small enough to be made in a fraction of a millisecond. */
export const CHUNK = 65_536
/** Room for what is begun while a chunk is nearly full, so that it seldom has to grow. */
const SLACK = 16_384

/** Bytes put one after another into chunks. Each chunk is made once and given away, never written to again. */
export class Writer {
  #buffer = Buffer.allocUnsafeSlow(CHUNK + SLACK)
  #at = 0

  /** Where the next byte goes, in the chunk that is being written. */
  get at (): number {
    return this.#at
  }

  /** Whether there is a chunk's worth, to be taken. */
  get full (): boolean {
    return this.#at >= CHUNK
  }

  /** Gives what was written since the last time. */
  take (): Buffer {
    const chunk = this.#buffer.subarray(0, this.#at)
    this.#buffer = Buffer.allocUnsafeSlow(CHUNK + SLACK)
    this.#at = 0
    return chunk
  }

  byte (byte: number): void {
    if (this.#at === this.#buffer.length) this.#grow(1)
    this.#buffer[this.#at++] = byte
  }

  /** UTF-8; what is no Unicode text, a lone surrogate, is U+FFFD. */
  text (text: string): void {
    if (text.length * 3 > this.#buffer.length - this.#at) this.#grow(text.length * 3)
    this.#at += this.#buffer.write(text, this.#at)
  }

  /** Text that is known to be ASCII. */
  ascii (text: string): void {
    if (text.length > this.#buffer.length - this.#at) this.#grow(text.length)
    this.#at += this.#buffer.write(text, this.#at, 'latin1')
  }

  /** A few bytes: in JavaScript, for a call into native code takes longer than those. */
  bytes (bytes: Uint8Array): void {
    const length = bytes.length
    if (length > this.#buffer.length - this.#at) this.#grow(length)
    const buffer = this.#buffer
    let at = this.#at
    for (let i = 0; i < length; i++) buffer[at++] = bytes[i] as number
    this.#at = at
  }

  /** Bytes of this chunk once more. */
  repeat (start: number, end: number): void {
    if (end - start > this.#buffer.length - this.#at) this.#grow(end - start)
    this.#buffer.copyWithin(this.#at, start, end)
    this.#at += end - start
  }

  /** A whole number below 2^31 in decimal digits. */
  digits (number: number): void {
    if (this.#buffer.length - this.#at < 10) this.#grow(10)
    const buffer = this.#buffer
    let end = this.#at + 1
    for (let rest = number; rest >= 10; rest = (rest / 10) | 0) end++
    this.#at = end
    let rest = number
    do {
      const tenth = (rest / 10) | 0
      buffer[--end] = 48 + rest - tenth * 10
      rest = tenth
    } while (rest > 0)
  }

  #grow (more: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.max(this.#buffer.length * 2, this.#at + more))
    this.#buffer.copy(larger, 0, 0, this.#at)
    this.#buffer = larger
  }
}
