import { disguised, shadowMethod, type Method } from '../../src/shadow.js'

/** A method that goes over another. `below` gives that other as it is at each call, so what others patch there is met. */
export type Over = (below: () => Method) => Method

/**
 * Methods that are put over those of many objects: a prototype between an object and its class has them, one for all objects of a
 * class, so that an object costs one write, shows no property of ours, and loses them with all others at once.
 */
export class Layer {
  readonly #methods: ReadonlyMap<string, Over>
  /** By the prototype of the class. */
  readonly #layers = new Map<object, object>()
  readonly #own = new WeakMap<object, Array<() => void>>()

  constructor (methods: ReadonlyMap<string, Over>) {
    this.#methods = methods
  }

  /** @returns whether the object has them now */
  over (target: object): boolean {
    const prototype = Reflect.getPrototypeOf(target)
    if (prototype === null || this.#isOurs(prototype)) return prototype !== null
    let layer = this.#layers.get(prototype)
    if (layer === undefined) this.#layers.set(prototype, layer = this.#layerOver(prototype))
    if (!Reflect.setPrototypeOf(target, layer)) return false
    for (const [name, over] of this.#methods) {
      // What an application has put on the object itself would hide ours.
      if (Object.hasOwn(target, name)) this.#keep(target, shadowMethod(target, name, (original) => over(() => original)))
    }
    return true
  }

  /** Gives one object its class back. */
  off (target: object): void {
    for (const restore of this.#own.get(target) ?? []) restore()
    this.#own.delete(target)
    for (const [prototype, layer] of this.#layers) if (Reflect.getPrototypeOf(target) === layer) Reflect.setPrototypeOf(target, prototype)
  }

  /** Takes the methods from all objects. */
  remove (): void {
    for (const layer of this.#layers.values()) for (const name of this.#methods.keys()) Reflect.deleteProperty(layer, name)
    this.#layers.clear()
  }

  #isOurs (prototype: object): boolean {
    for (const layer of this.#layers.values()) if (layer === prototype) return true
    return false
  }

  #layerOver (prototype: object): object {
    const layer = Object.create(prototype) as object
    for (const [name, over] of this.#methods) {
      const original: unknown = Reflect.get(prototype, name)
      if (typeof original !== 'function') continue
      const value = disguised(original, over(() => (prototype as Record<string, Method>)[name] as Method))
      Object.defineProperty(layer, name, { value, writable: true, configurable: true })
    }
    return layer
  }

  #keep (target: object, restore: () => void): void {
    this.#own.set(target, [...this.#own.get(target) ?? [], restore])
  }
}
