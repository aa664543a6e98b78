/** What values stood over that were to be taken away, and were not on top then. */
const covered = new WeakMap<object, PropertyDescriptor | undefined>()

/**
 * Puts a value over a property of one object. The value is enumerable only if the object's own property was.
 * @returns a function that takes the value away again, unless other code has put its own over it since. If that was
 * shadow() too, both are gone when the last of them is taken away, in whatever order
 */
export function shadow (target: object, name: PropertyKey, value: object): () => void {
  const own = Object.getOwnPropertyDescriptor(target, name)
  Object.defineProperty(target, name, { value, writable: true, configurable: true, enumerable: own?.enumerable ?? false })
  return () => {
    if (Object.getOwnPropertyDescriptor(target, name)?.value !== value) {
      covered.set(value, own)
      return
    }
    const under = uncovered(own)
    if (under === undefined) Reflect.deleteProperty(target, name)
    else Object.defineProperty(target, name, under)
  }
}

/** What is left of a property when the values are taken away that could not be before. */
function uncovered (own: PropertyDescriptor | undefined): PropertyDescriptor | undefined {
  const value: unknown = own?.value
  return isObject(value) && covered.has(value) ? uncovered(covered.get(value)) : own
}

function isObject (value: unknown): value is object {
  return (typeof value === 'object' || typeof value === 'function') && value !== null
}

/** A method with any arguments. */
export type Method = (this: unknown, ...args: unknown[]) => unknown

/**
 * Puts a method over an object's method, with the same name and length.
 * @returns a function that takes it away again
 */
export function shadowMethod (target: object, name: PropertyKey, make: (original: Method) => Method): () => void {
  const original: unknown = Reflect.get(target, name)
  return typeof original === 'function' ? shadow(target, name, disguised(original, make(original as Method))) : () => {}
}

/**
 * Does what shadowMethod does, for an object of a class that other code patches as well.
 * @param make gets an object that has the method underneath, under its name. The method is read at each call, so a
 * patch of the prototype runs as long as it is there
 */
export function overlayMethod<N extends string> (target: object, name: N, make: (under: { readonly [K in N]: Method }) => Method): () => void {
  const original: unknown = Reflect.get(target, name)
  if (typeof original !== 'function') return () => {}
  // The prototype as it is now. An object that inherits from `target`, and calls this method, would otherwise find this
  // very method underneath.
  const under: unknown = Object.hasOwn(target, name) ? { [name]: original } : Object.getPrototypeOf(target)
  return shadow(target, name, disguised(original, make(under as { readonly [K in N]: Method })))
}

/** Gives a function the name and the length of another, so that it passes for the other. */
export function disguised<F extends object> (as: { readonly name: string, readonly length: number }, replacement: F): F {
  return Object.defineProperties(replacement, {
    name: { value: as.name, configurable: true },
    length: { value: as.length, configurable: true }
  })
}

type Class = new (...args: never[]) => object

/** The original of each witnessed class. */
const originals = new WeakMap<object, unknown>()

/**
 * Gives a class that passes for another: its instances are the other's own, and so are their prototypes. A function
 * that returns its own objects, as test doubles do, is a class too.
 * @param made is called with each instance before the caller has it; it must not throw
 * @param as the class whose prototype the instances have: the original, or a class that extends it
 */
export function witnessed<C extends Class> (Original: C, made: (instance: InstanceType<C>) => void, as: C = Original): C {
  const Witnessed: C = new Proxy(Original, {
    construct (target, args, newTarget) {
      const instance = Reflect.construct(target, args as never[], newTarget === Witnessed ? as : newTarget) as InstanceType<C>
      made(instance)
      return instance
    }
  })
  originals.set(Witnessed, Original)
  return Witnessed
}

/** The original of a witnessed class; any other class itself. */
export function originalOf<C extends object> (Class: C): C {
  return originals.get(Class) as C | undefined ?? Class
}
