import { STATUS_CODES, type OutgoingMessage } from 'node:http'
import { constants, type Http2ServerResponse, type ServerHttp2Stream } from 'node:http2'
import type { Duplex } from 'node:stream'
import { injectedBody } from './arrival.js'
import type { Exchange } from './exchange.js'
import type { RawResponse } from './raw.js'

/**
 * How an exchange ended. 'whole': its response was sent to its end. 'answered': the server answered on the connection
 * itself (a refused body, a request timeout). 'left': the client left first. 'incomplete': the server broke its
 * response off (a stream that failed, a connection that it closed).
 */
export type Ending = 'whole' | 'answered' | 'left' | 'incomplete'

/** Bun keeps no head to read a status from. Only the public `headersSent` tells that it was sent. */
const KEEPS_HEAD = process.versions['bun'] === undefined
const NO_ERROR = constants.NGHTTP2_NO_ERROR
/** The reason phrases by status. An array is read faster than Node's object. */
const REASONS: ReadonlyArray<string | undefined> = Array.from({ length: 600 }, (_, status) => STATUS_CODES[status])

/**
 * How an exchange ended, once its response is closed. The application may have replaced any property that is read here.
 */
export function endingOf (exchange: Exchange): Ending {
  try {
    if (isWhole(exchange)) return 'whole'
    if (exchange.told > 0) return 'answered'
    return clientLeft(exchange) ? 'left' : 'incomplete'
  } catch {
    return 'incomplete'
  }
}

/** Whether a response is over, even when its 'close' was missed: the application may remove all listeners. */
export function isClosed ({ arrival, raw, connection }: Exchange): boolean {
  if (arrival === 'http2') return streamOf(raw as Http2ServerResponse)?.destroyed !== false
  return (raw as OutgoingMessage & { closed?: boolean }).closed === true || raw.destroyed || connection?.destroyed === true
}

/**
 * The status that the client was sent; 0 when none was. The client does not see a status that the application sets
 * after the headers are sent.
 */
export function statusTold (exchange: Exchange): number {
  const { arrival, raw, told } = exchange
  if (arrival === 'http2') return Number(streamOf(raw as Http2ServerResponse)?.sentHeaders?.[':status'] ?? 0)
  // inject() gives its caller the status that the response had at its end.
  if (arrival === 'inject') return hasHead(raw) || raw.writableEnded ? validStatus(raw.statusCode) : 0
  if (!KEEPS_HEAD) return raw.headersSent ? validStatus(raw.statusCode) : told
  return isHeadSent(raw) ? statusIn(raw) : told
}

/** Node notes when it has begun to send the head. A head that still waits for its connection was not sent. */
function isHeadSent (raw: RawResponse): boolean {
  return hasHead(raw) && (raw as { _headerSent?: unknown })._headerSent === true && !((raw as { outputSize?: number }).outputSize !== 0 && raw.socket === null)
}

/** The status in the head that was sent, 'HTTP/1.1 200 OK\r\n'. */
function statusIn (raw: RawResponse): number {
  try {
    // When Node sends a status it sets the reason phrase too. Reading the status from the head takes longer.
    const { statusCode } = raw
    if (raw.statusMessage === REASONS[statusCode]) return statusCode
  } catch {
    // The application has replaced one of these properties.
  }
  const { _header: head } = raw as unknown as { _header: string }
  return validStatus((head.charCodeAt(9) - 48) * 100 + (head.charCodeAt(10) - 48) * 10 + head.charCodeAt(11) - 48)
}

/** Whether an HTTP/1 response has its head. `headersSent` is not read: @fastify/express puts its own getter over it. */
export function hasHead (raw: object): boolean {
  return typeof (raw as { _header?: unknown })._header === 'string'
}

/**
 * Whether the response was sent to its end: not if its stream was reset, or if its connection broke before the last
 * byte.
 */
function isWhole ({ arrival, raw, connection, late }: Exchange): boolean {
  if (arrival === 'http2') {
    const stream = streamOf(raw as Http2ServerResponse)
    return stream !== undefined && stream.headersSent && stream.writableFinished && stream.rstCode === NO_ERROR && !stream.aborted && !late
  }
  if (arrival !== 'http1') return raw.writableEnded
  return raw.writableFinished && !(connection !== undefined && isLost(connection))
}

/** Whether the client ended an exchange, and not the server. */
function clientLeft ({ arrival, incoming, raw, connection, cut }: Exchange): boolean {
  // An injected request is destroyed by the abort signal of its caller, and its response by the reader.
  if (arrival === 'inject') return incoming.destroyed || injectedBody(raw)?.destroyed === true
  if (arrival === 'http2') {
    const stream = streamOf(raw as Http2ServerResponse)
    if (stream === undefined || cut) return false
    if (stream.errored !== null) {
      const { code } = stream.errored as NodeJS.ErrnoException
      // The errors of a reset, of a GOAWAY, and of the connection, which ends its session too.
      return code === 'ERR_HTTP2_STREAM_ERROR' || code === 'ERR_HTTP2_SESSION_ERROR' || (isNetworkError(stream.errored) && stream.session?.destroyed !== false)
    }
    // For a stream that the client resets, Node ends it or sets the code of the reset. A stream that the server
    // destroys has neither.
    return stream.writableFinished || stream.rstCode !== NO_ERROR
  }
  if (connection === undefined || cut) return false
  if (connection.readableEnded) return true
  // A response that is destroyed with an error passes the error on to the connection.
  const { errored } = connection
  return errored instanceof Error && errored !== (raw as { errored?: Error | null }).errored && isNetworkError(errored)
}

/**
 * Whether a client broke a connection that had something left to send. A connection that the server closes after the
 * last byte looks the same otherwise.
 */
function isLost (connection: Duplex): boolean {
  return connection.destroyed && !connection.writableFinished && (connection.readableEnded || (connection.errored instanceof Error && isNetworkError(connection.errored)))
}

/** Whether an error comes from reading or writing on a connection, and not from an application that destroyed it. */
function isNetworkError (error: Error): boolean {
  const { code, syscall } = error as NodeJS.ErrnoException
  return syscall === 'read' || syscall === 'write' || code === 'ECONNRESET' || code === 'EPIPE'
}

/** The stream of a response; undefined when the application has taken it away. */
function streamOf (raw: Http2ServerResponse): ServerHttp2Stream | undefined {
  return raw.stream as ServerHttp2Stream | undefined
}

function validStatus (status: unknown): number {
  return typeof status === 'number' && Number.isInteger(status) && status >= 100 && status <= 999 ? status : 0
}
