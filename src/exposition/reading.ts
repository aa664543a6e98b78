import { performance } from 'node:perf_hooks'
import { NAME_LABEL, isFamily, isLabelName, isMetricName, type Family, type FamilySnapshot, type RegistryLike } from '../metrics/index.js'
import { foreignSnapshots } from './foreign.js'
import { heldIn, type DefaultLabels, type Failed, type Held, type Metric } from './held.js'
import { pause } from './slices.js'

/** The callbacks that are told how single metrics were read, by their names. They must not throw. */
export interface CollectionObserver {
  /** Called for a metric that could not be read, or not completely. */
  readonly failed: Failed
  /** Called with the number of series of another library's metric. */
  readonly counted: (metric: string, series: number) => void
}

/** A family of this package that is ready to be copied. */
export interface Ready {
  readonly family: Family
  readonly name: string
  readonly defaults: DefaultLabels
}

/** A metric of another library, and what it gave. */
export interface Foreign extends Held {
  readonly snapshots: readonly FamilySnapshot[]
}

/** The suffixes that the lines of a metric add to its name. */
const SUFFIXES = ['', '_bucket', '_sum', '_count', '_created']
const GAVE_UP = Symbol('gave up')

/**
 * Milliseconds after which a metric that was given up is skipped until it settles. Before that, later scrapes wait for
 * it, because perhaps only one scraper was impatient.
 */
const HANGING = 1000

/** The answers that metrics still owe to readings that gave them up, and since when. */
export type Owed = WeakMap<object, { readonly answer: PromiseLike<unknown>, readonly since: number }>

/** What is owed to scrapes. */
const owedToScrapes: Owed = new WeakMap()

/**
 * The metrics of some registries, before their numbers are copied: the users' `collect` callbacks are called and the
 * metrics of other libraries are read, because both may take time. A metric that throws is left out, and so is a metric
 * that is not ready when `giveUp` is called.
 */
export class Reading {
  /** In the order of the registries: the families of this package, and what other metrics gave. */
  readonly found: Promise<Array<Foreign | Ready>>
  readonly #registries: readonly RegistryLike[]
  readonly #isAsked: (held: Held) => boolean
  readonly #observer: CollectionObserver
  readonly #owed: Owed
  readonly #gaveUp: Promise<typeof GAVE_UP>
  #giveUp!: () => void

  /**
   * @param isAsked which metrics to read
   * @param owed what metrics still owe to other readings of the kind
   */
  constructor (registries: RegistryLike | readonly RegistryLike[], isAsked: (held: Held) => boolean, observer: CollectionObserver, owed = owedToScrapes) {
    this.#registries = [registries].flat()
    this.#isAsked = isAsked
    this.#observer = observer
    this.#owed = owed
    this.#gaveUp = new Promise((resolve) => { this.#giveUp = () => { resolve(GAVE_UP) } })
    this.found = this.#readAll()
  }

  /** Leaves out the metrics that are not ready. */
  giveUp (): void {
    this.#giveUp()
  }

  async #readAll (): Promise<Array<Foreign | Ready>> {
    const asked = heldIn(this.#registries, this.#observer.failed).filter(this.#isAsked)
    const read = await Promise.all(asked.map(async (held) => {
      try {
        return await this.#read(held)
      } catch (error) {
        this.#observer.failed(held.name, error)
        return undefined
      }
    }))
    return read.filter((found) => found !== undefined)
  }

  async #read (held: Held): Promise<Foreign | Ready> {
    const { metric, name, defaults } = held
    await pause()
    const before = this.#owed.get(metric)
    if (before !== undefined && performance.now() - before.since > HANGING) throw new Error('it has not finished since an earlier scrape, and is not asked again until it has')
    if (isFamily(metric) && typeof metric.snapshot === 'function') {
      checkNames(metric, name)
      await this.#inTime(metric, before === undefined ? metric.collected() : before.answer)
      return { family: metric, name, defaults }
    }
    const state = await this.#inTime(metric, before === undefined ? stateOf(metric) : before.answer)
    const snapshots = await foreignSnapshots(name, state, defaults, this.#observer.failed)
    for (const { name, size } of snapshots) this.#observer.counted(name, size)
    return { ...held, snapshots }
  }

  /** Waits for the answer of a metric. @throws Error when the metric is given up before it has answered */
  async #inTime<T> (metric: object, given: T | PromiseLike<T>): Promise<T> {
    if (typeof (given as Partial<PromiseLike<T>> | undefined)?.then !== 'function') return given
    const answer = Promise.resolve(given)
    const first = await Promise.race([answer, this.#gaveUp])
    if (first !== GAVE_UP) return first
    if (!this.#owed.has(metric)) this.#owed.set(metric, { answer, since: performance.now() })
    const settled = () => { this.#owed.delete(metric) }
    answer.then(settled, settled)
    throw new Error('it did not finish in the time of the scrape')
  }
}

/** Asks for all metrics. */
export function all (): boolean {
  return true
}

/** Asks for metrics. @param names the metrics' own names or the names of their lines; undefined for all */
export function askedBy (names: ReadonlySet<string> | undefined): (held: Pick<Held, 'name'>) => boolean {
  return names === undefined ? all : ({ name }) => isAsked(name, names)
}

function isAsked (name: string, names: ReadonlySet<string>): boolean {
  const base = name.replace(/_total$/, '')
  return SUFFIXES.some((suffix) => names.has(name + suffix) || names.has(base + suffix))
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
