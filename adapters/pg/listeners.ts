import type { EventEmitter } from 'node:events'
import { shadowMethod } from '../../src/adapter.js'

type Listener = readonly [event: string | symbol, listener: Parameters<EventEmitter['on']>[1]]

/**
 * Listens until the returned function is called. An application may remove all listeners of its own pool; these are
 * then added again.
 */
export function keepListening (emitter: EventEmitter, listeners: readonly Listener[]): () => void {
  const listen = () => {
    for (const [event, listener] of listeners) if (!emitter.listeners(event).includes(listener)) emitter.on(event, listener)
  }
  listen()
  const restores = ['removeListener', 'off', 'removeAllListeners'].map((name) => shadowMethod(emitter, name, (remove) => function (...args) {
    const result = remove.apply(this, args)
    listen()
    return result
  }))
  return () => {
    for (const restore of restores) restore()
    for (const [event, listener] of listeners) emitter.removeListener(event, listener)
  }
}
