import { MetricsError, show } from '../errors.js'
import { isLabelName, isMetricName, refuseUnknownLabels, type LabelValue, type Labels } from './labels.js'
import { Pages } from './pages.js'
import { defaultRegistry, isRegistry, type RegistryLike } from './registry.js'
import type { Series, SeriesSource } from './series.js'
import { SeriesTree } from './tree.js'

/** How many processes' values become one, as prom-client's cluster registry reads it. */
export type Aggregator = 'sum' | 'first' | 'min' | 'max' | 'average' | 'omit'

/** What a family is made from: prom-client's constructor configuration, and `maxSeries`. */
export interface FamilyConfig<T extends string = string> {
  name: string
  help: string
  /** Default: none. */
  labelNames?: readonly T[] | undefined
  /** Default: prom-client's global registry. */
  registers?: readonly RegistryLike[] | undefined
  /** Default: 'sum'. */
  aggregator?: Aggregator | undefined
  /** Called before the values are read, with the family as `this`; a promise is awaited. */
  collect?: (() => void | Promise<void>) | undefined
  /** Whether observations may carry exemplars, in prom-client's one-object form of the call. Works with any registry. */
  enableExemplars?: boolean | undefined
  /** Label sets this family holds at most; what comes after goes to one series labelled `__overflow__`. Default: 10,000. */
  maxSeries?: number | undefined
}

/** One value of a metric, as prom-client's registries read it. */
export interface MetricValue {
  value: number
  labels: Labels
  metricName?: string
  sharedLabels?: Labels
  exemplar?: unknown
}

/** A metric's state, as prom-client's registries read it. */
export interface MetricObject {
  name: string
  help: string
  type: 'counter' | 'gauge' | 'histogram'
  aggregator: Aggregator
  values: MetricValue[]
}

/** The label value of the series that takes what no longer fits. */
export const OVERFLOW = '__overflow__'
export const DEFAULT_MAX_SERIES = 10_000

const FAMILY = Symbol.for('fastify-prometheus.family')

/** A metric's name, help and labels, and the series under it. */
export abstract class Family<T extends string = string> implements SeriesSource {
  abstract readonly type: 'counter' | 'gauge' | 'histogram'
  readonly [FAMILY] = true
  /** Not read-only: an OpenMetrics registry of prom-client takes `_total` off a counter's name. */
  name: string
  readonly help: string
  readonly labelNames: readonly T[]
  readonly aggregator: Aggregator
  readonly registers: readonly RegistryLike[]
  readonly enableExemplars: boolean
  readonly maxSeries: number
  readonly collect: (() => void | Promise<void>) | undefined
  /** Writes whose label set was refused a series of its own. */
  dropped = 0
  readonly #pages: Pages
  readonly #series: SeriesTree
  #overflow: Series | undefined

  /**
   * @param width numbers in one series
   * @throws Error for a configuration that prom-client refuses, and where a registry holds another metric of that name
   */
  protected constructor (config: FamilyConfig<T>, width: number) {
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
    this.help = config.help
    this.labelNames = [...labelNames]
    this.aggregator = config.aggregator ?? 'sum'
    this.registers = config.registers ?? [defaultRegistry]
    this.enableExemplars = config.enableExemplars ?? false
    this.maxSeries = maxSeries
    this.collect = config.collect
    this.#pages = new Pages(width)
    this.#series = new SeriesTree(labelNames.length)
    for (const registry of this.registers) {
      if (!isRegistry(registry)) throw new TypeError(`registers must hold registries of prom-client's shape, got ${show(registry)}`)
    }
  }

  /** The last step of a subclass' constructor: a registry may read a metric as soon as it has it. */
  protected register (): void {
    for (const registry of this.registers) registry.registerMetric(this as never)
  }

  /** The label sets written to so far. */
  series (): Iterable<Series> {
    return this.#series
  }

  /** How many label sets there are. */
  get size (): number {
    return this.#series.size
  }

  /** The labels of a series as an object, in the order of `labelNames`, without those it does not carry. */
  labelsOf (series: Pick<Series, 'values'>): Labels {
    const labels: Labels = {}
    for (let i = 0; i < this.labelNames.length; i++) {
      const value = series.values[i]
      if (value !== undefined) labels[this.labelNames[i] as T] = value
    }
    return labels
  }

  /** The series of a label set, made where there is none; the overflow series where there may be no more. */
  resolve (values: ReadonlyArray<LabelValue | undefined>): Series {
    const known = this.#series.get(values)
    if (known !== undefined) return known
    if (this.#series.size < this.maxSeries + (this.#overflow === undefined ? 0 : 1)) return this.#make(values)
    this.dropped++
    if (this.#overflow === undefined) {
      const overflow = this.labelNames.map(() => OVERFLOW)
      this.#overflow = this.#series.get(overflow) ?? this.#make(overflow)
      this.#overflow.live = false
    }
    return this.#overflow
  }

  /** What two families of one name must agree on to be one. */
  shape (): string {
    return `${this.type}(${this.labelNames.join(', ')})`
  }

  /** Removes one label set; a child that holds it starts again from zero at its next write. */
  remove (labels: Labels<T>): void
  remove (...values: LabelValue[]): void
  remove (...args: Array<LabelValue | Labels<T>>): void {
    const series = this.#series.get(this.valuesOf(args))
    if (series === undefined) return
    this.#series.delete(series)
    this.#drop(series)
  }

  /** Removes every label set. */
  reset (): void {
    for (const series of this.#series) this.#drop(series)
    this.#series.clear()
  }

  /** The state as prom-client's registries and `getMetricsAsJSON()` read it, after `collect`. */
  async get (): Promise<MetricObject> {
    const collected = this.collected()
    if (collected !== undefined) await collected
    return this.read((series) => this.valuesIn(series))
  }

  /** Runs the user's `collect` with this family as `this`, as prom-client does. */
  protected collected (): void | Promise<void> {
    return this.collect?.()
  }

  /** Whether it is the series of all label sets that have none of their own. */
  protected isOverflow (series: Series): boolean {
    return series === this.#overflow
  }

  protected abstract valuesIn (series: Series): MetricValue[]

  protected read (valuesIn: (series: Series) => MetricValue[]): MetricObject {
    const values: MetricValue[] = []
    for (const series of this.#series) values.push(...valuesIn(series))
    return { name: this.name, help: this.help, type: this.type, aggregator: this.aggregator, values }
  }

  /**
   * Label values in the order of `labelNames`, from what a caller of `labels(...)` or `remove(...)` gave.
   * @throws Error for a label that the family does not have, or for too few or too many values
   */
  protected valuesOf (args: ReadonlyArray<LabelValue | Labels<T>>): Array<LabelValue | undefined> {
    const first = args[0]
    if (typeof first === 'object' && first !== null) return this.valuesFrom(first)
    if (args.length !== this.labelNames.length) {
      throw new Error(`Invalid number of arguments (${args.length}): "${args.join(', ')}" for label names (${this.labelNames.length}): "${this.labelNames.join(', ')}".`)
    }
    return args as LabelValue[]
  }

  /** Label values in the order of `labelNames`, from an object. */
  protected valuesFrom (labels: Labels<T>): Array<LabelValue | undefined> {
    refuseUnknownLabels(this.labelNames, labels)
    const names = this.labelNames
    const values = new Array<LabelValue | undefined>(names.length)
    for (let i = 0; i < names.length; i++) values[i] = labels[names[i] as T]
    return values
  }

  #make (values: ReadonlyArray<LabelValue | undefined>): Series {
    const { page, slot } = this.#pages.take()
    const series: Series = { values: values.map(lasting), page, slot, live: true, exemplars: undefined }
    this.#series.add(series)
    return series
  }

  #drop (series: Series): void {
    series.live = false
    if (series === this.#overflow) this.#overflow = undefined
    this.#pages.give(series)
  }
}

/** A label's value that cannot change under the tree or keep a caller's object alive, whatever was passed for it. */
function lasting (value: LabelValue | undefined): LabelValue | undefined {
  return typeof value === 'number' || value === undefined ? value : `${value}`
}

/** Whether it is a family of this package, of whichever copy. */
export function isFamily (value: unknown): value is Family {
  return typeof value === 'object' && value !== null && (value as Partial<Family>)[FAMILY] === true
}

/**
 * The family of that name in a registry, made where there is none: what makes registering twice safe.
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
