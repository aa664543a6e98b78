import { performance } from 'node:perf_hooks'
import { NAME_LABEL, helpOf, isFamily, isLabelName, isMetricName, type Family, type FamilySnapshot, type RegistryLike } from '../metrics/index.js'
import { consistent } from './consistency.js'
import { foreignSnapshots } from './foreign.js'
import { heldIn, type DefaultLabels, type Failed, type Held, type Metric } from './held.js'
import { nextTurn, pause } from './slices.js'

/** The callbacks that are told how single metrics were read, by their names. They must not throw. */
export interface CollectionObserver {
  /** Called for a metric that could not be read, or not completely. */
  readonly failed: Failed
  /** Called with the number of series of another library's metric. */
  readonly counted: (metric: string, series: number) => void
}

/** A family of this package that is ready to be copied. */
interface Ready {
  readonly family: Family
  readonly name: string
  readonly defaults: DefaultLabels
}

/**
 * The most series that are copied in one piece, which takes a millisecond or two. Families that must be copied together
 * come first, then the user's families. A family that does not fit in is copied in a piece of its own. The limit is a
 * number of series and not a time, so that a slow machine copies the same families together as a fast one.
 */
export const MOST_SERIES = 50_000
/** The suffixes that the lines of a metric add to its name. */
const SUFFIXES = ['', '_bucket', '_sum', '_count', '_created']
const GAVE_UP = Symbol('gave up')

/**
 * Milliseconds after which a metric that was given up is skipped until it settles. Before that, later scrapes wait for
 * it, because perhaps only one scraper was impatient.
 */
const HANGING = 1000

/** The answers that metrics still owe to collections that gave them up, and since when. */
const owed = new WeakMap<object, { readonly answer: PromiseLike<unknown>, readonly since: number }>()

/**
 * The metrics of some registries, read for one page. First the users' `collect` callbacks are called and the metrics of
 * other libraries are read, because both may take time. Then the families of this package are copied, all at one
 * moment. A metric that throws is left out, and so is a metric that is not ready when `giveUp` is called.
 */
export class Collection {
  /** The families, in the order of the registries. No two of their series are the same for a scraper. */
  readonly families: Promise<FamilySnapshot[]>
  readonly #registries: readonly RegistryLike[]
  readonly #names: ReadonlySet<string> | undefined
  readonly #observer: CollectionObserver
  readonly #gaveUp: Promise<typeof GAVE_UP>
  #giveUp!: () => void

  /** @param names the metrics to read, by their own names or the names of their lines; undefined for all */
  constructor (registries: RegistryLike | readonly RegistryLike[], names: ReadonlySet<string> | undefined, observer: CollectionObserver) {
    this.#registries = [registries].flat()
    this.#names = names
    this.#observer = observer
    this.#gaveUp = new Promise((resolve) => { this.#giveUp = () => { resolve(GAVE_UP) } })
    this.families = this.#collect()
  }

  /** Leaves out the metrics that are not ready. */
  giveUp (): void {
    this.#giveUp()
  }

  async #collect (): Promise<FamilySnapshot[]> {
    const asked = heldIn(this.#registries, this.#observer.failed).filter(({ name }) => this.#isAsked(name))
    const read = await Promise.all(asked.map(async (held) => {
      try {
        return await this.#read(held)
      } catch (error) {
        this.#observer.failed(held.name, error)
        return []
      }
    }))
    const copies = await this.#copyAll(read.flatMap((found) => Array.isArray(found) ? [] : [found]))
    const families = read.flatMap((found) => Array.isArray(found) ? found : copies.get(found) ?? [])
    return await consistent(families, this.#observer.failed)
  }

  async #read ({ metric, name, defaults }: Held): Promise<FamilySnapshot[] | Ready> {
    await pause()
    const before = owed.get(metric)
    if (before !== undefined && performance.now() - before.since > HANGING) throw new Error('it has not finished since an earlier scrape, and is not asked again until it has')
    if (isFamily(metric) && typeof metric.snapshot === 'function') {
      checkNames(metric, name)
      await this.#inTime(metric, before === undefined ? metric.collected() : before.answer)
      return { family: metric, name, defaults }
    }
    const state = await this.#inTime(metric, before === undefined ? stateOf(metric) : before.answer)
    const snapshots = await foreignSnapshots(name, state, defaults, this.#observer.failed)
    for (const { name, size } of snapshots) this.#observer.counted(name, size)
    return snapshots
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
      const snapshot = family.snapshot(defaults.of(family.type))
      copies.set(ready, { ...snapshot, name, help: helpOf(snapshot.help) })
    } catch (error) {
      this.#observer.failed(name, error)
    }
  }

  /** Waits for the answer of a metric. @throws Error when the metric is given up before it has answered */
  async #inTime<T> (metric: object, given: T | PromiseLike<T>): Promise<T> {
    if (typeof (given as Partial<PromiseLike<T>> | undefined)?.then !== 'function') return given
    const answer = Promise.resolve(given)
    const first = await Promise.race([answer, this.#gaveUp])
    if (first !== GAVE_UP) return first
    if (!owed.has(metric)) owed.set(metric, { answer, since: performance.now() })
    const settled = () => { owed.delete(metric) }
    answer.then(settled, settled)
    throw new Error('it did not finish in the time of the scrape')
  }

  #isAsked (name: string): boolean {
    const names = this.#names
    if (names === undefined) return true
    const base = name.replace(/_total$/, '')
    return SUFFIXES.some((suffix) => names.has(name + suffix) || names.has(base + suffix))
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

function stateOf (metric: Metric): unknown {
  return metric.getForPromString === undefined ? metric.get?.() : metric.getForPromString()
}

/** @throws TypeError for a family with a name or a label for which a scraper would lose the whole page */
function checkNames ({ labelNames }: Family, name: string): void {
  if (!isMetricName(name)) throw new TypeError(`its name is no metric's: ${JSON.stringify(name)}`)
  for (const [i, label] of labelNames.entries()) {
    if (!isLabelName(label) || label === NAME_LABEL) throw new TypeError(`its label '${label}' is none that a series may have`)
    if (labelNames.indexOf(label) !== i) throw new TypeError(`its label '${label}' is there twice`)
  }
}
