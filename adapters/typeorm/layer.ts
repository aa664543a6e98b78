import { overlayMethod, shadowMethod, type Method } from '../../src/adapter.js'

/**
 * Makes a method that stands over another. `below` gives the other method as it is at each call, so a later patch of it
 * runs too.
 */
export type Over = (below: () => Method) => Method

/**
 * Methods that stand over the methods of many objects; all objects of a class share the same functions. A long-lived
 * object gets a prototype with these methods, between itself and its class. It then shows no property of ours, and
 * loses all methods at once. But that costs four microseconds, so an object that is made for each query gets the
 * methods in a cheaper way.
 */
export class Layer {
  readonly #methods: ReadonlyMap<string, Over>
  /** The layer over each class's prototype. */
  readonly #layers = new Map<object, object>()
  readonly #descriptors = new WeakMap<object, ReadonlyMap<string, PropertyDescriptor>>()
  readonly #own = new WeakMap<object, Array<() => void>>()

  constructor (methods: ReadonlyMap<string, Over>) {
    this.#methods = methods
  }

  /** Puts the methods over a long-lived object. @returns whether the object has them now */
  putOver (target: object): boolean {
    const prototype = Reflect.getPrototypeOf(target)
    if (prototype === null || this.#isOurs(prototype)) return prototype !== null
    if (!Reflect.setPrototypeOf(target, this.#layerOf(prototype))) return false
    for (const name of this.#methods.keys()) if (Object.hasOwn(target, name)) this.#putOverOwn(target, name)
    return true
  }

  /**
   * Gives a short-lived object the methods as its own properties, which are not enumerable.
   * @returns whether the object has them now
   */
  defineOn (target: object): boolean {
    const prototype = Reflect.getPrototypeOf(target)
    if (prototype === null || !Object.isExtensible(target)) return false
    if (this.#isOurs(prototype) || this.#own.has(target)) return true
    const layer = this.#layerOf(prototype)
    for (const name of this.#methods.keys()) {
      const own = Object.getOwnPropertyDescriptor(target, name)
      const descriptor = this.#descriptorsOf(layer).get(name)
      if (own !== undefined && own.value !== descriptor?.value) this.#putOverOwn(target, name)
      else if (own === undefined && descriptor !== undefined) Object.defineProperty(target, name, descriptor)
    }
    return true
  }

  /** Copies an object that no other code has seen yet. The copy has the methods. */
  copyUnder<T extends object> (target: T): T {
    const prototype = Reflect.getPrototypeOf(target)
    if (prototype === null || this.#isOurs(prototype)) return target
    return Object.assign(Object.create(this.#layerOf(prototype)), target) as T
  }

  /** Takes the methods from one object. */
  takeOff (target: object): void {
    for (const restore of this.#own.get(target) ?? []) restore()
    this.#own.delete(target)
    for (const [prototype, layer] of this.#layers) if (Reflect.getPrototypeOf(target) === layer) Reflect.setPrototypeOf(target, prototype)
  }

  /** Takes the methods from all objects. */
  remove (): void {
    for (const layer of this.#layers.values()) for (const name of this.#methods.keys()) Reflect.deleteProperty(layer, name)
    this.#layers.clear()
  }

  #descriptorsOf (layer: object): ReadonlyMap<string, PropertyDescriptor> {
    let descriptors = this.#descriptors.get(layer)
    if (descriptors === undefined) this.#descriptors.set(layer, descriptors = new Map(Object.entries(Object.getOwnPropertyDescriptors(layer))))
    return descriptors
  }

  #isOurs (prototype: object): boolean {
    for (const layer of this.#layers.values()) if (layer === prototype) return true
    return false
  }

  #layerOf (prototype: object): object {
    const known = this.#layers.get(prototype)
    if (known !== undefined) return known
    const layer = Object.create(prototype) as object
    this.#layers.set(prototype, layer)
    for (const [name, over] of this.#methods) overlayMethod(layer, name, (under) => over(() => under[name] as Method))
    return layer
  }

  /** The application's own property on the object would hide our method, so our method goes over it there. */
  #putOverOwn (target: object, name: string): void {
    const over = this.#methods.get(name) as Over
    this.#own.set(target, [...this.#own.get(target) ?? [], shadowMethod(target, name, (original) => over(() => original))])
  }
}
