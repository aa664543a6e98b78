import { overlayMethod, shadowMethod, type Method } from '../../src/instrumentation/index.js'

/** A method that goes over another. `below` gives that other as it is at each call, so what others patch there is met. */
export type Over = (below: () => Method) => Method

/**
 * Methods that are put over those of many objects, the same functions for all objects of a class. What lasts gets a prototype
 * between itself and its class that has them, so it shows no property of ours and loses them all at once; but that costs four
 * microseconds, and what is made for each query gets them in a cheaper way.
 */
export class Layer {
  readonly #methods: ReadonlyMap<string, Over>
  /** By the prototype of the class. */
  readonly #layers = new Map<object, object>()
  readonly #descriptors = new WeakMap<object, ReadonlyMap<string, PropertyDescriptor>>()
  readonly #own = new WeakMap<object, Array<() => void>>()

  constructor (methods: ReadonlyMap<string, Over>) {
    this.#methods = methods
  }

  /** Gives them to an object that lasts. @returns whether it has them now */
  over (target: object): boolean {
    const prototype = Reflect.getPrototypeOf(target)
    if (prototype === null || this.#isOurs(prototype)) return prototype !== null
    if (!Reflect.setPrototypeOf(target, this.#layerOf(prototype))) return false
    for (const name of this.#methods.keys()) if (Object.hasOwn(target, name)) this.#overOwn(target, name)
    return true
  }

  /** Gives an object of a moment properties that are not enumerable. @returns whether it has them now */
  put (target: object): boolean {
    const prototype = Reflect.getPrototypeOf(target)
    if (prototype === null || !Object.isExtensible(target)) return false
    if (this.#isOurs(prototype) || this.#own.has(target)) return true
    const layer = this.#layerOf(prototype)
    for (const name of this.#methods.keys()) {
      const own = Object.getOwnPropertyDescriptor(target, name)
      const descriptor = this.#descriptorsOf(layer).get(name)
      if (own !== undefined && own.value !== descriptor?.value) this.#overOwn(target, name)
      else if (own === undefined && descriptor !== undefined) Object.defineProperty(target, name, descriptor)
    }
    return true
  }

  /** A copy of an object that nobody has seen yet, which has them. */
  copyUnder<T extends object> (target: T): T {
    const prototype = Reflect.getPrototypeOf(target)
    if (prototype === null || this.#isOurs(prototype)) return target
    return Object.assign(Object.create(this.#layerOf(prototype)), target) as T
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

  /** What an application has put on the object itself would hide ours. */
  #overOwn (target: object, name: string): void {
    const over = this.#methods.get(name) as Over
    this.#own.set(target, [...this.#own.get(target) ?? [], shadowMethod(target, name, (original) => over(() => original))])
  }
}
