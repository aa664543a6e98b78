import { errorMonitor } from 'node:events'
import { type Activity, DATABASE_DEFAULTS, type DatabaseScope, Observed, originalOf, overlayMethod, shadow, shadowMethod, witnessed } from '../../src/adapter.js'
import { Clients } from './client.js'
import { Connections } from './connections.js'
import { isThenable, type Client, type ClientClass, type Method, type Pool } from './driver.js'
import { showPool } from './gauges.js'
import { keepListening } from './listeners.js'
import { Recorder } from './recorder.js'

/** The pools that are observed. */
export const observedPools = new Observed<DatabaseScope>('pg.pool', 'a pool', DATABASE_DEFAULTS)

/** Observes a pool that is not observed yet. @returns a function that ends the observation */
export function instrument (pool: Pool, scope: DatabaseScope): () => void {
  const recorder = new Recorder(scope)
  const connections = new Connections(recorder)
  const clients = new Clients(recorder, connections)

  function acquired (client: Client): void {
    try {
      const isOnlyRemoved = pool.options?.maxLifetimeSeconds && pool._expired?.has(client)
      if (isOnlyRemoved) connections.markUnclaimed(client)
      if (connections.acquired(client)) return
      clients.observeConnected(client)
      if (!isOnlyRemoved) connections.acquired(client)
    } catch (error) {
      recorder.report(error)
    }
  }
  const released = (_error: unknown, client: Client): void => { connections.released(client) }
  const lost = (error: unknown): void => { recorder.connectionFailed(error) }

  const acquiring = new Acquiring(recorder, connections, pool)
  const restores = [
    shadow(pool, 'Client', recordedClass(pool.Client, clients)),
    overlayMethod(pool, 'connect', (under) => function (...args) {
      return recorder.active ? observeAcquire(acquiring, this as Pool, under.connect, args) : Reflect.apply(under.connect, this, args)
    }),
    // Never 'error': a listener for it would keep an error from crashing a process that crashes without us.
    keepListening(pool, [['acquire', acquired], ['release', released], [errorMonitor, lost]]),
    showPool(new WeakRef(pool), recorder),
    () => { acquiring.restore() }
  ]

  return observedPools.add(pool, scope, () => {
    recorder.active = false
    for (const restore of restores) restore()
    connections.restore()
  })
}

/** Gives an observed class for clients that are made without a pool. */
export function observedClient (Class: ClientClass, recorder: Recorder): ClientClass {
  return recordedClass(Class, new Clients(recorder, new Connections(recorder)))
}

/** Gives a class whose clients only `clients` records. An earlier witness of the class does not see them. */
function recordedClass (Class: ClientClass, clients: Clients): ClientClass {
  const original = originalOf(Class)
  return witnessed(original, (client) => { clients.observeNew(client) }, clients.layered(original))
}

/** The requests for connections of one pool. */
class Acquiring {
  readonly recorder: Recorder
  readonly #connections: Connections
  readonly #pool: WeakRef<Pool>
  #restore: (() => void) | undefined

  constructor (recorder: Recorder, connections: Connections, pool: Pool) {
    this.recorder = recorder
    this.#connections = connections
    this.#pool = new WeakRef(pool)
  }

  succeeded (wait: Activity, client: unknown): void {
    this.recorder.acquired(wait, this.#connections.acquiredAt(client))
  }

  failed (wait: Activity, error: unknown): void {
    if (this.recorder.waitFailed(wait, error)) this.#expectLate()
  }

  restore (): void {
    this.#restore?.()
  }

  /**
   * Runs at the first timeout. pg-pool may still be opening a connection for a caller that has given up; it acquires
   * and releases that connection all the same (pg-pool/index.js, _acquireClient). Only the pool knows for which caller.
   */
  #expectLate (): void {
    const pool = this.#pool.deref()
    if (pool === undefined || this.#restore !== undefined) return
    const connections = this.#connections
    this.#restore = shadowMethod(pool, '_acquireClient', (acquire) => function (...args) {
      if ((args[1] as { timedOut?: unknown } | undefined)?.timedOut === true) connections.markUnclaimed(args[0] as Client)
      return acquire.apply(this, args)
    })
  }
}

/** Passes a request for a connection on to the pool and records its wait. */
function observeAcquire (acquiring: Acquiring, pool: Pool, connect: Method, args: unknown[]): unknown {
  const { recorder } = acquiring
  const wait = recorder.waitBegan()
  const callback = args[0]
  if (typeof callback === 'function') {
    const caller = recorder.caller()
    args[0] = function (this: unknown, ...results: unknown[]) {
      if (results[0]) acquiring.failed(wait, results[0])
      else acquiring.succeeded(wait, results[1])
      return recorder.callBack(caller, callback as Method, this, results)
    }
  }
  let connecting
  try {
    connecting = Reflect.apply(connect, pool, args)
  } catch (error) {
    wait.end()
    throw error
  }
  if (typeof callback === 'function') return connecting
  if (!isThenable(connecting)) {
    wait.end()
    return connecting
  }
  return connecting.then((client) => {
    acquiring.succeeded(wait, client)
    return client
  }, (error: unknown) => {
    acquiring.failed(wait, error)
    throw error
  })
}
