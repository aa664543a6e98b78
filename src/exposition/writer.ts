/** About what a chunk has: large enough that a socket is busy with it, small enough to be made in a fraction of a millisecond. */
export const CHUNK = 65_536
/** Room for the series that is begun while a chunk is nearly full, so that the chunk seldom has to grow. */
const SLACK = 16_384

/** Bytes written one after another into chunks. Each chunk is made once and given away, and never written to again. */
export class Writer {
  protected buffer!: Buffer
  /** Where the next byte goes, in the chunk that is being written. */
  at = 0

  /** @param room bytes to begin with; a chunk that outgrows them is moved */
  constructor (room = CHUNK + SLACK) {
    this.begin(room)
  }

  /** Whether there is a chunk's worth, to be taken. */
  get full (): boolean {
    return this.at >= CHUNK
  }

  /** Forgets what was written since the last time. */
  clear (): void {
    this.at = 0
  }

  /** Gives what was written since the last time, up to `end`; what was written after it begins the next chunk. */
  take (end = this.at): Buffer {
    const { buffer } = this
    const rest = this.at - end
    this.begin(CHUNK + SLACK + rest)
    if (rest > 0) buffer.copy(this.buffer, 0, end, this.at)
    this.at = rest
    return buffer.subarray(0, end)
  }

  /** Makes room for that many bytes. */
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
