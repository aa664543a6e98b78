import type { Duplex } from 'node:stream'
import type { RawResponse } from './raw.js'

/**
 * Responses to pipelined requests that wait for the response before them. They have no socket yet, so Node emits no
 * 'close' on them when the connection is lost (node/lib/_http_server.js, parserOnIncoming): the connection's own
 * 'close' tells. Each connection gets one listener.
 */
export class PipelineQueues {
  readonly #queues = new WeakMap<Duplex, Set<RawResponse>>()
  readonly #lost: (this: RawResponse) => void

  /** @param lost called on each response that still waits when its connection closes */
  constructor (lost: (this: RawResponse) => void) {
    this.#lost = lost
  }

  add (connection: Duplex, response: RawResponse): void {
    let queue = this.#queues.get(connection)
    if (queue === undefined) {
      const waiting = queue = new Set<RawResponse>()
      this.#queues.set(connection, queue)
      connection.on('close', () => { for (const response of [...waiting]) this.#lost.call(response) })
    }
    queue.add(response)
  }

  delete (connection: Duplex, response: RawResponse): void {
    this.#queues.get(connection)?.delete(response)
  }
}
