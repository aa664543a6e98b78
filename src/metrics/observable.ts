import { Callbacks, type ObservableCallback } from './callbacks.js'
import { Counter } from './counter.js'
import { Gauge } from './gauge.js'
import type { LabelPair } from './label-pair.js'
import type { Labels } from './labels.js'
import type { SeriesSnapshot } from './snapshot.js'

/**
 * A gauge whose value is computed when it is read: callbacks add their parts with `inc(labels, value)`, or with `atLeast(labels, value)` where the
 * greatest part counts. Several pools or servers behind one label set are summed, and one that is gone leaves nothing behind.
 */
export class ObservableGauge<T extends string = string> extends Gauge<T> {
  protected override readonly callbacks = new Callbacks<ObservableGauge<T>>()

  /** Adds a callback; the function it returns takes it out again. */
  addCallback (callback: ObservableCallback<ObservableGauge<T>>): () => void {
    return this.callbacks.add(callback)
  }

  /** Shows at least this value, at or above zero: the greatest of all parts is shown. */
  atLeast (labels: Labels<T>, value: number): void {
    this.raise(this.resolve(this.valuesFrom(labels)), value)
  }
}

/** A counter whose value is kept elsewhere and read at each scrape, with `inc(labels, value)`. When it began is known only where it is kept. */
export class ObservableCounter<T extends string = string> extends Counter<T> {
  protected override readonly callbacks = new Callbacks<ObservableCounter<T>>()

  /** Adds a callback; the function it returns takes it out again. */
  addCallback (callback: ObservableCallback<ObservableCounter<T>>): () => void {
    return this.callbacks.add(callback)
  }

  protected override reader (): (place: number, labels: readonly LabelPair[]) => SeriesSnapshot {
    const read = super.reader()
    return (place, labels) => ({ ...read(place, labels), created: undefined })
  }
}
