import type { DatabaseMetrics } from '../../src/database/metrics.js'
import type { Method } from '../../src/instrumentation/index.js'
import { Layer, type Over } from './layer.js'
import type { Query, QueryRecorder } from './recorder.js'
import { isQueryResult } from './rows.js'
import type { QueryRunnerLike } from './shapes.js'
import { watchStream } from './stream.js'

/** The connections that queries run on. */
export interface Connections {
  /** The query that is being sent, and whose connection is being asked for. */
  opening: Query | undefined
  /** The metrics of a runner's connection; undefined while the runner has none. */
  of (runner: QueryRunnerLike): DatabaseMetrics | undefined
  connectionOf (runner: QueryRunnerLike): object | undefined
}

/** Connections that cannot or need not be told apart. */
export class OneConnection implements Connections {
  opening: Query | undefined = undefined
  readonly #metrics: DatabaseMetrics

  constructor (metrics: DatabaseMetrics) {
    this.#metrics = metrics
  }

  of (): DatabaseMetrics {
    return this.#metrics
  }

  connectionOf (): undefined {
    return undefined
  }
}

/** Called at a query's end, with the fields of TypeORM's own event. */
export type QueryEnded = (runner: QueryRunnerLike, args: readonly unknown[], success: boolean, result: unknown) => void

/**
 * Gives the layer that records the queries of query runners.
 * @param structured whether to ask the runner for TypeORM's QueryResult, and to give its `raw` to a caller that did not
 * ask for it
 * @param ended called after each query
 */
export function queryLayer (recorder: QueryRecorder, connections: Connections, structured: boolean, ended: QueryEnded): Layer {
  const over = (name: string, observe: typeof observeQuery): Over => (below) => {
    const observed = function (this: unknown, ...args: unknown[]): unknown {
      const runner = this as QueryRunnerLike
      if (!recorder.active) {
        // This runner was observed before the undo.
        if (Object.getOwnPropertyDescriptor(runner, name)?.value === observed) Reflect.deleteProperty(runner, name)
      } else if (typeof args[0] === 'string' && runner.isReleased !== true) {
        const query = recorder.asked(runner, args[0])
        if (query !== undefined) return observe(recorder, connections, runner, query, below(), args, structured, ended)
      }
      return Reflect.apply(below(), runner, args)
    }
    return observed
  }
  return new Layer(new Map([['query', over('query', observeQuery)], ['stream', over('stream', observeStream)]]))
}

function observeQuery (
  recorder: QueryRecorder, connections: Connections, runner: QueryRunnerLike, query: Query, method: Method, args: unknown[], structured: boolean, ended: QueryEnded
): unknown {
  const unwraps = structured && args[2] !== true
  const sent = send(recorder, connections, runner, query, method, unwraps ? [args[0], args[1], true] : args)
  if (!(sent instanceof Promise)) {
    // A test double may answer at once, without a promise.
    recorder.succeeded(query, sent)
    return unwrap(unwraps, sent)
  }
  // One chain, no side branch: an unhandled rejection stays unhandled, and keeps its async stack.
  return sent.then((result: unknown) => {
    query.metrics = connections.of(runner) ?? query.metrics
    recorder.succeeded(query, result)
    ended(runner, args, true, result)
    return unwrap(unwraps, result)
  }, (error: unknown) => {
    recordFailure(recorder, connections, runner, query, error)
    ended(runner, args, false, error)
    throw error
  })
}

/**
 * A stream is one query, whether it is read, given up or fails. Its duration has all the time that its reader takes.
 */
function observeStream (recorder: QueryRecorder, connections: Connections, runner: QueryRunnerLike, query: Query, method: Method, args: unknown[]): unknown {
  const sent = send(recorder, connections, runner, query, method, args)
  if (!(sent instanceof Promise)) {
    watchStream(recorder, query, sent)
    return sent
  }
  return sent.then((stream: unknown) => {
    query.metrics = connections.of(runner) ?? query.metrics
    watchStream(recorder, query, stream)
    return stream
  }, (error: unknown) => {
    recordFailure(recorder, connections, runner, query, error)
    throw error
  })
}

/** Sends a query. The query begins when it has a connection: now, or when the connection that it asks for is there. */
function send (recorder: QueryRecorder, connections: Connections, runner: QueryRunnerLike, query: Query, method: Method, args: unknown[]): unknown {
  const metrics = connections.of(runner)
  const { opening } = connections
  let sent: unknown
  if (metrics !== undefined) recorder.began(query, metrics, connections.connectionOf(runner))
  else connections.opening = query
  try {
    sent = Reflect.apply(method, runner, args)
  } catch (error) {
    recordFailure(recorder, connections, runner, query, error)
    throw error
  } finally {
    connections.opening = opening
  }
  // Another query of the runner has already asked for the connection.
  if (query.metrics === undefined && !query.waits) recorder.began(query, recorder.primary)
  return sent
}

function recordFailure (recorder: QueryRecorder, connections: Connections, runner: QueryRunnerLike, query: Query, error: unknown): void {
  const metrics = connections.of(runner)
  // Without a connection there was no query. The failed connection is counted where it was asked for.
  if (metrics === undefined) return recorder.dropped(query)
  query.metrics = metrics
  recorder.failed(query, error)
}

function unwrap (unwraps: boolean, result: unknown): unknown {
  return unwraps && isQueryResult(result) ? result.raw : result
}
