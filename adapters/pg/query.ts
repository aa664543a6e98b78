import { isSubmittable, isThenable, type Client, type Method } from './driver.js'
import type { Recorder } from './recorder.js'
import { watchSubmittable } from './submittable.js'

/**
 * Sends a query of a client, in any of its forms, and records its end, once.
 * @param send the client's own query method
 */
export function observeQuery (recorder: Recorder, client: Client, send: Method, args: unknown[]): unknown {
  const query = args[0]
  if (typeof query !== 'string' && (typeof query !== 'object' || query === null)) return Reflect.apply(send, client, args)
  const started = recorder.sent(client, query)
  if (started === undefined) return Reflect.apply(send, client, args)
  const at = typeof query === 'object' && isSubmittable(query) ? watchSubmittable(recorder, started, query) : callbackAt(args)
  if (typeof at === 'number') {
    const callback = (at === 0 ? (query as { callback: unknown }).callback : args[at]) as Method
    const ended = function (this: unknown, ...results: unknown[]) {
      if (results[0]) recorder.queryFailed(started, results[0])
      else recorder.answered(started, results[1])
      return Reflect.apply(callback, this, results)
    }
    args[at] = at === 0 ? withCallback(query as object, ended) : ended
  }
  let sent
  try {
    sent = Reflect.apply(send, client, args)
  } catch (error) {
    // A query that pg refuses at once is not under way.
    started.end()
    throw error
  }
  if (at !== undefined) return sent
  if (!isThenable(sent)) {
    // Without a promise and without a callback, nothing tells when the query ends.
    started.end()
    return sent
  }
  // One chain, no side branch: an unhandled rejection stays unhandled, and keeps its async stack.
  return sent.then((result) => {
    recorder.answered(started, result)
    return result
  }, (error: unknown) => {
    recorder.queryFailed(started, error)
    throw error
  })
}

/**
 * The index of the argument with the callback that pg will call: the third, else the second if it is a function, else
 * the config (pg/lib/utils.js:154-169). Undefined when there is no callback, or one that pg refuses.
 */
function callbackAt (args: readonly unknown[]): 0 | 1 | 2 | undefined {
  const [query, values, callback] = args
  if (callback) return typeof callback === 'function' ? 2 : undefined
  if (typeof values === 'function') return 1
  return typeof query === 'object' && typeof (query as { callback?: unknown }).callback === 'function' ? 0 : undefined
}

/** Copies a config, as pg does, with our callback in it. The caller's config is not changed. */
function withCallback (config: object, callback: Method): object {
  return Object.create(Object.getPrototypeOf(config) as object | null, {
    ...Object.getOwnPropertyDescriptors(config),
    callback: { value: callback, writable: true, enumerable: true, configurable: true }
  }) as object
}
