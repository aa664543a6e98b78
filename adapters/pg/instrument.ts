import { errorMonitor } from 'node:events'
import type { DatabaseScope } from '../../src/database/metrics.js'
import { originalOf, overlayMethod, shadow, shadowMethod, witnessed } from '../../src/shadow.js'
import { Clients } from './client.js'
import { Connections } from './connections.js'
import { isThenable, type Client, type ClientClass, type Method, type Pool } from './driver.js'
import { showPool } from './gauges.js'
import { keepListening } from './listeners.js'
import { Recorder, hasTimedOut } from './recorder.js'

/** What a pool that is observed has of ours. */
export interface Observation {
  readonly scope: DatabaseScope
  readonly undo: () => void
}

const SCOPE = Symbol.for('fastify-prometheus.pg.scope')
const UNDO = Symbol.for('fastify-prometheus.pg.undo')

/** The observation of a pool, by whichever copy of this package; undefined where there is none. */
export function observationOf (pool: Pool): Observation | undefined {
  const { [SCOPE]: scope, [UNDO]: undo } = pool as { [SCOPE]?: DatabaseScope, [UNDO]?: () => void }
  return undo === undefined ? undefined : { scope: scope ?? {}, undo }
}

/** Observes a pool that is not observed yet; the function it gives back undoes that. */
export function instrument (pool: Pool, scope: DatabaseScope): () => void {
  const recorder = new Recorder(scope)
  const connections = new Connections(recorder)
  const clients = new Clients(recorder, connections)

  function acquired (client: Client): void {
    try {
      if (!connections.has(client)) clients.met(client)
      if (pool.options?.maxLifetimeSeconds && pool._expired?.has(client)) connections.unclaimed(client)
      connections.acquired(client)
    } catch (error) {
      recorder.trouble.report('pg', error)
    }
  }
  const released = (_error: unknown, client: Client): void => { connections.released(client) }
  const lost = (error: unknown): void => { recorder.connectionFailed(error) }

  const waiting = new Waiting(recorder, connections, pool)
  const restores = [
    shadow(pool, 'Client', recordedClass(pool.Client, clients)),
    overlayMethod(pool, 'connect', (below) => function (...args) {
      return recorder.active ? waiting.observe(this as Pool, below(), args) : Reflect.apply(below(), this, args)
    }),
    // Never 'error': a listener there would keep an error from crashing a process that bare would crash.
    keepListening(pool, [['acquire', acquired], ['release', released], [errorMonitor, lost]]),
    showPool(new WeakRef(pool), scope, recorder),
    () => { waiting.restore() }
  ]

  const undo = () => {
    if (!recorder.active) return
    recorder.active = false
    for (const restore of restores) restore()
    connections.restore()
    Reflect.deleteProperty(pool, SCOPE)
    Reflect.deleteProperty(pool, UNDO)
  }
  Object.defineProperty(pool, SCOPE, { value: scope, configurable: true })
  Object.defineProperty(pool, UNDO, { value: undo, configurable: true })
  return undo
}

/** The class of clients that are made without a pool, observed. */
export function observedClient (Class: ClientClass, recorder: Recorder): ClientClass {
  return recordedClass(Class, new Clients(recorder, new Connections(recorder)))
}

/** A class whose clients are recorded, by these alone: not by what witnesses it already. */
function recordedClass (Class: ClientClass, clients: Clients): ClientClass {
  return witnessed(originalOf(Class), (client) => { clients.made(client) })
}

/** The requests for a connection of one pool. */
class Waiting {
  readonly #recorder: Recorder
  readonly #connections: Connections
  readonly #pool: WeakRef<Pool>
  #restore: (() => void) | undefined

  constructor (recorder: Recorder, connections: Connections, pool: Pool) {
    this.#recorder = recorder
    this.#connections = connections
    this.#pool = new WeakRef(pool)
  }

  /** Sends a request on. */
  observe (pool: Pool, connect: Method, args: unknown[]): unknown {
    const recorder = this.#recorder
    const wait = recorder.waitBegan()
    const callback = args[0]
    try {
      if (typeof callback === 'function') {
        const caller = recorder.caller()
        const over = (error: unknown, client: unknown) => { this.#over(wait, error, client) }
        args[0] = function (this: unknown, ...results: unknown[]) {
          over(results[0], results[1])
          return recorder.handOut(caller, callback as Method, this, results)
        }
        return Reflect.apply(connect, pool, args)
      }
      const connecting = Reflect.apply(connect, pool, args)
      if (!isThenable(connecting)) {
        wait.end()
        return connecting
      }
      return connecting.then((client) => {
        this.#over(wait, undefined, client)
        return client
      }, (error: unknown) => {
        this.#over(wait, error ?? new Error('it was given no reason'), undefined)
        throw error
      })
    } catch (error) {
      wait.end()
      throw error
    }
  }

  restore (): void {
    this.#restore?.()
  }

  #over (wait: ReturnType<Recorder['waitBegan']>, error: unknown, client: unknown): void {
    if (!error) return this.#recorder.acquired(wait, this.#connections.acquiredAt(client))
    this.#recorder.acquireFailed(wait, error)
    if (hasTimedOut(error)) this.#expectLate()
  }

  /**
   * From the first timeout on: a connection that is being opened for a caller who has given up is acquired and released all the
   * same (pg-pool/index.js, _acquireClient), and only the pool knows for whom.
   */
  #expectLate (): void {
    const pool = this.#pool.deref()
    if (pool === undefined || this.#restore !== undefined) return
    const connections = this.#connections
    this.#restore = shadowMethod(pool, '_acquireClient', (acquire) => function (...args) {
      if ((args[1] as { timedOut?: unknown } | undefined)?.timedOut === true) connections.unclaimed(args[0] as Client)
      return acquire.apply(this, args)
    })
  }
}
