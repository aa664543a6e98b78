/** Computes a part of an observable family at each read. It must not throw. */
export type ObservableCallback<M> = (metric: M) => void

/**
 * The callbacks of an observable family. At each read the family starts from nothing, and each callback adds its part.
 */
export class Callbacks<M> {
  readonly #callbacks = new Set<ObservableCallback<M>>()

  /** Adds a callback. The function that it returns removes the callback. */
  add (callback: ObservableCallback<M>): () => void {
    this.#callbacks.add(callback)
    return () => { this.#callbacks.delete(callback) }
  }

  run (metric: M): void {
    for (const callback of this.#callbacks) callback(metric)
  }
}
