import { Readable } from 'node:stream'
import type { Rendering } from './rendering.js'

/**
 * How a scrape ended. 'served': the client took the whole page. 'aborted': the client left. 'timeout': the time of the
 * scrape was over. 'failed': the page could not be made.
 */
export type Outcome = 'served' | 'aborted' | 'timeout' | 'failed'

/** The error that ends a scrape whose time is over. */
export class ScrapeTimeout extends Error {
  /** The status that Fastify answers with, if nothing was sent yet. */
  readonly statusCode = 503

  /** @param milliseconds the timeout that the scraper gave */
  constructor (milliseconds: number) {
    super(`the scrape was not finished in the ${milliseconds / 1000} s that its client gave it`)
    this.name = 'ScrapeTimeout'
  }
}

/** One scraper's reading of a page: a stream of the page's bytes, no faster than the scraper takes them. */
export class Scrape extends Readable {
  readonly #rendering: Rendering
  readonly #ended: (outcome: Outcome, bytes: number) => void
  readonly #began: Buffer[] = []
  #bytes = 0
  #over = false

  /** @param ended called once, with the number of bytes that were taken */
  constructor (rendering: Rendering, ended: (outcome: Outcome, bytes: number) => void) {
    super({ highWaterMark: 1 })
    this.#rendering = rendering
    this.#ended = ended
    rendering.join(this)
    // The reader of the stream gets its errors. As long as there is no reader, whole() throws them.
    this.on('error', () => {})
  }

  /**
   * The page itself if it is a single chunk, else this stream; undefined if the client has left.
   * @throws the error that keeps the page from being made
   */
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
