/**
 * Puts a value over a property of one object, where it shows no more than the property did; the function it gives back takes it
 * away again, unless somebody else has put theirs over it since.
 */
export function shadow (target: object, name: PropertyKey, value: unknown): () => void {
  const own = Object.getOwnPropertyDescriptor(target, name)
  Object.defineProperty(target, name, { value, writable: true, configurable: true, enumerable: own?.enumerable ?? false })
  return () => {
    if (Object.getOwnPropertyDescriptor(target, name)?.value !== value) return
    if (own === undefined) Reflect.deleteProperty(target, name)
    else Object.defineProperty(target, name, own)
  }
}

/** A method, whatever it takes. */
export type Method = (this: unknown, ...args: unknown[]) => unknown

/** Puts a method over the one an object has, that passes for it; the function it gives back takes it away again. */
export function shadowMethod (target: object, name: string, make: (original: Method) => Method): () => void {
  const original: unknown = Reflect.get(target, name)
  return typeof original === 'function' ? shadow(target, name, disguised(original, make(original as Method))) : () => {}
}

/**
 * As shadowMethod, for an object of a class that others patch as well.
 * @param make is given what has the method underneath, under its name, as it is at each call: a patch of the prototype is met,
 * and missed again when it is taken off
 */
export function overlayMethod<N extends string> (target: object, name: N, make: (under: { readonly [K in N]: Method }) => Method): () => void {
  const original: unknown = Reflect.get(target, name)
  if (typeof original !== 'function') return () => {}
  // The prototype of now: what inherits from the object, and is called with, would else be asked for this very method.
  const under: unknown = Object.hasOwn(target, name) ? { [name]: original } : Object.getPrototypeOf(target)
  return shadow(target, name, disguised(original, make(under as { readonly [K in N]: Method })))
}

/** A function that passes for another: same name, same length. */
export function disguised<F extends object> (as: { readonly name: string, readonly length: number }, replacement: F): F {
  return Object.defineProperties(replacement, {
    name: { value: as.name, configurable: true },
    length: { value: as.length, configurable: true }
  })
}

type Class = new (...args: never[]) => object

/** What each of these classes stands for. */
const originals = new WeakMap<object, unknown>()

/**
 * A class that passes for another: its instances are the other's own, and so are their prototypes. A function that gives back
 * objects of its own, as doubles in tests are built, is a class too.
 * @param made is shown each instance before the caller has it; must not throw
 */
export function witnessed<C extends Class> (Original: C, made: (instance: InstanceType<C>) => void): C {
  const Witnessed: C = new Proxy(Original, {
    construct (target, args, newTarget) {
      const instance = Reflect.construct(target, args as never[], newTarget === Witnessed ? target : newTarget) as InstanceType<C>
      made(instance)
      return instance
    }
  })
  originals.set(Witnessed, Original)
  return Witnessed
}

/** The class that a witnessed one stands for; any other itself. */
export function originalOf<C extends object> (Class: C): C {
  return originals.get(Class) as C | undefined ?? Class
}
