import { isSubmittable, isThenable, type Client, type Method } from './driver.js'
import type { Recorder, Started } from './recorder.js'
import { watchSubmittable } from './submittable.js'

/**
 * Sends a query of a client, in whichever of its forms, and records how it ends, once.
 * @param send the client's own query method
 */
export function observeQuery (recorder: Recorder, client: Client, send: Method, args: unknown[]): unknown {
  const query = args[0]
  if (typeof query !== 'string' && (typeof query !== 'object' || query === null)) return Reflect.apply(send, client, args)
  const started = recorder.queryStarted(client, query)
  if (started === undefined) return Reflect.apply(send, client, args)
  if (typeof query === 'object' && isSubmittable(query)) {
    watchSubmittable(recorder, started, query)
    return sent(send, client, args, started)
  }

  const at = callbackAt(args)
  if (at === undefined) {
    const back = sent(send, client, args, started)
    if (!isThenable(back)) {
      // It answers neither with a promise nor to a callback, so nobody learns of its end.
      started.end()
      return back
    }
    // One chain, no side branch: a rejection that nobody handles stays one, and keeps its async stack.
    return back.then((result) => {
      recorder.querySucceeded(started, result)
      return result
    }, (error: unknown) => {
      recorder.queryFailed(started, error, recorder.now())
      throw error
    })
  }

  const callback = at === 0 ? (query as { callback: unknown }).callback : args[at]
  const ended = function (this: unknown, ...results: unknown[]) {
    if (results[0]) recorder.queryFailed(started, results[0], recorder.now())
    else recorder.querySucceeded(started, results[1])
    return Reflect.apply(callback as Method, this, results)
  }
  args[at] = at === 0 ? withCallback(query as object, ended) : ended
  return sent(send, client, args, started)
}

/** Sends a query; one that is refused at once is none under way. */
function sent (send: Method, client: Client, args: unknown[], started: Started): unknown {
  try {
    return Reflect.apply(send, client, args)
  } catch (error) {
    started.end()
    throw error
  }
}

/**
 * The argument with the callback that pg will call: the third, else the second where it is a function, else the config
 * (pg/lib/utils.js:154-169). Undefined where there is none, or one that pg refuses.
 */
function callbackAt (args: readonly unknown[]): 0 | 1 | 2 | undefined {
  const [query, values, callback] = args
  if (callback) return typeof callback === 'function' ? 2 : undefined
  if (typeof values === 'function') return 1
  return typeof query === 'object' && typeof (query as { callback?: unknown }).callback === 'function' ? 0 : undefined
}

/** A copy of a config, as pg makes one, with a callback of ours: the caller's own is not changed. */
function withCallback (config: object, callback: Method): object {
  return Object.create(Object.getPrototypeOf(config) as object | null, {
    ...Object.getOwnPropertyDescriptors(config),
    callback: { value: callback, writable: true, enumerable: true, configurable: true }
  }) as object
}
