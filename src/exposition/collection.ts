import { helpOf, type FamilySnapshot, type RegistryLike } from '../metrics/index.js'
import { consistent } from './consistency.js'
import type { Held } from './held.js'
import { Reading, type CollectionObserver, type Owed, type Ready } from './reading.js'
import { nextTurn } from './slices.js'

/**
 * The most series that are copied in one piece, which takes a millisecond or two. Families that must be copied together
 * come first, then the user's families. A family that does not fit in is copied in a piece of its own. The limit is a
 * number of series and not a time, so that a slow machine copies the same families together as a fast one.
 */
export const MOST_SERIES = 50_000

/**
 * The metrics of some registries, read for one page: first what may take time, then the families of this package, which
 * are copied all at one moment.
 */
export class Collection {
  /** The families, in the order of the registries. No two of their series are the same for a scraper. */
  readonly families: Promise<FamilySnapshot[]>
  readonly #reading: Reading
  readonly #observer: CollectionObserver
  readonly #isPage: boolean

  /**
   * @param isAsked which metrics to read
   * @param owed what metrics owe to other looks; undefined for a page
   */
  constructor (registries: RegistryLike | readonly RegistryLike[], isAsked: (held: Held) => boolean, observer: CollectionObserver, owed?: Owed) {
    this.#observer = observer
    this.#isPage = owed === undefined
    this.#reading = new Reading(registries, isAsked, observer, owed)
    this.families = this.#collect()
  }

  /** Leaves out the metrics that are not ready. */
  giveUp (): void {
    this.#reading.giveUp()
  }

  async #collect (): Promise<FamilySnapshot[]> {
    const read = await this.#reading.found
    const copies = await this.#copyAll(read.filter((found) => 'family' in found))
    const families = read.flatMap((found) => 'family' in found ? copies.get(found) ?? [] : found.snapshots)
    return await consistent(families, this.#observer.failed)
  }

  /**
   * Copies families. The families that must balance, and the families that fit in beside them, are copied in one piece,
   * without a turn of the event loop between them. Each family that does not fit in has a piece of its own.
   */
  async #copyAll (ready: readonly Ready[]): Promise<Map<Ready, FamilySnapshot>> {
    const copies = new Map<Ready, FamilySnapshot>()
    if (ready.length === 0) return copies
    const { piece, giants } = divide(ready)
    await nextTurn()
    // A family that computes its numbers comes first, because it may write to others: it ends requests whose end was
    // missed.
    for (const each of piece) if (each.family.computed) this.#copy(each, copies)
    for (const each of piece) if (!each.family.computed) this.#copy(each, copies)
    for (const each of giants) {
      await nextTurn()
      this.#copy(each, copies)
    }
    return copies
  }

  #copy (ready: Ready, copies: Map<Ready, FamilySnapshot>): void {
    const { family, name, defaults } = ready
    try {
      const shared = defaults.of(family.type)
      const snapshot = this.#isPage ? family.snapshot(shared) : family.peek(shared)
      copies.set(ready, { ...snapshot, name, help: helpOf(snapshot.help) })
    } catch (error) {
      this.#observer.failed(name, error)
    }
  }
}

/**
 * Divides families into one piece and giants. The piece has all families that must be copied together, and the smallest
 * of the others.
 */
function divide (ready: readonly Ready[]): { piece: Ready[], giants: Ready[] } {
  const piece = ready.filter(({ family }) => family.together)
  let series = piece.reduce((sum, { family }) => sum + family.size, 0)
  const giants: Ready[] = []
  for (const each of ready.filter(({ family }) => !family.together).sort((a, b) => a.family.size - b.family.size)) {
    series += each.family.size
    if (series > MOST_SERIES) giants.push(each)
    else piece.push(each)
  }
  return { piece, giants }
}
