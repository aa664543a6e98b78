/** Milliseconds for which a page that is being made is new enough for one more reader. */
const FRESH = 1000

/**
 * A page that is being made, and whoever takes it: each reader gets all chunks, at its own pace. A chunk is made when the first reader wants it, so the page is
 * made no faster than that one takes it, and kept as long as one may still come for it.
 */
export class Rendering {
  readonly #source: AsyncIterator<Buffer>
  readonly #stopped: () => void
  readonly #chunks: Buffer[] = []
  /** By reader, the number of the chunk it takes next. */
  readonly #positions = new Map<object, number>()
  /** The number of the first chunk that is kept. */
  #first = 0
  #done = false
  readonly #began = performance.now()
  #making: Promise<void> | undefined

  /** @param stopped called once when the last reader has left */
  constructor (source: AsyncIterable<Buffer>, stopped: () => void) {
    this.#source = source[Symbol.asyncIterator]()
    this.#stopped = stopped
  }

  /** Whether it is new enough to be joined. */
  get fresh (): boolean {
    return performance.now() - this.#began < FRESH
  }

  join (reader: object): void {
    this.#positions.set(reader, 0)
  }

  /** The reader's next chunk; undefined at the end. @throws what the source throws */
  async next (reader: object): Promise<Buffer | undefined> {
    const position = this.#positions.get(reader)
    if (position === undefined) return undefined
    while (position - this.#first >= this.#chunks.length && !this.#done) {
      this.#making ??= this.#make()
      await this.#making
    }
    const chunk = this.#chunks[position - this.#first]
    if (chunk === undefined) return undefined
    if (this.#positions.has(reader)) this.#positions.set(reader, position + 1)
    if (!this.fresh) this.#letGo()
    return chunk
  }

  leave (reader: object): void {
    if (!this.#positions.delete(reader) || this.#positions.size > 0) return
    this.#done = true
    this.#chunks.length = 0
    this.#stopped()
    // Where the source waits for something, it ends when that has come.
    this.#source.return?.().catch(() => {})
  }

  async #make (): Promise<void> {
    try {
      const { value, done } = await this.#source.next()
      if (this.#positions.size === 0) return
      if (done === true) this.#done = true
      else if (value.length > 0) this.#chunks.push(value)
    } finally {
      this.#making = undefined
    }
  }

  /** Lets go of what all have taken, where nobody may join any more. */
  #letGo (): void {
    const first = Math.min(...this.#positions.values())
    this.#chunks.splice(0, first - this.#first)
    this.#first = first
  }
}
