/**
 * About how many bytes a chunk has: large enough to keep a socket busy, small enough to be made in a fraction of a
 * millisecond.
 */
export const CHUNK = 65_536
/** Bytes for a series that is begun while a chunk is nearly full, so that the chunk seldom has to grow. */
const SLACK = 16_384

/** Writes bytes one after another into chunks. A chunk that was taken is never written to again. */
export class Writer {
  protected buffer!: Buffer
  /** The position of the next byte in the current chunk. */
  at = 0

  /** @param room the bytes of the first buffer; a chunk that outgrows its buffer is moved to a larger one */
  constructor (room = CHUNK + SLACK) {
    this.begin(room)
  }

  /** Whether the current chunk is full and should be taken. */
  get full (): boolean {
    return this.at >= CHUNK
  }

  /** Forgets the bytes of the current chunk. */
  clear (): void {
    this.at = 0
  }

  /** Gives the bytes of the current chunk up to `end`. The bytes after `end` begin the next chunk. */
  take (end = this.at): Buffer {
    const { buffer } = this
    const rest = this.at - end
    this.begin(CHUNK + SLACK + rest)
    if (rest > 0) buffer.copy(this.buffer, 0, end, this.at)
    this.at = rest
    return buffer.subarray(0, end)
  }

  /** Makes room for this many further bytes. */
  reserve (bytes: number): void {
    if (bytes > this.buffer.length - this.at) this.#grow(bytes)
  }

  /** Begins an empty buffer. */
  protected begin (room: number): void {
    this.buffer = Buffer.allocUnsafeSlow(room)
  }

  #grow (bytes: number): void {
    const { buffer } = this
    this.begin(Math.max(buffer.length * 2, this.at + bytes))
    buffer.copy(this.buffer, 0, 0, this.at)
  }
}
