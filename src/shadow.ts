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

/** A function that passes for another: same name, same length. */
export function disguised<F extends object> (as: { readonly name: string, readonly length: number }, replacement: F): F {
  return Object.defineProperties(replacement, {
    name: { value: as.name, configurable: true },
    length: { value: as.length, configurable: true }
  })
}
