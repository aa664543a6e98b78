import type { Http2ServerResponse, ServerHttp2Stream } from 'node:http2'
import type { Readable } from 'node:stream'
import { shadowMethod } from '../instrumentation/index.js'
import type { Exchange } from './exchange.js'
import type { Arrival, RawRequest, RawResponse } from './raw.js'

/** How a request came. */
export function arrivalOf (request: RawRequest, raw: RawResponse): Arrival {
  if ((raw as { isLightMyRequest?: unknown }).isLightMyRequest === true) return 'inject'
  if (request.httpVersionMajor === 2) return 'http2'
  // Node says of each of its own requests whether it is an upgrade; an upgrade that a test makes up says nothing.
  const { upgrade } = request as { upgrade?: unknown }
  return upgrade === true || (upgrade === undefined && request.headers.upgrade !== undefined) ? 'upgrade' : 'http1'
}

/** The body of an injected response that is asked for as a stream, where light-my-request keeps it. */
export function injectedBody (raw: RawResponse): Readable | undefined {
  return (raw as { _lightMyRequest?: { stream?: Readable } })._lightMyRequest?.stream
}

/** Whether a request came over TLS, where no hook says it. */
export function isEncrypted ({ arrival, incoming, connection }: Exchange): boolean {
  const from = arrival === 'http2' ? (incoming as { stream?: { session?: object } }).stream?.session : connection
  return (from as { encrypted?: unknown } | undefined)?.encrypted === true
}

/** Sees what an HTTP/2 stream does not tell afterwards: that the server reset it, and that the server answered after its client had. */
export function watchStream (exchange: Exchange): void {
  const { stream } = exchange.raw as Http2ServerResponse
  shadowMethod(stream, 'close', (close) => function (this: unknown, ...args) {
    // Node closes all streams of a connection that is gone.
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
