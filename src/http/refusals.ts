import type { OutgoingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { FamilyOf } from '../catalogue.js'
import { hasHead } from './endings.js'
import { exchangeOf } from './exchange.js'
import { readStatus } from './wire.js'

/** A socket, with what Node's server keeps on it (node/lib/_http_server.js). */
interface Connection extends Socket {
  /** The response that is being answered. */
  _httpMessage?: OutgoingMessage | null
  parser?: { incoming?: { complete?: boolean } | null } | null
}

/**
 * The codes of refused requests, from the parser (llhttp) and from Node's server. A lost connection has other codes.
 */
const REFUSED = /^(HPE|ERR_HTTP)_[A-Z0-9_]{1,60}$/

/**
 * The requests that Node's parser refuses: a malformed request, headers that are too large, a request that does not
 * come in time. If Fastify has the request already, its exchange gets the status that is written to the connection.
 * Otherwise the request is counted here, because nothing else sees it.
 */
export class Refusals {
  readonly #counter: FamilyOf<'http_client_errors_total'> | undefined
  readonly #failed: (error: unknown) => void
  readonly #seen = new WeakSet<Socket>()

  constructor (counter: FamilyOf<'http_client_errors_total'> | undefined, failed: (error: unknown) => void) {
    this.#counter = counter
    this.#failed = failed
  }

  /** Called at the server's 'clientError', before any other listener. Never throws. */
  refused (error: NodeJS.ErrnoException, connection: Connection): void {
    try {
      const { code } = error
      if (typeof code !== 'string' || !REFUSED.test(code) || this.#seen.has(connection)) return
      this.#seen.add(connection)
      // The client closed the connection in the middle of a body. It has left, and a later answer does not reach it.
      const known = connection.parser?.incoming?.complete === false
      if (known && connection.readableEnded) return
      if (!known) this.#counter?.inc({ code })
      const { _httpMessage: response } = connection
      const exchange = response === null || response === undefined || hasHead(response) ? undefined : exchangeOf(response)
      if (exchange !== undefined) readStatus(connection, (status) => { exchange.told = status })
    } catch (error) {
      this.#failed(error)
    }
  }
}
