import type { Method } from '../../src/adapter.js'
import { Layer, type Over } from './layer.js'
import type { QueryRecorder, Running } from './recorder.js'
import { isQueryResult } from './rows.js'
import type { QueryRunnerLike } from './shapes.js'
import { watchStream } from './stream.js'

/** Called at a query's end, with the fields of TypeORM's own event. */
export type QueryEnded = (runner: QueryRunnerLike, args: readonly unknown[], success: boolean, result: unknown) => void

type Observe = (runner: QueryRunnerLike, running: Running | undefined, method: Method, args: unknown[]) => unknown

/**
 * Gives the layer that records the queries of query runners.
 * @param structured whether to ask the runner for TypeORM's QueryResult, and to give its `raw` to a caller that did not
 * ask for it
 * @param ended called after each query, recorded or not
 */
export function queryLayer (recorder: QueryRecorder, structured: boolean, ended: QueryEnded): Layer {
  const over = (name: string, observe: Observe): Over => (below) => {
    const observed = function (this: unknown, ...args: unknown[]): unknown {
      const runner = this as QueryRunnerLike
      if (!recorder.active) {
        // This runner was observed before the undo.
        if (Object.getOwnPropertyDescriptor(runner, name)?.value === observed) Reflect.deleteProperty(runner, name)
      } else if (typeof args[0] === 'string' && runner.isReleased !== true) {
        return observe(runner, recorder.asked(runner, args[0]), below(), args)
      }
      return Reflect.apply(below(), runner, args)
    }
    return observed
  }
  return new Layer(new Map([['query', over('query', observeQuery)], ['stream', over('stream', observeStream)]]))

  function observeQuery (runner: QueryRunnerLike, running: Running | undefined, method: Method, args: unknown[]): unknown {
    const unwraps = structured && args[2] !== true
    const sent = send(runner, running, method, unwraps ? [args[0], args[1], true] : args)
    if (!(sent instanceof Promise)) {
      // A test double may answer at once, without a promise.
      if (running !== undefined) recorder.succeeded(running, sent)
      return unwrap(unwraps, sent)
    }
    // One chain, no side branch: an unhandled rejection stays unhandled, and keeps its async stack.
    return sent.then((result: unknown) => {
      if (running !== undefined) recorder.succeeded(running, result)
      ended(runner, args, true, result)
      return unwrap(unwraps, result)
    }, (error: unknown) => {
      if (running !== undefined) recorder.failed(running, error)
      ended(runner, args, false, error)
      throw error
    })
  }

  /**
   * A stream is one query, whether it is read, given up or fails. Its duration has all the time that its reader takes.
   */
  function observeStream (runner: QueryRunnerLike, running: Running | undefined, method: Method, args: unknown[]): unknown {
    const sent = send(runner, running, method, args)
    if (running === undefined) return sent
    if (!(sent instanceof Promise)) {
      watchStream(recorder, running, sent)
      return sent
    }
    return sent.then((stream: unknown) => {
      watchStream(recorder, running, stream)
      return stream
    }, (error: unknown) => {
      recorder.failed(running, error)
      throw error
    })
  }

  function send (runner: QueryRunnerLike, running: Running | undefined, method: Method, args: unknown[]): unknown {
    try {
      return Reflect.apply(method, runner, args)
    } catch (error) {
      if (running !== undefined) recorder.failed(running, error)
      throw error
    }
  }
}

function unwrap (unwraps: boolean, result: unknown): unknown {
  return unwraps && isQueryResult(result) ? result.raw : result
}
