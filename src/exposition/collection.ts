import { performance } from 'node:perf_hooks'
import { NAME_LABEL, helpOf, isFamily, isLabelName, isMetricName, type Family, type FamilySnapshot, type RegistryLike } from '../metrics/index.js'
import { consistent } from './consistency.js'
import { foreignSnapshots } from './foreign.js'
import { heldIn, type DefaultLabels, type Failed, type Held, type Metric } from './held.js'
import { nextTurn, pause } from './slices.js'

/** Told what becomes of single metrics, by their names; it must not throw. */
export interface CollectionObserver {
  /** It could not be read, or not all of it. */
  readonly failed: Failed
  /** It is another library's, and has so many series. */
  readonly counted: (metric: string, series: number) => void
}

/** A family of ours that is ready to be read. */
interface Ready {
  readonly family: Family
  readonly name: string
  readonly defaults: DefaultLabels
}

/**
 * Series that are copied in one piece, those of the user's families after those that must be: a millisecond or two. A family that does not fit in is copied in a
 * piece of its own. It is a number of series and no time, so that a slow machine copies no other families together than a fast one.
 */
export const MOST_SERIES = 50_000
/** What the lines of a metric add to its name. */
const SUFFIXES = ['', '_bucket', '_sum', '_count', '_created']
const GAVE_UP = Symbol('gave up')

/** Milliseconds after which a metric that was given up is not waited for any more. Until then it may only be that a scraper was impatient. */
const HANGING = 1000

/** What metrics still owe to collections that gave them up, and since when. */
const owed = new WeakMap<object, { readonly answer: PromiseLike<unknown>, readonly since: number }>()

/**
 * The metrics of registries, read for one page. The collect callbacks of users and the metrics of other libraries come first, for they may take time; then
 * those of ours, all at one moment. One that throws is left out, and so is one that is not ready when `giveUp` is called.
 */
export class Collection {
  /** In the order of the registries. No two series in them are the same for a scraper. */
  readonly families: Promise<FamilySnapshot[]>
  readonly #registries: readonly RegistryLike[]
  readonly #names: ReadonlySet<string> | undefined
  readonly #observer: CollectionObserver
  readonly #gaveUp: Promise<typeof GAVE_UP>
  #giveUp!: () => void

  /** @param names which metrics, by their own names or those of their lines; undefined for all */
  constructor (registries: RegistryLike | readonly RegistryLike[], names: ReadonlySet<string> | undefined, observer: CollectionObserver) {
    this.#registries = [registries].flat()
    this.#names = names
    this.#observer = observer
    this.#gaveUp = new Promise((resolve) => { this.#giveUp = () => { resolve(GAVE_UP) } })
    this.families = this.#collect()
  }

  /** Leaves out what is not ready. */
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
    const copies = await this.#copied(read.flatMap((found) => Array.isArray(found) ? [] : [found]))
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

  /** Copies families: those that must balance and what fits in beside them in one piece, without a turn of the event loop between them; each that does not in its own. */
  async #copied (ready: readonly Ready[]): Promise<Map<Ready, FamilySnapshot>> {
    const copies = new Map<Ready, FamilySnapshot>()
    if (ready.length === 0) return copies
    const { piece, giants } = divided(ready)
    await nextTurn()
    // What computes its numbers may write to others: requests whose end was not heard end there.
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

  /** @throws Error when it is given up before the answer is there */
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

/** Which families are copied in one piece: all that must, and of the others the smallest. */
function divided (ready: readonly Ready[]): { piece: Ready[], giants: Ready[] } {
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

/** @throws TypeError for a family with a name or a label that would cost the whole page */
function checkNames ({ labelNames }: Family, name: string): void {
  if (!isMetricName(name)) throw new TypeError(`its name is no metric's: ${JSON.stringify(name)}`)
  for (const [i, label] of labelNames.entries()) {
    if (!isLabelName(label) || label === NAME_LABEL) throw new TypeError(`its label '${label}' is none that a series may have`)
    if (labelNames.indexOf(label) !== i) throw new TypeError(`its label '${label}' is there twice`)
  }
}
