/** A method, whatever it takes. */
export type Method = (this: unknown, ...args: unknown[]) => unknown

/**
 * Puts a method of the object's own in front of the one it has, with the same name and length, and not seen in its keys.
 * @returns takes it away again, unless somebody has put another in front since
 */
export function shadow (object: object, name: string, make: (original: Method) => Method): () => void {
  const original: unknown = Reflect.get(object, name)
  if (typeof original !== 'function') return () => {}
  const before = Object.getOwnPropertyDescriptor(object, name)
  const method = make(original as Method)
  Object.defineProperty(method, 'name', { value: original.name, configurable: true })
  Object.defineProperty(method, 'length', { value: original.length, configurable: true })
  Object.defineProperty(object, name, { value: method, configurable: true, writable: true, enumerable: before?.enumerable ?? false })
  return () => {
    if (Object.getOwnPropertyDescriptor(object, name)?.value !== method) return
    if (before === undefined) Reflect.deleteProperty(object, name)
    else Object.defineProperty(object, name, before)
  }
}
