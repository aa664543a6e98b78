import { performance } from 'node:perf_hooks'
import { LabelPair, isFamily, isLabelName, type Family, type FamilySnapshot, type RegistryLike } from '../metrics/index.js'
import { foreignSnapshots } from './foreign.js'
import { pause } from './slices.js'

/** Told what becomes of single metrics, by their names; it must not throw. */
export interface CollectionObserver {
  /** It could not be read. */
  readonly failed: (metric: string, error: unknown) => void
  /** It is another library's, and has so many series. */
  readonly counted: (metric: string, series: number) => void
}

/** A metric as a registry of prom-client's shape holds it. */
interface Held {
  readonly name: string
  getForPromString?: () => unknown
  get?: () => unknown
}

/** A family of ours that is ready to be read. */
interface Ready {
  readonly family: Family
  readonly name: string
}

/** Milliseconds that families of ours may take to be copied at one moment: those of some 300,000 series. */
const MOMENT = 8
/** What the lines of a metric add to its name. */
const SUFFIXES = ['', '_bucket', '_sum', '_count', '_created']
const GAVE_UP = Symbol('gave up')

/** Milliseconds after which a metric that was given up is not waited for any more. Until then it may only be that a scraper was impatient. */
const HANGING = 1000

/** What metrics still owe to collections that gave them up, and since when. */
const owed = new WeakMap<object, { readonly answer: PromiseLike<unknown>, readonly since: number }>()

/**
 * The metrics of a registry, read for one page. The collect callbacks of users and the metrics of other libraries come first, for they may take time; then
 * those of ours, all at one moment. One that throws is left out, and so is one that is not ready when `giveUp` is called.
 */
export class Collection {
  /** In the order of the registry. */
  readonly families: Promise<FamilySnapshot[]>
  readonly #registry: RegistryLike
  readonly #names: ReadonlySet<string> | undefined
  readonly #observer: CollectionObserver
  readonly #gaveUp: Promise<typeof GAVE_UP>
  #giveUp!: () => void

  /** @param names which metrics, by their own names or those of their lines; undefined for all */
  constructor (registry: RegistryLike, names: ReadonlySet<string> | undefined, observer: CollectionObserver) {
    this.#registry = registry
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
    const shared = this.#defaultLabels()
    const asked = this.#registry.getMetricsAsArray()
      .map((metric) => ({ metric: metric as Held, name: nameIn(this.#registry, metric as Held) }))
      .filter(({ name }) => this.#isAsked(name))
    const read = await Promise.all(asked.map(async ({ metric, name }) => {
      try {
        return await this.#read(metric, name, shared)
      } catch (error) {
        this.#observer.failed(name, error)
        return []
      }
    }))
    await pause()
    const families: FamilySnapshot[] = []
    let began = performance.now()
    for (const found of read) {
      if (Array.isArray(found)) {
        families.push(...found)
        continue
      }
      try {
        families.push({ ...found.family.snapshot(shared), name: found.name })
      } catch (error) {
        this.#observer.failed(found.name, error)
      }
      if (performance.now() - began > MOMENT) {
        await pause()
        began = performance.now()
      }
    }
    return families
  }

  async #read (metric: Held, name: string, shared: readonly LabelPair[]): Promise<FamilySnapshot[] | Ready> {
    await pause()
    const before = owed.get(metric)
    if (before !== undefined && performance.now() - before.since > HANGING) throw new Error('it has not finished since an earlier scrape, and is not asked again until it has')
    if (isFamily(metric) && typeof metric.snapshot === 'function') {
      await this.#inTime(metric, before === undefined ? metric.collected() : before.answer)
      return { family: metric, name }
    }
    const state = await this.#inTime(metric, before === undefined ? stateOf(metric) : before.answer)
    const snapshots = await foreignSnapshots(name, state, shared)
    for (const { name, size } of snapshots) this.#observer.counted(name, size)
    return snapshots
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

  /** The registry's default labels, which registries of that shape keep under one name and show to nobody (prom-client/lib/registry.js:22). */
  #defaultLabels (): readonly LabelPair[] {
    const labels = (this.#registry as { _defaultLabels?: unknown })._defaultLabels
    if (typeof labels !== 'object' || labels === null) return []
    return Object.entries(labels).flatMap(([name, value]) => {
      if (isLabelName(name)) return [new LabelPair(name, String(value))]
      this.#observer.failed('default labels', new Error(`the registry's default label '${name}' is no label name, and is left out`))
      return []
    })
  }

  #isAsked (name: string): boolean {
    const names = this.#names
    if (names === undefined) return true
    const base = name.replace(/_total$/, '')
    return SUFFIXES.some((suffix) => names.has(name + suffix) || names.has(base + suffix))
  }
}

function stateOf (metric: Held): unknown {
  return metric.getForPromString === undefined ? metric.get?.() : metric.getForPromString()
}

/** The name under which a registry holds a metric: prom-client takes `_total` off a counter's own name once it has made an OpenMetrics page. */
function nameIn (registry: RegistryLike, metric: Held): string {
  const name = String(metric.name)
  return registry.getSingleMetric(name) !== metric && registry.getSingleMetric(`${name}_total`) === metric ? `${name}_total` : name
}
