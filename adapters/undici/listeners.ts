import { subscribe, unsubscribe } from 'node:diagnostics_channel'

/** Listens to diagnostics channels, by name. A listener must not throw. @returns a function that ends it */
export function listen<M extends object> (listeners: Readonly<Record<string, (message: M) => void>>): () => void {
  const all = Object.entries(listeners).map(([name, listener]) => [name, (message: unknown) => { listener(message as M) }] as const)
  for (const [name, listener] of all) subscribe(name, listener)
  return () => { for (const [name, listener] of all) unsubscribe(name, listener) }
}
