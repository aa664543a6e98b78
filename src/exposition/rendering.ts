import { performance } from 'node:perf_hooks'

/** Milliseconds, from its start, for which further scrapes may join the shared page of several scrapes. */
const FRESH = 1000

/**
 * The shared page of several scrapes, which is made while they read it. Each reader gets all chunks, at its own pace. A
 * chunk is made when the first reader asks for it, so the page is made no faster than the fastest reader takes it. A
 * chunk is kept as long as some reader may still ask for it.
 */
export class Rendering {
  readonly #source: AsyncIterator<Buffer>
  readonly #stopped: () => void
  readonly #chunks: Buffer[] = []
  /** By reader, the number of the chunk that the reader takes next. */
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

  /** Whether the page is new enough for further readers to join. */
  get fresh (): boolean {
    return performance.now() - this.#began < FRESH
  }

  join (reader: object): void {
    this.#positions.set(reader, 0)
  }

  /** The reader's next chunk; undefined at the end of the page. @throws the error that the source throws */
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
    // If the source is waiting for a promise, it ends when that promise has settled.
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

  /** Drops the chunks that all readers have taken. Called only when no further reader may join. */
  #letGo (): void {
    const first = Math.min(...this.#positions.values())
    this.#chunks.splice(0, first - this.#first)
    this.#first = first
  }
}
