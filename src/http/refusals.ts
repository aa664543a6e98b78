import type { OutgoingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { FamilyOf } from '../catalogue.js'
import { hasHead } from './endings.js'
import { exchangeOf } from './exchange.js'
import { readStatus } from './wire.js'

/** What Node's server keeps on a connection (node/lib/_http_server.js). */
interface Connection extends Socket {
  /** The response that is being answered. */
  _httpMessage?: OutgoingMessage | null
  parser?: { incoming?: { complete?: boolean } | null } | null
}

/** Codes of what is refused, and not of a connection that is lost: those of the parser (llhttp), and of Node's server. */
const REFUSED = /^(HPE|ERR_HTTP)_[A-Z0-9_]{1,60}$/

/**
 * What Node's parser refuses: a malformed request, one whose headers are too large, one that does not come in time. Where Fastify has the request already, the
 * status that is written to the connection is the one of its exchange; else it is counted here, for nothing else hears of it.
 */
export class Refusals {
  readonly #counter: FamilyOf<'http_client_errors_total'> | undefined
  readonly #failed: (error: unknown) => void
  readonly #seen = new WeakSet<Socket>()

  constructor (counter: FamilyOf<'http_client_errors_total'> | undefined, failed: (error: unknown) => void) {
    this.#counter = counter
    this.#failed = failed
  }

  /** Before the server's 'clientError' is told to anybody else. Never throws. */
  refused (error: NodeJS.ErrnoException, connection: Connection): void {
    try {
      const { code } = error
      if (typeof code !== 'string' || !REFUSED.test(code) || this.#seen.has(connection)) return
      this.#seen.add(connection)
      // The client closed it in the middle of a body: it left, and whatever is written now does not reach it.
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
