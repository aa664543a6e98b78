import { errorMonitor } from 'node:events'
import type { DatabaseScope } from '../../src/database/metrics.js'
import { recordClient, recordedClass } from './client.js'
import { isThenable, type Client, type Method, type Pool } from './driver.js'
import { showPool } from './gauges.js'
import { Recorder } from './recorder.js'
import { disguised, shadow } from '../../src/shadow.js'

const UNDO = Symbol.for('fastify-prometheus.pg.undo')

/** What is known of a connection of the pool. */
interface Connection {
  /** When it was acquired, in milliseconds of performance.now(); undefined while it is idle. */
  acquiredAt: number | undefined
  ended: boolean
  readonly restore: () => void
}

/** Observes a pool; the function it gives back undoes that. A pool that is observed already is left as it is. */
export function instrument (pool: Pool, scope: DatabaseScope): () => void {
  const held = (pool as { [UNDO]?: () => void })[UNDO]
  if (held !== undefined) return held

  const recorder = new Recorder(scope)
  const connections = new Map<Client, Connection>()
  const { Client: Base } = pool
  const Recorded = recordedClass(Base, recorder, (client) => {
    const restore = () => {
      if (Object.getPrototypeOf(client) === Recorded.prototype) Object.setPrototypeOf(client, Base.prototype)
    }
    try {
      if (recorder.active) know(client, restore)
      else restore()
    } catch (error) {
      recorder.trouble.report('pg', error)
    }
  })

  /** Every connection that is known is one opened, and one closed when it ends. */
  function know (client: Client, restore: () => void): Connection {
    const ended = () => {
      connection.ended = true
      if (connection.acquiredAt === undefined) connections.delete(client)
      recorder.connectionClosed()
    }
    client.once('end', ended)
    const connection: Connection = {
      acquiredAt: undefined,
      ended: false,
      restore () {
        client.removeListener('end', ended)
        restore()
      }
    }
    connections.set(client, connection)
    return connection
  }

  function acquired (client: Client): void {
    try {
      let connection = connections.get(client)
      if (connection === undefined) {
        recorder.connectionOpened()
        connection = know(client, recordClient(client, recorder))
      }
      const isOnlyRemoved = pool.options?.maxLifetimeSeconds && pool._expired?.has(client)
      connection.acquiredAt = isOnlyRemoved ? undefined : recorder.now()
    } catch (error) {
      recorder.trouble.report('pg', error)
    }
  }

  const acquiredAt = (client: unknown) => connections.get(client as Client)?.acquiredAt ?? recorder.now()

  function released (_error: unknown, client: Client): void {
    const connection = connections.get(client)
    if (connection?.acquiredAt === undefined) return
    recorder.connectionUsed(connection.acquiredAt)
    connection.acquiredAt = undefined
    if (connection.ended) connections.delete(client)
  }

  function lost (error: unknown): void {
    recorder.connectionFailed(error)
  }

  const { connect } = pool
  const restore = [
    shadow(pool, 'Client', Recorded),
    shadow(pool, 'connect', disguised(connect, function (this: Pool, ...args: unknown[]) {
      return recorder.active ? observeAcquire(recorder, acquiredAt, this, connect, args) : Reflect.apply(connect, this, args)
    })),
    showPool(new WeakRef(pool), scope, recorder)
  ]
  // Never 'error': a listener there would keep an error from crashing a process that bare would crash.
  const listeners = [['acquire', acquired], ['release', released], [errorMonitor, lost]] as const
  for (const [event, listener] of listeners) pool.on(event, listener)

  const undo = () => {
    if (!recorder.active) return
    recorder.active = false
    for (const back of restore) back()
    for (const [event, listener] of listeners) pool.removeListener(event, listener)
    for (const connection of connections.values()) connection.restore()
    connections.clear()
    Reflect.deleteProperty(pool, UNDO)
  }
  Object.defineProperty(pool, UNDO, { value: undo, configurable: true })
  return undo
}

/** @param acquiredAt when a client was acquired, in milliseconds of performance.now() */
function observeAcquire (
  recorder: Recorder, acquiredAt: (client: unknown) => number, pool: Pool, connect: Method, args: unknown[]
): unknown {
  const start = recorder.now()
  const callback = args[0]
  if (typeof callback === 'function') {
    const caller = recorder.caller()
    const acquired = function (this: unknown, ...results: unknown[]) {
      if (results[0]) recorder.acquireFailed(results[0])
      else recorder.acquired(start, acquiredAt(results[1]))
      return recorder.handOut(caller, callback as Method, this, results)
    }
    args[0] = acquired
    return Reflect.apply(connect, pool, args)
  }
  const connecting = Reflect.apply(connect, pool, args)
  return !isThenable(connecting)
    ? connecting
    : connecting.then((client) => {
      recorder.acquired(start, acquiredAt(client))
      return client
    }, (error: unknown) => {
      recorder.acquireFailed(error)
      throw error
    })
}
