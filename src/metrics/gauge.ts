import { performance } from 'node:perf_hooks'
import { Family, type FamilyConfig, type MetricValue } from './family.js'
import type { LabelValue, Labels } from './labels.js'
import { Child, type Series } from './series.js'
import { show } from '../errors.js'

/** A gauge: a number that goes up and down. A drop-in for prom-client's. */
export class Gauge<T extends string = string> extends Family<T> {
  readonly type = 'gauge'
  readonly #bare = new GaugeChild(this, [])

  constructor (config: FamilyConfig<T>) {
    super(config, 1)
    this.reset()
    this.register()
  }

  /** @throws TypeError when the value is not a number (NaN and the infinities are) */
  set (value: number): void
  set (labels: Labels<T>, value: number): void
  set (first: Labels<T> | number, value?: number): void {
    this.#child(first).set(typeof first === 'object' ? value as number : first)
  }

  /** Adds `value`, 1 unless given. */
  inc (value?: number): void
  inc (labels: Labels<T>, value?: number): void
  inc (first?: Labels<T> | number, value?: number): void {
    this.#child(first).inc(typeof first === 'object' ? value : first)
  }

  /** Takes `value` away, 1 unless given. */
  dec (value?: number): void
  dec (labels: Labels<T>, value?: number): void
  dec (first?: Labels<T> | number, value?: number): void {
    this.#child(first).dec(typeof first === 'object' ? value : first)
  }

  /** Sets it to now, in seconds since the epoch. */
  setToCurrentTime (labels?: Labels<T>): void {
    this.#child(labels).setToCurrentTime()
  }

  /** Starts a timer; the function it returns sets the gauge to the seconds since, and returns them. */
  startTimer (labels?: Labels<T>): (endLabels?: Labels<T>) => number {
    const start = performance.now()
    return (endLabels) => {
      const seconds = (performance.now() - start) / 1000
      this.set({ ...labels, ...endLabels } as Labels<T>, seconds)
      return seconds
    }
  }

  /** This gauge with its labels given: keep it where the same labels are written often. */
  labels (labels: Labels<T>): GaugeChild<T>
  labels (...values: LabelValue[]): GaugeChild<T>
  labels (...args: Array<LabelValue | Labels<T>>): GaugeChild<T> {
    return new GaugeChild(this, this.valuesOf(args))
  }

  /** Removes every label set; a gauge without labels is at 0 again. */
  override reset (): void {
    super.reset()
    if (this.labelNames.length === 0) this.resolve([])
  }

  protected override valuesIn (series: Series): MetricValue[] {
    return [{ value: series.page[series.slot] as number, labels: this.labelsOf(series) }]
  }

  #child (labels: Labels<T> | number | undefined): GaugeChild<T> {
    return typeof labels === 'object' && labels !== null ? new GaugeChild(this, this.valuesFrom(labels)) : this.#bare
  }
}

/** A gauge with its labels given. */
export class GaugeChild<T extends string = string> extends Child<Gauge<T>> {
  /** @throws TypeError when the value is not a number (NaN and the infinities are) */
  set (value: number): void {
    if (typeof value !== 'number') throw new TypeError(`Value is not a valid number: ${show(value)}`)
    const series = this.series()
    series.page[series.slot] = value
  }

  /** Adds `value`, 1 unless given. */
  inc (value = 1): void {
    if (typeof value !== 'number') throw new TypeError(`Delta is not a valid number: ${show(value)}`)
    const series = this.series()
    ;(series.page[series.slot] as number) += value
  }

  /** Takes `value` away, 1 unless given. */
  dec (value = 1): void {
    this.inc(-value)
  }

  /** Sets it to now, in seconds since the epoch. */
  setToCurrentTime (): void {
    this.set(Date.now() / 1000)
  }

  /** Starts a timer; the function it returns sets the gauge to the seconds since, and returns them. */
  startTimer (): () => number {
    const start = performance.now()
    return () => {
      const seconds = (performance.now() - start) / 1000
      this.set(seconds)
      return seconds
    }
  }
}
