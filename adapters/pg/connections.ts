import { EventEmitter } from 'node:events'
import { Activity } from '../../src/adapter.js'
import type { Client } from './driver.js'
import { keepListening } from './listeners.js'
import type { Recorder } from './recorder.js'

/**
 * The state of one connection. While the connection is out of its pool, it is in the list of uses. It holds no
 * reference to its client, and so none to the pool.
 */
class Connection extends Activity {
  /** Whether the pool hands it out to a caller that has given up, or takes it out only to remove it. */
  unclaimed = false
  closed = false
}

/**
 * The connections of one pool, or of all clients made without a pool. Each is counted once as opened, and once as
 * closed when it ends.
 */
export class Connections {
  readonly #recorder: Recorder
  readonly #known = new WeakMap<Client, Connection>()
  /** The functions that restore the open clients. */
  readonly #restores = new Map<Client, () => void>()

  constructor (recorder: Recorder) {
    this.#recorder = recorder
  }

  has (client: Client): boolean {
    return this.#known.has(client)
  }

  /** Remembers a client that is connected. @param restore restores the client when its observation ends */
  opened (client: Client, restore: () => void): void {
    const connection = new Connection(0)
    this.#known.set(client, connection)
    const stop = listenForEnd(client, () => {
      this.closed(client)
      this.#recorder.connectionEnded(client)
      this.#restores.delete(client)
    })
    this.#restores.set(client, () => {
      stop()
      restore()
    })
  }

  /**
   * Counts a connection that has ended, or that the application ends. From then on the pool does not count it either.
   */
  closed (client: Client): void {
    const connection = this.#known.get(client)
    if (connection === undefined || connection.closed) return
    connection.closed = true
    this.#recorder.connectionClosed()
  }

  /** Records that a client was taken out of its pool. @returns whether the client is known */
  acquired (client: Client): boolean {
    const connection = this.#known.get(client)
    if (connection === undefined) return false
    connection.end()
    if (connection.unclaimed) return true
    connection.at = this.#recorder.now()
    this.#recorder.metrics.uses.add(connection)
    return true
  }

  /** Marks a client that the pool will take out although no caller will use it. */
  markUnclaimed (client: Client): void {
    const connection = this.#known.get(client)
    if (connection !== undefined) connection.unclaimed = true
  }

  /** When the client was taken out, in milliseconds of performance.now(); undefined while it is in its pool. */
  acquiredAt (client: unknown): number | undefined {
    const connection = this.#known.get(client as Client)
    return connection?.list === undefined ? undefined : connection.at
  }

  /** Records that a client went back to its pool. */
  released (client: Client): void {
    const connection = this.#known.get(client)
    if (connection === undefined) return
    connection.unclaimed = false
    if (connection.list === undefined) return
    connection.end()
    this.#recorder.connectionUsed(connection.at)
  }

  /** Restores every client. */
  restore (): void {
    for (const restore of this.#restores.values()) restore()
    this.#restores.clear()
  }
}

/**
 * Listens for the end of a client's connection. The listener is on the connection, where pg has listeners that it
 * depends on, so an application does not remove them all. A client of pg.native has no connection, so there the
 * listener is on the client.
 */
function listenForEnd (client: Client, ended: () => void): () => void {
  const { connection } = client
  if (connection instanceof EventEmitter) {
    connection.once('end', ended)
    return () => { connection.removeListener('end', ended) }
  }
  return client instanceof EventEmitter ? keepListening(client, [['end', ended]]) : () => {}
}
