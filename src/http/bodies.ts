import type { IncomingMessage, ServerResponse } from 'node:http'
import { constants, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2'
import type { Socket } from 'node:net'
import type { FastifyReply } from 'fastify'

export type RawRequest = IncomingMessage | Http2ServerRequest
export type RawResponse = ServerResponse | Http2ServerResponse

const NO_ERROR = constants.NGHTTP2_NO_ERROR

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
    request.push = (chunk: Buffer | string | null, encoding?: BufferEncoding) => {
      if (chunk !== null) this.bytes += Buffer.byteLength(chunk)
      return push.call(request, chunk, encoding)
    }
  }
}

/** Bytes of the body of a request; undefined while it has not all arrived, so that a length only claimed is not believed. */
export function requestBytes (request: RawRequest, counted: BodyCount | undefined): number | undefined {
  const said = request.headers['content-length']
  if (said === undefined && counted === undefined) return 0
  if (!(request.complete || request.readableEnded)) return undefined
  return counted === undefined ? lengthOf(said) : counted.bytes
}

/**
 * Bytes of the body of a response that was sent whole; undefined for a stream of unknown length.
 * `_contentLength` is where Node keeps the length it was given in writeHead or found in end(): neither shows in getHeader().
 */
export function responseBytes (method: string, raw: RawResponse, reply: FastifyReply | undefined): number | undefined {
  const status = raw.statusCode
  if (method === 'HEAD' || status === 204 || status === 304 || status < 200) return 0
  return lengthOf(reply?.getHeader('content-length')) ?? lengthOf(raw.getHeader('content-length')) ??
    lengthOf((raw as { _contentLength?: unknown })._contentLength)
}

/** Whether a response that is closed went out to its end: not if its stream was reset, or its connection broke with the last of it unsent. */
export function isWhole (request: RawRequest, raw: RawResponse): boolean {
  if ('stream' in raw) return raw.stream.writableFinished && raw.stream.rstCode === NO_ERROR
  return isInjected(raw) ? raw.writableEnded : raw.writableFinished && !isLost(request.socket)
}

/** Whether it is the response of an inject(): it has no connection, and whoever awaits it goes on before its 'close'. */
export function isInjected (raw: RawResponse): boolean {
  return (raw as { isLightMyRequest?: unknown }).isLightMyRequest === true
}

/** Whether a connection is gone with something left to send. */
function isLost (connection: Socket): boolean {
  return connection.destroyed && !connection.writableFinished
}

function lengthOf (said: unknown): number | undefined {
  if (typeof said !== 'string' && typeof said !== 'number') return undefined
  const bytes = Number(said)
  return Number.isSafeInteger(bytes) && bytes >= 0 ? bytes : undefined
}
