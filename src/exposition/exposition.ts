import { performance } from 'node:perf_hooks'
import type { FamilySnapshot, RegistryLike } from '../metrics/index.js'
import { Collection } from './collection.js'
import { compressed } from './compression.js'
import { isLookedAt, owedToLooks, type Look } from './look.js'
import type { Format, ScrapeRequest } from './negotiation.js'
import { encodeOpenMetrics2 } from './openmetrics-2.js'
import { encodeOpenMetrics } from './openmetrics.js'
import { encodeProtobuf } from './protobuf.js'
import { askedBy, type CollectionObserver } from './reading.js'
import { Rendering } from './rendering.js'
import { Scrape, ScrapeTimeout, type Outcome } from './scrape.js'
import { pause } from './slices.js'
import { encodeText } from './text.js'

/** The settings of an exposition. */
export interface ExpositionSettings {
  /** The most scrapes that are served at once. Further scrapes are refused. */
  readonly maxScrapes: number
  /**
   * Whether OpenMetrics 1.0 pages have, for each counter, histogram and summary, a series with its start time. The
   * other formats that can have start times always have them.
   */
  readonly created: boolean
}

/** The callbacks that are told how scrapes end. They must not throw. */
export interface ScrapeObserver extends CollectionObserver {
  /** @param bytes the size of the body as it is sent */
  readonly ended: (format: Format, outcome: Outcome, seconds: number, bytes: number) => void
  readonly refused: (format: Format) => void
}

/**
 * Milliseconds that a scraper is assumed to wait if it sends no timeout. For metrics that need time it is Prometheus'
 * default timeout. For the whole page it is a person's patience.
 */
const COLLECTING = 10_000
const SENDING = 60_000
/**
 * The longest timeout in milliseconds that a scraper may ask for. A scraper that never reads takes another scraper's
 * place until then.
 */
const LONGEST = 120_000
/** Milliseconds that metrics may take for somebody who only looks. */
const LOOKING = 1000
/** The part of a scraper's timeout that collecting the metrics may take, so that some time is left to send them. */
const COLLECTING_PART = 0.8

/** Where several processes answer as one. */
export interface Together {
  /**
   * The metrics of all processes; undefined if this process is alone.
   * @param milliseconds that the scraper waits
   */
  collect (names: ReadonlySet<string> | undefined, milliseconds: number): Promise<FamilySnapshot[]> | undefined
  /** The same for somebody who only looks. */
  look (look: Look, milliseconds: number): Promise<FamilySnapshot[]> | undefined
}

/** What is read for one page. */
type Collected = Pick<Collection, 'families' | 'giveUp'>

/** The methods of an Exposition that its callers use. A wrapper around an Exposition has them too. */
export type Pages = Pick<Exposition, 'refuses' | 'scrape' | 'text' | 'look'>

/**
 * The pages of some registries. Each page has the metrics of all these registries. Scrapes that come while a page is
 * being made share that page.
 */
export class Exposition {
  readonly #registries: RegistryLike | readonly RegistryLike[]
  readonly #settings: ExpositionSettings
  readonly #observer: ScrapeObserver
  readonly #together: Together | undefined
  readonly #pages = new Map<string, { readonly rendering: Rendering, readonly collection: Collected }>()
  #active = 0

  constructor (registries: RegistryLike | readonly RegistryLike[], settings: ExpositionSettings, observer: ScrapeObserver, together?: Together) {
    this.#together = together
    this.#registries = registries
    this.#settings = settings
    this.#observer = observer
  }

  /** Whether a scrape is refused because maxScrapes scrapes are being served. It is counted as refused then. */
  refuses ({ format }: ScrapeRequest): boolean {
    if (this.#active < this.#settings.maxScrapes) return false
    this.#observer.refused(format)
    return true
  }

  /** Begins a scrape of the page that the request asks for. */
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
    const collection = this.#collect(undefined, COLLECTING)
    const givingUp = setTimeout(() => collection.giveUp(), COLLECTING * COLLECTING_PART)
    try {
      const chunks: Buffer[] = []
      for await (const chunk of sliced(collection, encodeText)) chunks.push(chunk)
      return Buffer.concat(chunks).toString()
    } finally {
      clearTimeout(givingUp)
    }
  }

  /**
   * The metrics as they are now, for who only looks at them: no scrape has other numbers for it, and nothing is counted.
   * Metrics that are not ready within a second are left out.
   */
  async look (look: Look): Promise<FamilySnapshot[]> {
    const together = this.#together?.look(look, LOOKING)
    if (together !== undefined) return await together
    const collection = new Collection(this.#registries, (held) => isLookedAt(held, look), look, owedToLooks)
    const givingUp = setTimeout(() => collection.giveUp(), LOOKING)
    try {
      return await collection.families
    } finally {
      clearTimeout(givingUp)
    }
  }

  #collect (names: ReadonlySet<string> | undefined, milliseconds: number): Collected {
    const alone = () => new Collection(this.#registries, askedBy(names), this.#observer)
    const together = this.#together?.collect(names, Math.min(milliseconds, LONGEST))
    if (together === undefined) return alone()
    let instead: Collection | undefined
    const families = together.catch(() => {
      instead = alone()
      return instead.families
    })
    return { families, giveUp: () => instead?.giveUp() }
  }

  /**
   * The page of a request, new or shared. Scrapers that share a page have the same timeout: a scraper with a shorter
   * timeout would give up metrics that the others have time for.
   */
  #page ({ format, compression, names, timeout }: ScrapeRequest) {
    const key = JSON.stringify([format, compression, timeout, names && [...names].sort()])
    const shared = this.#pages.get(key)
    if (shared?.rendering.fresh === true) return shared
    const collection = this.#collect(names, timeout ?? COLLECTING)
    const chunks = sliced(collection, (families) => encode(format, families, this.#settings.created))
    const rendering = new Rendering(compression === undefined ? chunks : compressed(chunks, compression), () => {
      collection.giveUp()
      if (this.#pages.get(key) === page) this.#pages.delete(key)
    })
    const page = { rendering, collection }
    this.#pages.set(key, page)
    return page
  }
}

function encode (format: Format, families: readonly FamilySnapshot[], created: boolean): Iterable<Buffer> {
  switch (format) {
    case 'protobuf': return encodeProtobuf(families)
    case 'openmetrics': return encodeOpenMetrics(families, created)
    case 'openmetrics2': return encodeOpenMetrics2(families)
    default: return encodeText(families)
  }
}

async function * sliced (collection: Collected, encode: (families: readonly FamilySnapshot[]) => Iterable<Buffer>): AsyncGenerator<Buffer> {
  const families = await collection.families
  await pause()
  for (const chunk of encode(families)) {
    yield chunk
    await pause()
  }
}
