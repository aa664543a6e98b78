import { Counter } from './counter.js'
import { Gauge } from './gauge.js'
import type { LabelPair } from './label-pair.js'
import type { Labels } from './labels.js'
import type { SeriesSnapshot } from './snapshot.js'

/**
 * What an observable metric asks at each read: adds its part with `metric.inc(labels, value)`, or with `gauge.atLeast(labels, value)`
 * where the greatest part is what counts; it must not throw.
 */
export type ObservableCallback<M> = (metric: M) => void

/**
 * A gauge whose value is computed when it is read: it starts from nothing at each scrape, and every callback adds its part, so
 * several pools or servers behind one label set are summed, and one that is gone leaves nothing behind.
 */
export class ObservableGauge<T extends string = string> extends Gauge<T> {
  readonly #callbacks = new Set<ObservableCallback<ObservableGauge<T>>>()

  /** Adds a callback; the function it returns takes it out again. */
  addCallback (callback: ObservableCallback<ObservableGauge<T>>): () => void {
    this.#callbacks.add(callback)
    return () => { this.#callbacks.delete(callback) }
  }

  /** Shows at least this value, at or above zero: the greatest of all parts is shown. */
  atLeast (labels: Labels<T>, value: number): void {
    this.raise(this.resolve(this.valuesFrom(labels)), value)
  }

  override get computed (): boolean {
    return true
  }

  protected override refresh (): void {
    observe(this, this.#callbacks)
  }
}

/** A counter whose value is kept elsewhere and read at each scrape. */
export class ObservableCounter<T extends string = string> extends Counter<T> {
  readonly #callbacks = new Set<ObservableCallback<Counter<T>>>()

  /** Adds a callback; the function it returns takes it out again. */
  addCallback (callback: ObservableCallback<Counter<T>>): () => void {
    this.#callbacks.add(callback)
    return () => { this.#callbacks.delete(callback) }
  }

  override get computed (): boolean {
    return true
  }

  protected override refresh (): void {
    observe(this, this.#callbacks)
  }

  /** When it began is known only where it is kept. */
  protected override reader (): (place: number, labels: readonly LabelPair[]) => SeriesSnapshot {
    const read = super.reader()
    return (place, labels) => ({ ...read(place, labels), created: undefined })
  }
}

function observe<M extends { reset (): void }> (metric: M, callbacks: Iterable<ObservableCallback<M>>): void {
  metric.reset()
  for (const callback of callbacks) callback(metric)
}
