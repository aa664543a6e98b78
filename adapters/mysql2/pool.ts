import { overlayMethod, type DatabaseRecorder } from '../../src/adapter.js'
import { Connections } from './connections.js'
import type { Connection, Method, Pool } from './driver.js'

/** What a pool tells a caller that gets no connection because all are in use (mysql2/lib/base/pool.js, getConnection). */
const EXHAUSTED = new Set(['Queue limit reached.', 'No connections available.'])

/** Observes a pool. @returns a function that ends that */
export function observePool (pool: Pool, recorder: DatabaseRecorder): () => void {
  const connections = new Connections(recorder)
  const waits = new Waits(recorder, connections, pool)
  const shown = new WeakRef(pool)
  const ofPool = (read: (pool: Pool) => number) => () => {
    const there = shown.deref()
    return there === undefined ? 0 : read(there)
  }
  waits.learn()
  const restores = [
    overlayMethod(pool, 'getConnection', (under) => function (...args) {
      return recorder.active ? waits.ask(this, under.getConnection, args) : Reflect.apply(under.getConnection, this, args)
    }),
    recorder.show(() => shown.deref()?._closed === false, {
      idle: ofPool(({ _freeConnections }) => _freeConnections.length),
      used: ofPool(({ _allConnections, _freeConnections }) => _allConnections.length - _freeConnections.length),
      max: ofPool(({ config }) => config.connectionLimit ?? 0),
      pending: ofPool(({ _connectionQueue }) => _connectionQueue.length)
    })
  ]
  return () => {
    for (const restore of restores) restore()
    connections.restore()
  }
}

/** The requests for connections of one pool. */
class Waits {
  readonly #recorder: DatabaseRecorder
  readonly #connections: Connections
  readonly #pool: WeakRef<Pool>
  /** The callbacks in the pool's queue. The pool asks anew for one whose connection is gone, and it goes on waiting. */
  readonly #queued = new WeakSet<object>()

  constructor (recorder: DatabaseRecorder, connections: Connections, pool: Pool) {
    this.#recorder = recorder
    this.#connections = connections
    this.#pool = new WeakRef(pool)
  }

  ask (self: unknown, getConnection: Method, args: unknown[]): unknown {
    const recorder = this.#recorder
    const callback = args[0]
    if (typeof callback !== 'function') return Reflect.apply(getConnection, self, args)
    if (this.#queued.has(callback)) return this.#send(self, getConnection, args)
    const wait = recorder.waitBegan()
    const caller = recorder.caller()
    const connections = this.#connections
    args[0] = function (this: unknown, ...results: unknown[]) {
      const [error, connection] = results
      if (error) {
        recorder.acquireFailed(wait, reasonOf(error))
      } else {
        recorder.acquired(wait)
        connections.acquired(connection as Connection)
      }
      return recorder.onBehalfOf(caller, () => Reflect.apply(callback, this, results) as unknown)
    }
    try {
      return this.#send(self, getConnection, args)
    } catch (error) {
      wait.end()
      throw error
    }
  }

  /** Observes the connections that are new, and remembers who waits. */
  learn (): void {
    const pool = this.#pool.deref()
    if (pool === undefined) return
    try {
      const { _allConnections: all, _connectionQueue: queue } = pool
      // New ones are last.
      for (let i = all.length - 1; i >= 0; i--) {
        const connection = all.get(i)
        if (connection === undefined || this.#connections.has(connection)) break
        this.#connections.add(connection)
      }
      const last = queue.length > 0 ? queue.get(queue.length - 1) : undefined
      if (last !== undefined) this.#queued.add(last)
    } catch (error) {
      this.#recorder.report(error)
    }
  }

  #send (self: unknown, getConnection: Method, args: unknown[]): unknown {
    try {
      return Reflect.apply(getConnection, self, args)
    } finally {
      this.learn()
    }
  }
}

function reasonOf (error: unknown): boolean | 'exhausted' {
  const { message, code } = error as { message?: unknown, code?: unknown }
  return typeof message === 'string' && EXHAUSTED.has(message) ? 'exhausted' : code === 'ETIMEDOUT'
}
