import type { Activity, DatabaseRecorder } from '../../src/adapter.js'
import type { Connections } from './connections.js'
import type { Connection, Method, Pool } from './driver.js'

/** What a pool tells a caller that gets no connection because all are in use (mysql2/lib/base/pool.js, getConnection). */
const EXHAUSTED = new Set(['Queue limit reached.', 'No connections available.'])

/** The requests for connections of one pool. */
export class Waits {
  readonly #recorder: DatabaseRecorder
  readonly #connections: Connections
  /** The callbacks in the pool's queue. The pool asks anew for one whose connection is gone, and it goes on waiting. */
  readonly #queued = new WeakSet<object>()
  /** The connection that the pool has made last. */
  #newest: Connection | undefined
  #isAsking = false

  constructor (recorder: DatabaseRecorder, connections: Connections) {
    this.#recorder = recorder
    this.#connections = connections
  }

  /** Passes a request on to the pool, and records its wait. */
  ask (pool: Pool, getConnection: Method, self: unknown, args: unknown[]): unknown {
    const callback = args[0]
    if (typeof callback === 'function' && !this.#queued.has(callback)) {
      // eslint-disable-next-line @typescript-eslint/no-this-alias -- the function below has a `this` of its own
      const waits = this
      const recorder = this.#recorder
      const wait = recorder.waitBegan()
      const caller = recorder.caller()
      args[0] = function (this: unknown, ...results: unknown[]) {
        waits.#answered(wait, results[0], results[1] as Connection)
        return recorder.callBack(caller, callback as Method, this, results)
      }
      try {
        return this.#send(pool, getConnection, self, args, wait.at)
      } catch (error) {
        // It is the error of the callback, which the pool may call at once.
        wait.end()
        throw error
      }
    }
    return this.#send(pool, getConnection, self, args, this.#recorder.now())
  }

  /** A connection is taken out of the pool, for a caller that was not seen to ask for it. */
  acquired (connection: Connection): void {
    if (this.#isAsking) return
    try {
      this.#connections.add(connection)
      this.#connections.acquired(connection, this.#recorder.now())
    } catch (error) {
      this.#recorder.report(error)
    }
  }

  /**
   * Observes the connections that are new.
   * @param began when they began to open, if that is known
   */
  learn ({ _allConnections: all }: Pool, began?: number): void {
    const newest = all.length > 0 ? all.get(all.length - 1) : undefined
    if (newest === this.#newest) return
    this.#newest = newest
    // New ones are last.
    for (let i = all.length - 1; i >= 0; i--) {
      const connection = all.get(i)
      if (connection === undefined || this.#connections.has(connection)) return
      this.#connections.add(connection, began)
    }
  }

  #answered (wait: Activity, error: unknown, connection: Connection): void {
    const recorder = this.#recorder
    if (error) return recorder.acquireFailed(wait, reasonOf(error))
    const at = recorder.now()
    recorder.acquired(wait, at)
    this.#connections.acquired(connection, at)
  }

  #send (pool: Pool, getConnection: Method, self: unknown, args: unknown[], began: number): unknown {
    const recorder = this.#recorder
    const { _connectionQueue: queue } = pool
    const waiting = queue.length
    const isAsking = this.#isAsking
    this.#isAsking = true
    try {
      return Reflect.apply(getConnection, self, args)
    } finally {
      this.#isAsking = isAsking
      try {
        this.learn(pool, began)
        const last = queue.length > waiting ? queue.get(queue.length - 1) : undefined
        if (last !== undefined) this.#queued.add(last)
      } catch (error) {
        recorder.report(error)
      }
    }
  }
}

function reasonOf (error: unknown): boolean | 'exhausted' {
  const { message, code } = error as { message?: unknown, code?: unknown }
  return typeof message === 'string' && EXHAUSTED.has(message) ? 'exhausted' : code === 'ETIMEDOUT'
}
