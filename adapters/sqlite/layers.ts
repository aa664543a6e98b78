/**
 * Objects of one kind, such as the statements of a database, each with a layer between itself and its prototype. The
 * layer has our methods while the database is observed, and nothing afterwards. A method on each object would cost more
 * than preparing the statement does.
 */
export class Layers {
  /** The layers by the prototype that is below. There is one, unless other code changes prototypes too. */
  readonly #layers = new Map<object, object>()
  #cover: (layer: object) => Array<() => void> = () => []
  #uncovers: Array<() => void> = []

  put (object: object): void {
    const prototype = Object.getPrototypeOf(object) as object
    Object.setPrototypeOf(object, this.#layers.get(prototype) ?? this.#make(prototype))
  }

  /**
   * @param cover puts methods on a layer, and gives what takes them away
   * @returns a function that takes them away from all layers
   */
  cover (cover: (layer: object) => Array<() => void>): () => void {
    this.#cover = cover
    this.#uncovers = [...this.#layers.values()].flatMap(cover)
    return () => {
      for (const uncover of this.#uncovers) uncover()
      this.#cover = () => []
    }
  }

  #make (prototype: object): object {
    const layer: object = Object.create(prototype)
    this.#uncovers.push(...this.#cover(layer))
    this.#layers.set(prototype, layer)
    return layer
  }
}

/** A constructor that returns an object gives its subclass that object to put private fields on. */
export class Itself {
  constructor (object: object) {
    return object
  }
}
