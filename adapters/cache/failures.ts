import { shadowMethod, type CacheRecorder } from '../../src/adapter.js'
import { watched } from './calls.js'
import { taken } from './restores.js'

/**
 * The failures that a cache does not tell its caller of: it answers as if the key were not there. No event says of which
 * call it is: so a call that found nothing, and during which one came, counts as failed.
 */
export class Failures {
  count = 0
  last: unknown
  readonly #recorder: CacheRecorder

  constructor (recorder: CacheRecorder) {
    this.#recorder = recorder
  }

  readonly add = (reason: unknown): void => {
    if (!this.#recorder.active) return
    this.count++
    this.last = reason
  }

  /** Notes what an emitter emits as errors. No listener is added: one for 'error' would change what an error does. */
  events (emitter: object): () => void {
    const { add } = this
    return shadowMethod(emitter, 'emit', (emit) => function (...args) {
      if (args[0] === 'error') add(args[1])
      return Reflect.apply(emit, this, args)
    })
  }

  /** Notes what fails in a Keyv that is a store of a cache, and in the store that the Keyv has in turn. */
  ofStore (keyv: object): () => void {
    const read = () => this.add
    const { opts } = keyv as { readonly opts?: { readonly store?: unknown } }
    return taken([() => this.events(keyv), () => onReads(keyv, read), () => onReads(opts?.store, read)])
  }
}

/**
 * Notes the reads of a store that fail, by its method `get`.
 * @param listener asked at each read; the function it gives is told of its failure
 */
export function onReads (store: unknown, listener: () => ((reason: unknown) => void) | undefined): () => void {
  if (typeof store !== 'object' || store === null || store instanceof Map || !Object.isExtensible(store)) return () => {}
  return shadowMethod(store, 'get', (get) => function (...args) {
    const failed = listener()
    return failed === undefined ? Reflect.apply(get, this, args) : watched(get, this, args, { failed, ended () {} })
  })
}
