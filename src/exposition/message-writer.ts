import { Writer } from './writer.js'

/** Up to this length a text is written in JavaScript: a call into native code takes longer. */
const SHORT = 48
/** A text longer than this may not take more room than it needs. */
const LONG = 1_024

/**
 * Writes protobuf messages into chunks (https://protobuf.dev/programming-guides/encoding/). Only `text` and `copy` make
 * their own room. For all other methods the caller has called `reserve` before, once for many fields.
 */
export class MessageWriter extends Writer {
  /** A view of the buffer, made together with it. */
  protected declare view: DataView

  /**
   * Begins a message inside a message. Its length stands before it and is known only at the end, so room is left for
   * the length.
   * @param lengthSize how many bytes the length will probably take
   * @returns the position where the message's own bytes begin, for `close`
   */
  open (tag: number, lengthSize: number): number {
    this.buffer[this.at] = tag
    this.at += 1 + lengthSize
    return this.at
  }

  /** Leaves room for a length, as `open` does, but without a tag. */
  skip (bytes: number): number {
    this.at += bytes
    return this.at
  }

  /**
   * Ends the message that begins at `start`: writes its length, and moves the message if the length takes more or less
   * room than was left for it.
   * @returns how many bytes the length took
   */
  close (start: number, lengthSize: number): number {
    const length = this.at - start
    if (lengthSize === 1 && length < 0x80) {
      this.buffer[start - 1] = length
      return 1
    }
    const size = varintSize(length)
    if (size !== lengthSize) {
      if (size > lengthSize) this.reserve(size - lengthSize)
      this.buffer.copyWithin(start - lengthSize + size, start, this.at)
    }
    this.at = start - lengthSize
    this.varint(length)
    this.at += length
    return size
  }

  byte (byte: number): void {
    this.buffer[this.at++] = byte
  }

  /** Writes a whole number. @param value 0 to 2^53 */
  varint (value: number): void {
    const buffer = this.buffer
    let at = this.at
    let large = value
    while (large > 0xffffffff) {
      const low = large % 0x80
      buffer[at++] = low | 0x80
      large = (large - low) / 0x80
    }
    let rest = large >>> 0
    while (rest > 0x7f) {
      buffer[at++] = (rest & 0x7f) | 0x80
      rest >>>= 7
    }
    buffer[at++] = rest
    this.at = at
  }

  /** Writes a whole number in the zigzag form of sint32 and sint64. @param value -2^53 to 2^53 */
  zigzag (value: number): void {
    const small = value | 0
    if (small === value) {
      const rest = ((small << 1) ^ (small >> 31)) >>> 0
      if (rest < 0x80) this.buffer[this.at++] = rest
      else this.varint(rest)
      return
    }
    // Doubled, the value might be too large to be exact. So the sign is put into the first byte separately.
    const magnitude = value < 0 ? -(value + 1) : value
    const low = magnitude % 0x40
    this.byte(low * 2 + (value < 0 ? 1 : 0) + 0x80)
    this.varint((magnitude - low) / 0x40)
  }

  /** Writes a field with a whole number. @param value 0 to 2^53 */
  uint (tag: number, value: number): void {
    this.buffer[this.at++] = tag
    this.varint(value)
  }

  double (tag: number, value: number): void {
    this.buffer[this.at] = tag
    this.view.setFloat64(this.at + 1, value, true)
    this.at += 9
  }

  /** Writes a 64-bit float without a tag, as packed fields have it. */
  float64 (value: number): void {
    this.view.setFloat64(this.at, value, true)
    this.at += 8
  }

  /**
   * Writes a field with a text, as UTF-8. A lone surrogate, which is no valid Unicode, becomes U+FFFD. Makes its own
   * room.
   */
  text (tag: number, text: string): void {
    // A long text is measured first: three bytes for each of its characters would be much more than it takes.
    const most = text.length > LONG ? Buffer.byteLength(text) : text.length * 3
    this.reserve(most + 8)
    const lengthSize = varintSize(text.length > LONG ? most : text.length)
    const start = this.open(tag, lengthSize)
    if (text.length > SHORT || !this.#writeAscii(text)) this.at += this.buffer.write(text, start)
    this.close(start, lengthSize)
  }

  /**
   * Writes a bucket of a histogram (message Bucket) with a count below 2^32. A page has more of these messages than of
   * any other, so one method writes the whole message.
   */
  bucket (tag: number, countTag: number, count: number, boundTag: number, bound: number): void {
    const buffer = this.buffer
    const start = this.at
    buffer[start] = tag
    buffer[start + 2] = countTag
    let at = start + 3
    let rest = count
    while (rest > 0x7f) {
      buffer[at++] = (rest & 0x7f) | 0x80
      rest >>>= 7
    }
    buffer[at] = rest
    buffer[at + 1] = boundTag
    this.view.setFloat64(at + 2, bound, true)
    buffer[start + 1] = at + 8 - start
    this.at = at + 10
  }

  /** Writes the bytes from `start` to `end` of another writer's current chunk. Makes its own room. */
  copy (source: MessageWriter, start: number, end: number): void {
    const length = end - start
    // Four bytes are copied at a time. Up to three bytes too many are copied, and the next write overwrites them.
    this.reserve(length + 3)
    source.reserve(3)
    if (length > 400) {
      source.buffer.copy(this.buffer, this.at, start, end)
    } else {
      const from = source.view
      const to = this.view
      const at = this.at - start
      for (let i = start; i < end; i += 4) to.setInt32(at + i, from.getInt32(i, true), true)
    }
    this.at += length
  }

  /** Writes a text if it is ASCII. @returns whether it was */
  #writeAscii (text: string): boolean {
    const buffer = this.buffer
    let at = this.at
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i)
      if (code > 0x7f) return false
      buffer[at++] = code
    }
    this.at = at
    return true
  }

  protected override begin (room: number): void {
    super.begin(room)
    this.view = new DataView(this.buffer.buffer)
  }
}

/** How many bytes a whole number below 2^32 takes as a varint. */
export function varintSize (value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x20_0000 ? 3 : value < 0x1000_0000 ? 4 : 5
}
