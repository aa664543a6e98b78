import type { Http2ServerResponse, ServerHttp2Stream } from 'node:http2'
import type { Readable } from 'node:stream'
import { shadowMethod } from '../instrumentation/index.js'
import type { Exchange } from './exchange.js'
import type { Arrival, RawRequest, RawResponse } from './raw.js'

/** The way a request came in. */
export function arrivalOf (request: RawRequest, raw: RawResponse): Arrival {
  if ((raw as { isLightMyRequest?: unknown }).isLightMyRequest === true) return 'inject'
  if (request.httpVersionMajor === 2) return 'http2'
  // Node sets `upgrade` on each of its own requests; on a request that a test makes up it is not set.
  const { upgrade } = request as { upgrade?: unknown }
  return upgrade === true || (upgrade === undefined && request.headers.upgrade !== undefined) ? 'upgrade' : 'http1'
}

/** The stream where light-my-request keeps the body of an injected response, when the caller asks for a stream. */
export function injectedBody (raw: RawResponse): Readable | undefined {
  return (raw as { _lightMyRequest?: { stream?: Readable } })._lightMyRequest?.stream
}

/** Whether a request came over TLS, for requests that no hook has seen. */
export function isEncrypted ({ arrival, incoming, connection }: Exchange): boolean {
  const from = arrival === 'http2' ? (incoming as { stream?: { session?: object } }).stream?.session : connection
  return (from as { encrypted?: unknown } | undefined)?.encrypted === true
}

/**
 * Notes two facts that an HTTP/2 stream does not tell afterwards: that the server reset it, and that the server
 * answered after the stream was closed.
 */
export function watchStream (exchange: Exchange): void {
  const { stream } = exchange.raw as Http2ServerResponse
  shadowMethod(stream, 'close', (close) => function (this: unknown, ...args) {
    // Node itself closes all streams of a connection that is gone.
    exchange.cut = exchange.cut || !isGone(stream)
    return close.apply(this, args)
  })
  shadowMethod(stream, 'respond', (respond) => function (this: unknown, ...args) {
    exchange.late = stream.closed
    return respond.apply(this, args)
  })
}

function isGone (stream: ServerHttp2Stream): boolean {
  try {
    return stream.session?.socket.destroyed !== false
  } catch {
    return true
  }
}
