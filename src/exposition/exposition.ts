import { performance } from 'node:perf_hooks'
import { pipeline, Readable } from 'node:stream'
import { createGzip } from 'node:zlib'
import type { FamilySnapshot, RegistryLike } from '../metrics/index.js'
import { Collection, type CollectionObserver } from './collection.js'
import type { Format, ScrapeRequest } from './negotiation.js'
import { encodeOpenMetrics } from './openmetrics.js'
import { encodeProtobuf } from './protobuf.js'
import { Rendering } from './rendering.js'
import { Scrape, ScrapeTimeout, type Outcome } from './scrape.js'
import { pause } from './slices.js'
import { encodeText } from './text.js'
import { CHUNK } from './writer.js'

/** What an exposition may be told. */
export interface ExpositionSettings {
  /** Scrapes that are served at once; one more is refused. */
  readonly maxScrapes: number
  /** Whether OpenMetrics pages say of each series when it began. */
  readonly created: boolean
}

/** Told what becomes of scrapes; it must not throw. */
export interface ScrapeObserver extends CollectionObserver {
  /** @param bytes of the body, as they are sent */
  readonly ended: (format: Format, outcome: Outcome, seconds: number, bytes: number) => void
  readonly refused: (format: Format) => void
}

/** Milliseconds that a scraper is taken to wait where it does not say: for metrics that need time, Prometheus' default; for the whole, a person's patience. */
const COLLECTING = 10_000
const SENDING = 60_000
/** What a scraper may ask for at most: one that never reads keeps another from its place until then. */
const LONGEST = 120_000
/** The part of a scraper's time that metrics may take to be collected, so that there is some left to send them. */
const COLLECTING_PART = 0.8
/** A page of 112,000 series, 12.9 MB: half a megabyte in 31 ms, where level 6 makes 0.4 MB of it in 124 ms. */
const GZIP = { level: 1, chunkSize: CHUNK }

/** What is asked of an Exposition, and of what stands before one. */
export type Pages = Pick<Exposition, 'refuses' | 'scrape' | 'text'>

/** The pages of registries, each with all of them. Scrapes that come while one is being made share it. */
export class Exposition {
  readonly #registries: RegistryLike | readonly RegistryLike[]
  readonly #settings: ExpositionSettings
  readonly #observer: ScrapeObserver
  readonly #pages = new Map<string, { readonly rendering: Rendering, readonly collection: Collection }>()
  #active = 0

  constructor (registries: RegistryLike | readonly RegistryLike[], settings: ExpositionSettings, observer: ScrapeObserver) {
    this.#registries = registries
    this.#settings = settings
    this.#observer = observer
  }

  /** Whether one more would be one too many; it is counted as refused then. */
  refuses ({ format }: ScrapeRequest): boolean {
    if (this.#active < this.#settings.maxScrapes) return false
    this.#observer.refused(format)
    return true
  }

  /** The page that is asked for. */
  scrape (request: ScrapeRequest): Scrape {
    const { rendering, collection } = this.#page(request)
    const began = performance.now()
    const given = request.timeout === undefined ? undefined : Math.min(request.timeout, LONGEST)
    const givingUp = setTimeout(() => collection.giveUp(), (given ?? COLLECTING) * COLLECTING_PART)
    const timeout = given ?? SENDING
    const timingOut = setTimeout(() => scrape.destroy(new ScrapeTimeout(timeout)), timeout)
    this.#active++
    const scrape = new Scrape(rendering, (outcome, bytes) => {
      clearTimeout(givingUp)
      clearTimeout(timingOut)
      this.#active--
      this.#observer.ended(request.format, outcome, (performance.now() - began) / 1000, bytes)
    })
    return scrape
  }

  /** The page in the text format. */
  async text (): Promise<string> {
    const collection = new Collection(this.#registries, undefined, this.#observer)
    const givingUp = setTimeout(() => collection.giveUp(), COLLECTING * COLLECTING_PART)
    try {
      const chunks: Buffer[] = []
      for await (const chunk of sliced(collection, encodeText)) chunks.push(chunk)
      return Buffer.concat(chunks).toString()
    } finally {
      clearTimeout(givingUp)
    }
  }

  /** Those who share a page have as much time: one that is in a hurry would take metrics that need time from the others. */
  #page ({ format, gzip, names, timeout }: ScrapeRequest) {
    const key = JSON.stringify([format, gzip, timeout, names && [...names].sort()])
    const shared = this.#pages.get(key)
    if (shared?.rendering.fresh === true) return shared
    const collection = new Collection(this.#registries, names, this.#observer)
    const chunks = sliced(collection, (families) => encode(format, families, this.#settings.created))
    const rendering = new Rendering(gzip ? gzipped(chunks) : chunks, () => {
      collection.giveUp()
      if (this.#pages.get(key) === page) this.#pages.delete(key)
    })
    const page = { rendering, collection }
    this.#pages.set(key, page)
    return page
  }
}

function encode (format: Format, families: readonly FamilySnapshot[], created: boolean): Iterable<Buffer> {
  if (format === 'protobuf') return encodeProtobuf(families)
  return format === 'openmetrics' ? encodeOpenMetrics(families, created) : encodeText(families)
}

async function * sliced (collection: Collection, encode: (families: readonly FamilySnapshot[]) => Iterable<Buffer>): AsyncGenerator<Buffer> {
  const families = await collection.families
  await pause()
  for (const chunk of encode(families)) {
    yield chunk
    await pause()
  }
}

/** In chunks as large as those that go in: zlib gives a header of ten bytes first. */
async function * gzipped (chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let pieces: Buffer[] = []
  let length = 0
  // An error comes out of the end that is read.
  for await (const piece of pipeline(Readable.from(chunks), createGzip(GZIP), () => {})) {
    pieces.push(piece)
    length += piece.length
    if (length < GZIP.chunkSize) continue
    yield Buffer.concat(pieces)
    pieces = []
    length = 0
  }
  yield Buffer.concat(pieces)
}
