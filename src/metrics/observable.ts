import { Callbacks, type ObservableCallback } from './callbacks.js'
import { Counter } from './counter.js'
import { Gauge } from './gauge.js'
import type { LabelPair } from './label-pair.js'
import type { Labels } from './labels.js'
import type { SeriesSnapshot } from './snapshot.js'

/**
 * A gauge whose value is computed at each read. Callbacks add their parts with `inc(labels, value)`, or with
 * `atLeast(labels, value)` if only the greatest part counts. So several pools or servers with one label set are summed,
 * and a pool or server that is gone leaves nothing behind.
 */
export class ObservableGauge<T extends string = string> extends Gauge<T> {
  protected override readonly callbacks = new Callbacks<ObservableGauge<T>>()

  /** Adds a callback. The function that it returns removes the callback. */
  addCallback (callback: ObservableCallback<ObservableGauge<T>>): () => void {
    return this.callbacks.add(callback)
  }

  /** Shows at least this value: the greatest of all parts is shown, and never less than 0. */
  atLeast (labels: Labels<T>, value: number): void {
    this.raise(this.resolve(this.valuesFrom(labels)), value)
  }
}

/**
 * A counter whose value is kept elsewhere. At each scrape, callbacks read that value and add it with
 * `inc(labels, value)`. Only the place that keeps the value knows its start time, so the series have none here.
 */
export class ObservableCounter<T extends string = string> extends Counter<T> {
  protected override readonly callbacks = new Callbacks<ObservableCounter<T>>()

  /** Adds a callback. The function that it returns removes the callback. */
  addCallback (callback: ObservableCallback<ObservableCounter<T>>): () => void {
    return this.callbacks.add(callback)
  }

  protected override writeNumbers (place: number, target: Float64Array, at: number): void {
    super.writeNumbers(place, target, at)
    target[at + 1] = NaN
  }

  protected override reader (): (place: number, labels: readonly LabelPair[]) => SeriesSnapshot {
    const read = super.reader()
    return (place, labels) => ({ ...read(place, labels), created: undefined })
  }
}
