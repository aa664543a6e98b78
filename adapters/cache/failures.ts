import { shadowMethod, type CacheRecorder } from '../../src/adapter.js'

/**
 * The failures that a cache tells of by the event 'error', while it answers its caller as if the key were not there.
 * No event says of which call it is: so a call that found nothing, and during which one came, counts as failed.
 */
export class Failures {
  count = 0
  last: unknown

  add (reason: unknown): void {
    this.count++
    this.last = reason
  }

  /** Notes what an emitter emits as errors. No listener is added: one for 'error' would change what an error does. */
  of (emitter: object, recorder: CacheRecorder): () => void {
    return shadowMethod(emitter, 'emit', (emit) => (...args) => {
      if (args[0] === 'error' && recorder.active) this.add(args[1])
      return Reflect.apply(emit, emitter, args)
    })
  }
}
