import { MetricsError, show } from '../validation/errors.js'
import { announceCap } from './cap.js'
import type { LabelColumns } from './columns.js'
import type { Exemplar } from './exemplar.js'
import { helpOf } from './help.js'
import type { LabelPair } from './label-pair.js'
import { isLabelName, isMetricName, refuseUnknownLabels, type LabelValue, type Labels } from './labels.js'
import { defaultRegistry, isRegistry, type RegistryLike } from './registry.js'
import type { SeriesSource } from './series.js'
import type { FamilySnapshot, NativeSnapshot, SeriesSnapshot } from './snapshot.js'
import type { Aggregator, MetricObject, MetricValue } from './state.js'
import { SeriesTable } from './table.js'

/** The configuration of a family: prom-client's constructor configuration, and `maxSeries`. */
export interface FamilyConfig<T extends string = string> {
  name: string
  help: string
  /** Default: none. */
  labelNames?: readonly T[] | undefined
  /** Default: prom-client's global registry. */
  registers?: readonly RegistryLike[] | undefined
  /** Default: 'sum'. */
  aggregator?: Aggregator | undefined
  /** Called before the values are read, with the family as `this`. A promise is awaited. */
  collect?: (() => void | Promise<void>) | undefined
  /**
   * Whether observations may carry exemplars, in prom-client's one-object form of the call. Works with any registry.
   */
  enableExemplars?: boolean | undefined
  /**
   * The most label sets that this family holds. Writes to further label sets go to one series labelled `__overflow__`.
   * Default: 10,000.
   */
  maxSeries?: number | undefined
}

/** The label value of the overflow series, which takes the writes to label sets that no longer fit. */
export const OVERFLOW = '__overflow__'
export const DEFAULT_MAX_SERIES = 10_000

const NO_LABELS: readonly LabelPair[] = []

const FAMILY = Symbol.for('fastify-prometheus.family')

/** A metric's name, help and labels, and the series under it. */
export abstract class Family<T extends string = string> implements SeriesSource {
  abstract readonly type: 'counter' | 'gauge' | 'histogram'
  readonly [FAMILY] = true
  /** Not read-only: an OpenMetrics registry of prom-client removes `_total` from a counter's name. */
  name: string
  readonly help: string
  /** Strings and not T, as with prom-client: so TypeScript accepts a family with more labels where fewer are wanted. */
  readonly labelNames: readonly string[]
  readonly aggregator: Aggregator
  readonly registers: readonly RegistryLike[]
  readonly enableExemplars: boolean
  readonly maxSeries: number
  readonly collect: (() => void | Promise<void>) | undefined
  /** The number of writes whose label set was refused a series of its own. */
  dropped = 0
  /**
   * Whether the family is copied at the same moment as all others with this flag: their numbers must balance on a page.
   */
  together = false
  epoch = 0
  /**
   * The exemplars by place: one for a counter, one for each bucket of a histogram, a list with native buckets alone.
   */
  protected readonly exemplars = new Map<number, Array<Exemplar | undefined>>()
  /** The callbacks that compute the numbers at each read; undefined for a family whose numbers are written. */
  protected readonly callbacks: { run (family: unknown): void } | undefined = undefined
  readonly #series: SeriesTable
  /** `labelNames` as they were given: positional values are in this order. */
  readonly #givenNames: readonly string[]
  /** Whether some label has a name that every object inherits, such as 'constructor'. */
  readonly #inherits: boolean
  #overflow: number | undefined

  /**
   * @throws Error for a configuration that prom-client refuses, and when a registry holds another metric of that name
   */
  protected constructor (config: FamilyConfig<T>) {
    if (typeof config !== 'object' || config === null) throw new TypeError('constructor expected a config object')
    if (!config.help) throw new Error('Missing mandatory help parameter')
    if (!config.name) throw new Error('Missing mandatory name parameter')
    if (!isMetricName(config.name)) throw new Error(`Invalid metric name: ${show(config.name)}`)
    const labelNames = config.labelNames ?? []
    const wrong = labelNames.filter((name) => !isLabelName(name))
    if (wrong.length > 0) throw new Error(`Invalid label name: ${show(wrong)}`)
    if (config.collect !== undefined && typeof config.collect !== 'function') throw new Error('Optional "collect" parameter must be a function')
    const maxSeries = config.maxSeries ?? DEFAULT_MAX_SERIES
    if (!Number.isInteger(maxSeries) || maxSeries < 1) throw new RangeError(`maxSeries must be a whole number from 1 on, got ${show(maxSeries)}`)

    this.name = config.name
    this.help = helpOf(config.help)
    this.#givenNames = [...labelNames]
    // A name that is given twice is one label, as with prom-client. With a label twice in a series, a scraper would
    // lose the whole page.
    this.labelNames = [...new Set(labelNames)]
    this.#inherits = labelNames.some((name) => name in Object.prototype)
    this.aggregator = config.aggregator ?? 'sum'
    this.registers = config.registers ?? [defaultRegistry]
    this.enableExemplars = config.enableExemplars ?? false
    this.maxSeries = maxSeries
    this.collect = config.collect
    this.#series = new SeriesTable(this.labelNames.length)
    for (const registry of this.registers) {
      if (!isRegistry(registry)) throw new TypeError(`registers must hold registries of prom-client's shape, got ${show(registry)}`)
    }
  }

  /** The last step of a subclass' constructor: a registry may read a metric as soon as it holds it. */
  protected register (): void {
    for (const registry of this.registers) registry.registerMetric(this as never)
  }

  /** The label sets written to so far, and the places of their numbers. */
  series (): Iterable<{ values: ReadonlyArray<LabelValue | undefined>, place: number }> {
    return this.#series
  }

  /** The number of label sets. */
  get size (): number {
    return this.#series.size
  }

  /** Label values as an object, in the order of `labelNames`. Undefined values are left out. */
  labelsOf (values: ReadonlyArray<LabelValue | undefined>): Labels {
    // An assignment to `__proto__` would set no label.
    if (this.#inherits) return Object.fromEntries(this.labelNames.map((name, i) => [name, values[i]] as const).filter(([, value]) => value !== undefined)) as Labels
    const labels: Labels = {}
    for (let i = 0; i < this.labelNames.length; i++) {
      const value = values[i]
      if (value !== undefined) labels[this.labelNames[i] as string] = value
    }
    return labels
  }

  /** The place of a label set, made if there is none. If the family is full, the place of the overflow series. */
  resolve (values: ReadonlyArray<LabelValue | undefined>): number {
    const known = this.#series.get(values)
    if (known !== undefined) return known
    if (this.#series.size < this.maxSeries + (this.#overflow === undefined ? 0 : 1)) return this.#make(values)
    if (this.dropped++ === 0) announceCap(this)
    if (this.#overflow === undefined) {
      const overflow = this.labelNames.map(() => OVERFLOW)
      this.#overflow = this.#series.get(overflow) ?? this.#make(overflow)
    }
    return this.#overflow
  }

  /** Whether a label's value came in two forms, such as 200 and '200'. */
  protected get mixed (): boolean {
    return this.#series.mixed
  }

  /** Shows a series with its label values in the form that is given here. */
  protected show (place: number, values: ReadonlyArray<LabelValue | undefined>): void {
    if (!this.isOverflow(place)) this.#series.show(place, values)
  }

  isOverflow (place: number): boolean {
    return place === this.#overflow
  }

  /** The shape as text, such as 'gauge(method)'. Two families of one name are the same if their shapes are equal. */
  shape (): string {
    return `${this.type}(${this.labelNames.join(', ')})`
  }

  /** Removes one label set. A child of that label set starts again from zero at its next write. */
  remove (labels: Labels<T>): void
  remove (...values: LabelValue[]): void
  remove (...args: Array<LabelValue | Labels<T>>): void {
    const place = this.#series.delete(this.valuesOf(args))
    if (place === undefined) return
    this.epoch++
    this.exemplars.delete(place)
    if (place === this.#overflow) this.#overflow = undefined
  }

  /** Removes every label set. */
  reset (): void {
    this.epoch++
    this.#series.clear()
    this.exemplars.clear()
    this.#overflow = undefined
  }

  /** The state, after `collect`, in the form that prom-client's registries and `getMetricsAsJSON()` read. */
  get (): Promise<MetricObject<MetricValue<T>>>
  /**
   * No call uses this overload. With it, the classes of prom-client's relatives accept ours: they declare labels whose
   * type depends on T in such a way that only `never` fits.
   */
  get (): Promise<MetricObject<{ value: number, labels: never, metricName?: string }>>
  // Declared again, because `ReturnType` reads the last overload.
  get (): Promise<MetricObject<MetricValue<T>>>
  async get (): Promise<MetricObject<MetricValue<T>>> {
    const collected = this.collected()
    if (collected !== undefined) await collected
    return this.read((place, labels) => this.valuesIn(place, labels))
  }

  /**
   * The state as it is now, without `collect`, for a page.
   * @param shared labels that every series gets beside its own
   */
  snapshot (shared: readonly LabelPair[] = []): FamilySnapshot {
    return this.peek(shared)
  }

  /** The same as snapshot(), and no page: what follows from being on a page does not happen. */
  peek (shared: readonly LabelPair[] = []): FamilySnapshot {
    this.#compute()
    const series = this.#series.copy(this.labelNames, shared)
    const read = this.reader()
    return {
      name: this.name,
      help: this.help,
      type: this.type,
      size: series.size,
      bounds: this.bounds(),
      mayRepeat: series.mayRepeat,
      * series () {
        for (let i = 0; i < series.size; i++) yield read(series.place(i), series.labels(i))
      },
      * values () {
        for (let i = 0; i < series.size; i++) yield read(series.place(i), NO_LABELS).value
      }
    }
  }

  /** The label sets, in columns: the same object until one comes or goes. */
  labelColumns (): LabelColumns {
    return this.#series.columns(this.labelNames).labels
  }

  /** Computes the numbers that are computed at each read. To be called before numbersInto(). */
  refresh (): void {
    this.#compute()
  }

  /**
   * Writes the numbers of all series side by side, in the order of labelColumns(): `width` numbers for each.
   * No object is made for a series.
   */
  numbersInto (target: Float64Array, at: number): void {
    const { places } = this.#series.columns(this.labelNames)
    const { width } = this
    for (let i = 0; i < places.length; i++) this.writeNumbers(places[i] as number, target, at + i * width)
  }

  /** The native buckets by series, in the order of labelColumns(); undefined if the family has none. */
  natives (): readonly NativeSnapshot[] | undefined {
    const all = this.nativesByPlace()
    return all && Array.from(this.#series.columns(this.labelNames).places, (place) => all[place] as NativeSnapshot)
  }

  /** The exemplars with the number of their series in labelColumns(), and the number of their bucket. */
  * illustrations (): Generator<readonly [series: number, bucket: number, Exemplar]> {
    if (this.exemplars.size === 0) return
    for (const [series, place] of this.#series.columns(this.labelNames).places.entries()) {
      for (const [bucket, exemplar] of this.exemplars.get(place)?.entries() ?? []) if (exemplar !== undefined) yield [series, bucket, exemplar]
    }
  }

  /** Runs the user's `collect` with this family as `this`, as prom-client does. */
  collected (): void | Promise<void> {
    return this.collect?.()
  }

  /** How many numbers a series has in numbersInto(). */
  abstract readonly width: number

  protected abstract writeNumbers (place: number, target: Float64Array, at: number): void

  protected nativesByPlace (): readonly NativeSnapshot[] | undefined {
    return undefined
  }

  /** Prepares a place, with zeros. */
  protected abstract zeroAt (place: number): void

  protected abstract valuesIn (place: number, labels: Labels): Array<MetricValue<T>>

  /** A function that reads series from a copy of their numbers. The copy has the numbers as they are now. */
  protected abstract reader (): (place: number, labels: readonly LabelPair[]) => SeriesSnapshot

  /** The upper bounds of a histogram. */
  protected bounds (): readonly number[] {
    return []
  }

  /** Whether the numbers are computed at each read. */
  get computed (): boolean {
    return this.callbacks !== undefined
  }

  #compute (): void {
    if (this.callbacks === undefined) return
    this.reset()
    this.callbacks.run(this)
  }

  /** A copy of the exemplars as they are now; undefined if there are none. */
  protected copyOfExemplars (): ReadonlyMap<number, ReadonlyArray<Exemplar | undefined>> | undefined {
    if (this.exemplars.size === 0) return undefined
    const copy = new Map<number, ReadonlyArray<Exemplar | undefined>>()
    for (const [place, exemplars] of this.exemplars) copy.set(place, [...exemplars])
    return copy
  }

  protected read<V> (valuesIn: (place: number, labels: Labels) => V[]): MetricObject<V> {
    this.#compute()
    const all: V[] = []
    for (const { values, place } of this.#series) all.push(...valuesIn(place, this.labelsOf(values)))
    const { help, name, type, aggregator } = this
    // The keys are in prom-client's order, so that comparing the two as text finds no difference.
    const names = type === 'histogram' ? { name, help } : { help, name }
    // No value has the declared type; MetricObject tells why.
    return { ...names, type, values: all, aggregator } as unknown as MetricObject<V>
  }

  /**
   * Label values in the order of `labelNames`, from the arguments of `labels(...)` or `remove(...)`.
   * @throws Error for a label that the family does not have, or for too few or too many values
   */
  protected valuesOf (args: ReadonlyArray<LabelValue | Labels<T>>): Array<LabelValue | undefined> {
    const first = args[0]
    if (typeof first === 'object' && first !== null) return this.valuesFrom(first)
    const given = this.#givenNames
    if (args.length !== given.length) {
      throw new Error(`Invalid number of arguments (${args.length}): "${args.join(', ')}" for label names (${given.length}): "${given.join(', ')}".`)
    }
    if (given.length === this.labelNames.length) return args as LabelValue[]
    return this.labelNames.map((name) => args[given.lastIndexOf(name)] as LabelValue)
  }

  /** Label values in the order of `labelNames`, from an object. */
  protected valuesFrom (labels: Labels<T>): Array<LabelValue | undefined> {
    refuseUnknownLabels(this.labelNames, labels)
    const names = this.labelNames
    const values = new Array<LabelValue | undefined>(names.length)
    for (let i = 0; i < names.length; i++) values[i] = labels[names[i] as T]
    if (this.#inherits) for (let i = 0; i < names.length; i++) if (!Object.hasOwn(labels, names[i] as T)) values[i] = undefined
    return values
  }

  #make (values: ReadonlyArray<LabelValue | undefined>): number {
    const place = this.#series.add(values)
    this.zeroAt(place)
    return place
  }
}

/** Whether a value is a family of this package, made by any loaded copy of it. */
export function isFamily (value: unknown): value is Family {
  return typeof value === 'object' && value !== null && (value as Partial<Family>)[FAMILY] === true
}

/**
 * The family of that name in a registry, made if there is none. This makes it safe to register twice.
 * @throws MetricsError FP_ERR_METRIC_CONFLICT when the registry holds something else under that name
 */
export function familyIn<F extends Family, C extends FamilyConfig> (registry: RegistryLike, config: C, Type: new (config: C) => F): F {
  const held = registry.getSingleMetric(config.name)
  if (held === undefined) return new Type({ ...config, registers: [registry] })
  const wanted = new Type({ ...config, registers: [] })
  if (isFamily(held) && held.shape() === wanted.shape()) return held as F
  throw new MetricsError('FP_ERR_METRIC_CONFLICT', `the registry already holds '${config.name}' as ${isFamily(held) ? held.shape() : 'a metric of another library'}, ` +
    `expected ${wanted.shape()}; give this one a 'prefix' or a 'registry' of its own, or remove the other`)
}
