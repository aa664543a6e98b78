import { Reading, all, heldIn, isLookedAt, owedToLooks, pause, type CollectionObserver, type Held, type Ready } from '../exposition/index.js'
import { isFamily, isLabelName, isMetricName, type Exemplar, type Family, type FamilySnapshot, type LabelColumns, type LabelPair, type RegistryLike } from '../metrics/index.js'
import type { Contributor } from './contribution.js'
import { NO_LIMIT, isMomentary, mergeOf, widthOf, type Definition } from './definition.js'
import { contributorNow } from './foreign-now.js'
import { LabelTable } from './label-table.js'
import { toNumbers } from './native-numbers.js'

const NONE = new Float64Array(0)
const NOBODY: ReadonlySet<object> = new Set()
/** The number of series that are read between two checks of the clock. */
const BATCH = 256

/**
 * What a process is asked for: all that it has; or that without what a scrape would miss afterwards, for who looks; or
 * only what no `collect` callback has to be called for.
 */
export type Request = 'contribute' | 'look' | 'glance'

const none = () => false

/** What a process has to contribute, read from its registries. */
export class Contributors {
  readonly #registries: RegistryLike[]
  readonly #since: number
  readonly #observer: CollectionObserver
  /** What a metric gave when it was asked, for what cannot be read at once. */
  #given = new Map<object, readonly Contributor[]>()

  /** @param since when the process began to contribute, in milliseconds since the epoch */
  constructor (registries: readonly RegistryLike[], since: number, observer: CollectionObserver) {
    this.#registries = [...registries]
    this.#since = since
    this.#observer = observer
  }

  /** Reads these registries too, from now on. */
  add (registries: readonly RegistryLike[]): void {
    this.#registries.push(...registries.filter((registry) => !this.#registries.includes(registry)))
  }

  /**
   * Reads all, or what somebody wants who only looks. The numbers of this package's families are read when they are written, all at one moment.
   * @param milliseconds after which the metrics that are not ready are as they were the last time
   */
  async all (milliseconds: number, request: Request = 'contribute'): Promise<Contributor[]> {
    const isRead = request === 'contribute' ? all : (held: Held) => isLookedAt(held, { collects: request === 'look', skips: none, waits: none })
    const reading = new Reading(this.#registries, isRead, this.#observer, request === 'contribute' ? undefined : owedToLooks)
    const givingUp = setTimeout(() => reading.giveUp(), milliseconds)
    try {
      const found = await reading.found
      const given = new Map<object, readonly Contributor[]>()
      for (const each of found) {
        if ('family' in each) continue
        const contributors: Contributor[] = []
        for (const snapshot of each.snapshots) contributors.push(await fromSnapshot(snapshot, this.#since))
        given.set(each.metric, contributors)
      }
      const asked = new Set(given.keys())
      const ready = found.filter((each) => 'family' in each)
      this.#refresh(ready)
      for (const each of ready) if (isAskedOnly(each.family)) given.set(each.family, [frozen(this.#live(each))])
      // A count that is not on this page would go back.
      const unread = new Set<object>(this.#held.filter((held) => !isRead(held)).map(({ metric }) => metric))
      const stays = (metric: object, before: readonly Contributor[]) => unread.has(metric) || !before.some(({ definition }) => isMomentary(definition))
      for (const [metric, before] of this.#given) if (!given.has(metric) && stays(metric, before)) given.set(metric, before)
      this.#given = given
      return this.#read(asked)
    } finally {
      clearTimeout(givingUp)
    }
  }

  /**
   * What can be read at once: what is counted, now; and what only a `collect` callback knows, as it was when all was
   * read.
   */
  now (): Contributor[] {
    this.#refresh(this.#held.flatMap((each) => isFamily(each.metric) && !isAskedOnly(each.metric) ? [readyOf(each, each.metric)] : []))
    return this.#read(NOBODY)
  }

  /** @param asked the metrics of other libraries that have just given what they have */
  #read (asked: ReadonlySet<object>): Contributor[] {
    const contributors = this.#held.flatMap((each) => {
      const { metric, name } = each
      const given = this.#given.get(metric)
      if (isFamily(metric)) return isAskedOnly(metric) ? given ?? [] : [this.#live(readyOf(each, metric))]
      if (given !== undefined && (given.length > 1 || asked.has(metric))) return given
      try {
        return contributorNow(each, given?.[0], this.#since) ?? []
      } catch (error) {
        this.#observer.failed(name, error)
        return given ?? []
      }
    })
    return contributors.filter(({ definition: { name, labels } }) => isMetricName(name) && labels.every(isLabelName) && new Set(labels).size === labels.length)
  }

  get #held (): Held[] {
    return heldIn(this.#registries, this.#observer.failed)
  }

  /** Families that compute their numbers come first, because they may write to others. */
  #refresh (ready: readonly Ready[]): void {
    for (const { family, name } of ready) {
      if (!family.computed) continue
      try {
        family.refresh()
      } catch (error) {
        this.#observer.failed(name, error)
      }
    }
  }

  #live ({ family, name, defaults }: Ready): Contributor {
    return fromFamily(family, name, defaults.of(family.type), this.#since)
  }
}

function fromFamily (family: Family, name: string, shared: readonly LabelPair[], since: number): Contributor {
  const labels = withShared(family.labelColumns(), shared)
  const { type } = family
  const natives = family.natives()
  const definition: Definition = {
    name, help: family.help, type, merge: type === 'gauge' ? mergeOf(name, family.aggregator) : 'sum', labels: labels.names, own: family.labelNames.length, isLoose: false, bounds: 'buckets' in family ? family.buckets as number[] : [], isNative: natives !== undefined, quantiles: [], maxSeries: family.maxSeries, since
  }
  return {
    definition,
    size: family.size,
    labels,
    numbersInto: (target, at) => family.numbersInto(target, at),
    natives: natives === undefined ? NONE : toNumbers(natives),
    exemplars: [...family.illustrations()]
  }
}

function readyOf ({ name, defaults }: Held, family: Family): Ready {
  return { family, name, defaults }
}

/**
 * Whether a gauge is worth reading only when somebody asks: else each age that grows would be a change to be written.
 */
function isAskedOnly (family: Family): boolean {
  return family.type === 'gauge' && (family.computed || family.collect !== undefined)
}

const shareds = new WeakMap<LabelColumns, { readonly shared: readonly LabelPair[], readonly columns: LabelColumns }>()

/** Labels with the default labels of a registry, for series that have no such label themselves. */
function withShared (labels: LabelColumns, shared: readonly LabelPair[]): LabelColumns {
  if (shared.length === 0) return labels
  const known = shareds.get(labels)
  if (known !== undefined && known.shared.length === shared.length && known.shared.every(({ text }, i) => text === shared[i]?.text)) return known.columns
  const more = shared.filter(({ name }) => !labels.names.includes(name))
  const names = [...labels.names, ...more.map(({ name }) => name)]
  const values = [
    // In the place of no value.
    ...labels.values.map((values, i) => [shared.find(({ name }) => name === labels.names[i])?.value, ...values.slice(1)]),
    ...more.map(({ value }) => [value])
  ]
  const size = labels.names.length === 0 ? 1 : labels.numbers.length / labels.names.length
  const numbers = new Uint32Array(size * names.length)
  for (let series = 0; series < size; series++) {
    numbers.set(labels.numbers.subarray(series * labels.names.length, (series + 1) * labels.names.length), series * names.length)
  }
  const columns = { names, values, numbers }
  shareds.set(labels, { shared, columns })
  return columns
}

/** A contributor of a snapshot, read in slices. */
async function fromSnapshot (snapshot: FamilySnapshot, since: number): Promise<Contributor> {
  const { name, help, type, bounds, aggregator } = snapshot
  const series = []
  const names = new Set<string>()
  const quantiles = new Set<number>()
  for (const each of snapshot.series()) {
    if (series.length % BATCH === 0) await pause()
    series.push(each)
    for (const label of each.labels) names.add(label.name)
    for (const { quantile } of each.quantiles?.quantiles ?? []) quantiles.add(quantile)
  }
  const definition: Definition = {
    name, help, type, merge: type === 'gauge' || type === 'unknown' ? mergeOf(name, aggregator) : 'sum', labels: [...names], own: names.size, isLoose: true, bounds, isNative: false, quantiles: [...quantiles].sort((a, b) => a - b), maxSeries: NO_LIMIT, since
  }
  const width = widthOf(definition)
  const labels = new LabelTable(definition.labels, series.length)
  const numbers = new Float64Array(series.length * width)
  const exemplars: Array<readonly [number, number, Exemplar]> = []
  for (const [i, { labels: pairs, value, created = NaN, exemplar, buckets, quantiles }] of series.entries()) {
    if (i % BATCH === 0) await pause()
    labels.put(i, pairs)
    const at = i * width
    numbers[at] = value
    if (type === 'counter' || type === 'histogram') numbers[at + 1] = created
    if (exemplar !== undefined) exemplars.push([i, 0, exemplar])
    if (buckets !== undefined) {
      for (let bucket = 0; bucket <= bounds.length; bucket++) numbers[at + 2 + bucket] = buckets.counts[buckets.at + bucket] as number
      for (const [bucket, exemplar] of buckets.exemplars?.entries() ?? []) if (exemplar !== undefined) exemplars.push([i, bucket, exemplar])
    }
    if (quantiles !== undefined) {
      numbers[at + 1] = quantiles.count
      for (const [k, at_] of definition.quantiles.entries()) numbers[at + 2 + k] = quantiles.quantiles.find(({ quantile }) => quantile === at_)?.value ?? NaN
    }
  }
  return { definition, size: series.length, labels: labels.columns, numbersInto: (target, at) => { target.set(numbers, at) }, natives: NONE, exemplars }
}

/** A contributor whose numbers stay as they are. */
function frozen (contributor: Contributor): Contributor {
  const numbers = new Float64Array(contributor.size * widthOf(contributor.definition))
  contributor.numbersInto(numbers, 0)
  return { ...contributor, numbersInto: (target, at) => { target.set(numbers, at) } }
}
