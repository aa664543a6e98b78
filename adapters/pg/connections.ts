import { EventEmitter } from 'node:events'
import { Activity } from '../../src/database/activity.js'
import type { Client } from './driver.js'
import { keepListening } from './listeners.js'
import type { Recorder } from './recorder.js'

/** What is known of a connection. While it is out of its pool it is among the uses. It does not hold its client, nor so its pool. */
class Connection extends Activity {
  /** Whether it was acquired for a caller who has given up, or only to be removed. */
  unclaimed = false
  closed = false
}

/** The connections of one pool, or those that were made without one. Each is one opened, and one closed when it ends. */
export class Connections {
  readonly #recorder: Recorder
  readonly #known = new WeakMap<Client, Connection>()
  /** Puts back the clients that are open. */
  readonly #restores = new Map<Client, () => void>()

  constructor (recorder: Recorder) {
    this.#recorder = recorder
  }

  has (client: Client): boolean {
    return this.#known.has(client)
  }

  /** A client has connected, or had before. @param restore puts it back when it is not to be observed any more */
  opened (client: Client, restore: () => void): void {
    const connection = new Connection(0)
    this.#known.set(client, connection)
    const stop = onEnd(client, () => {
      this.closed(client)
      this.#recorder.connectionEnded(client)
      this.#restores.delete(client)
    })
    this.#restores.set(client, () => {
      stop()
      restore()
    })
  }

  /** The client's connection has ended, or the application ends it: the pool, too, counts it no more from then on. */
  closed (client: Client): void {
    const connection = this.#known.get(client)
    if (connection === undefined || connection.closed) return
    connection.closed = true
    this.#recorder.connectionClosed()
  }

  /** The client was taken out of its pool. @returns whether it is known */
  acquired (client: Client): boolean {
    const connection = this.#known.get(client)
    if (connection === undefined) return false
    connection.end()
    if (connection.unclaimed) return true
    connection.at = this.#recorder.now()
    this.#recorder.metrics.uses.add(connection)
    return true
  }

  /** The client will be taken out, and by nobody who uses it. */
  unclaimed (client: Client): void {
    const connection = this.#known.get(client)
    if (connection !== undefined) connection.unclaimed = true
  }

  /** When it was taken out, in milliseconds of performance.now(); undefined while it is in its pool. */
  acquiredAt (client: unknown): number | undefined {
    const connection = this.#known.get(client as Client)
    return connection?.list === undefined ? undefined : connection.at
  }

  /** The client went back to its pool. */
  released (client: Client): void {
    const connection = this.#known.get(client)
    if (connection === undefined) return
    connection.unclaimed = false
    if (connection.list === undefined) return
    connection.end()
    this.#recorder.connectionUsed(connection.at)
  }

  /** Puts every client back. */
  restore (): void {
    for (const restore of this.#restores.values()) restore()
    this.#restores.clear()
  }
}

/**
 * Listens for the end of a client's connection: on the connection, whose listeners pg itself lives by, and where there is none,
 * as with pg.native, on the client.
 */
function onEnd (client: Client, ended: () => void): () => void {
  const { connection } = client
  if (connection instanceof EventEmitter) {
    connection.once('end', ended)
    return () => { connection.removeListener('end', ended) }
  }
  return client instanceof EventEmitter ? keepListening(client, [['end', ended]]) : () => {}
}
