import { Readable } from 'node:stream'
import type { Rendering } from './rendering.js'

/** How a scrape ended: all of it was taken, its client left, its time was over, or it could not be made. */
export type Outcome = 'served' | 'aborted' | 'timeout' | 'failed'

/** Why a scrape whose time is over ends. */
export class ScrapeTimeout extends Error {
  /** What Fastify answers, where nothing was sent yet. */
  readonly statusCode = 503

  /** @param milliseconds that the scraper gave it */
  constructor (milliseconds: number) {
    super(`the scrape was not finished in the ${milliseconds / 1000} s that its client gave it`)
    this.name = 'ScrapeTimeout'
  }
}

/** One scraper's way through a page: a stream of its bytes, no faster than it takes them. */
export class Scrape extends Readable {
  readonly #rendering: Rendering
  readonly #ended: (outcome: Outcome, bytes: number) => void
  readonly #began: Buffer[] = []
  #bytes = 0
  #over = false

  /** @param ended called once, with the bytes that were taken */
  constructor (rendering: Rendering, ended: (outcome: Outcome, bytes: number) => void) {
    super({ highWaterMark: 1 })
    this.#rendering = rendering
    this.#ended = ended
    rendering.join(this)
    // Whoever reads the stream hears of its errors; where nobody does yet, whole() throws them.
    this.on('error', () => {})
  }

  /** The page where it is a single chunk, else the stream itself; undefined where its client left. @throws what keeps the page from being made */
  async whole (): Promise<Buffer | this | undefined> {
    try {
      const first = await this.#rendering.next(this) ?? Buffer.alloc(0)
      const second = await this.#rendering.next(this)
      if (this.errored !== null) throw this.errored
      if (this.destroyed) return undefined
      if (second !== undefined) {
        this.#began.push(first, second)
        return this
      }
      this.#bytes = first.length
      this.#end('served')
      this.destroy()
      return first
    } catch (error) {
      this.#end('failed')
      this.destroy()
      throw error
    }
  }

  override _read (): void {
    const ready = this.#began.shift()
    if (ready !== undefined) {
      this.#bytes += ready.length
      this.push(ready)
      return
    }
    this.#rendering.next(this).then((chunk) => {
      if (this.destroyed) return
      this.#bytes += chunk?.length ?? 0
      if (chunk === undefined) this.#end('served')
      this.push(chunk ?? null)
    }, (error) => this.destroy(error))
  }

  override _destroy (error: Error | null, callback: (error?: Error | null) => void): void {
    this.#end(error === null ? 'aborted' : error instanceof ScrapeTimeout ? 'timeout' : 'failed')
    callback(error)
  }

  #end (outcome: Outcome): void {
    if (this.#over) return
    this.#over = true
    this.#rendering.leave(this)
    this.#ended(outcome, this.#bytes)
  }
}
