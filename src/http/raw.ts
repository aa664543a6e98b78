import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2'

export type RawRequest = IncomingMessage | Http2ServerRequest
export type RawResponse = ServerResponse | Http2ServerResponse

/** The way a request came in. It decides how the exchange may end. */
export type Arrival = 'http1' | 'http2' | 'upgrade' | 'inject'
