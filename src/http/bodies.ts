import type { Http2ServerRequest } from 'node:http2'
import { shadow } from '../instrumentation/shadow.js'
import type { Exchange, RawRequest } from './exchange.js'

/** Counts the bytes of a body that comes without a length said before. */
export class BodyCount {
  bytes = 0

  /** Counts from now on; undefined where the request has no body or says its length. */
  static of (request: RawRequest): BodyCount | undefined {
    if (request.headers['content-length'] !== undefined) return undefined
    const hasBody = request.httpVersionMajor === 2 ? !(request as Http2ServerRequest).stream.endAfterHeaders : request.headers['transfer-encoding'] !== undefined
    return hasBody ? new BodyCount(request) : undefined
  }

  // A 'data' listener would start the flow before the application reads, so the count sits where Node's parser hands chunks in.
  private constructor (request: RawRequest) {
    const { push } = request
    shadow(request, 'push', (chunk: Buffer | string | null, encoding?: BufferEncoding) => {
      if (chunk !== null) this.bytes += Buffer.byteLength(chunk)
      return push.call(request, chunk, encoding)
    })
  }
}

/** Bytes of the body of a request; undefined while it has not all arrived, so that a length only claimed is not believed. */
export function requestBytes ({ headers, incoming, body }: Exchange): number | undefined {
  const said = headers['content-length']
  if (said === undefined && body === undefined) return 0
  if (!(incoming.complete || incoming.readableEnded)) return undefined
  return body === undefined ? lengthOf(said) : body.bytes
}

/** Bytes of the body of a response that was sent whole; undefined for a stream of unknown length. */
export function responseBytes (method: string, status: number, exchange: Exchange): number | undefined {
  return method === 'HEAD' || status === 204 || status === 304 || status < 200 ? 0 : knownLength(exchange)
}

/**
 * The length that a response says of its body; undefined where it says none.
 * `_contentLength` is where Node keeps the length it was given in writeHead or found in end(): neither shows in getHeader().
 */
function knownLength (exchange: Exchange): number | undefined {
  return lengthOf(responseHeader(exchange, 'content-length')) ?? lengthOf((exchange.raw as { _contentLength?: unknown })._contentLength)
}

/** A header of a response. An application may have put anything in place of what gives it. */
export function responseHeader ({ raw, reply }: Exchange, name: string): unknown {
  try {
    return reply?.getHeader(name) ?? raw.getHeader(name)
  } catch {
    return undefined
  }
}

function lengthOf (said: unknown): number | undefined {
  if (typeof said !== 'string' && typeof said !== 'number') return undefined
  const bytes = Number(said)
  return Number.isSafeInteger(bytes) && bytes >= 0 ? bytes : undefined
}
