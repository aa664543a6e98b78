import type { Http2ServerRequest } from 'node:http2'
import type { FastifyReply } from 'fastify'
import { shadow } from '../shadow.js'
import type { RawRequest, RawResponse } from './exchange.js'

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
export function requestBytes (request: RawRequest, counted: BodyCount | undefined): number | undefined {
  const said = request.headers['content-length']
  if (said === undefined && counted === undefined) return 0
  if (!(request.complete || request.readableEnded)) return undefined
  return counted === undefined ? lengthOf(said) : counted.bytes
}

/** Bytes of the body of a response that was sent whole; undefined for a stream of unknown length. */
export function responseBytes (method: string, status: number, raw: RawResponse, reply: FastifyReply | undefined): number | undefined {
  return method === 'HEAD' || status === 204 || status === 304 || status < 200 ? 0 : knownLength(raw, reply)
}

/**
 * The length that a response says of its body; undefined where it says none.
 * `_contentLength` is where Node keeps the length it was given in writeHead or found in end(): neither shows in getHeader().
 */
export function knownLength (raw: RawResponse, reply: FastifyReply | undefined): number | undefined {
  return lengthOf(reply?.getHeader('content-length')) ?? lengthOf(raw.getHeader('content-length')) ??
    lengthOf((raw as { _contentLength?: unknown })._contentLength)
}

function lengthOf (said: unknown): number | undefined {
  if (typeof said !== 'string' && typeof said !== 'number') return undefined
  const bytes = Number(said)
  return Number.isSafeInteger(bytes) && bytes >= 0 ? bytes : undefined
}
