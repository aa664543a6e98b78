import { STATUS_CODES, type OutgoingMessage } from 'node:http'
import { constants, type Http2ServerResponse, type ServerHttp2Stream } from 'node:http2'
import type { Duplex } from 'node:stream'
import { injectedBody } from './arrival.js'
import type { Exchange } from './exchange.js'
import type { RawResponse } from './raw.js'

/**
 * How an exchange ended: its response went out whole; the server answered on the connection itself (a refused body, a request timeout);
 * the client left first; or the server broke its response off (a stream that failed, a connection it closed).
 */
export type Ending = 'whole' | 'answered' | 'left' | 'incomplete'

/** Bun keeps no head to read a status from, and no word that it was sent but the public one. */
const KEEPS_HEAD = process.versions['bun'] === undefined
const NO_ERROR = constants.NGHTTP2_NO_ERROR
/** By status, in an array, which is read faster than Node's object. */
const REASONS: ReadonlyArray<string | undefined> = Array.from({ length: 600 }, (_, status) => STATUS_CODES[status])

/** How an exchange ended whose response is closed. An application may have put anything in place of what is asked here. */
export function endingOf (exchange: Exchange): Ending {
  try {
    if (isWhole(exchange)) return 'whole'
    if (exchange.told > 0) return 'answered'
    return clientLeft(exchange) ? 'left' : 'incomplete'
  } catch {
    return 'incomplete'
  }
}

/** Whether a response is over though its 'close' was not heard: the application may take all listeners off. */
export function isClosed ({ arrival, raw, connection }: Exchange): boolean {
  if (arrival === 'http2') return streamOf(raw as Http2ServerResponse)?.destroyed !== false
  return (raw as OutgoingMessage & { closed?: boolean }).closed === true || raw.destroyed || connection?.destroyed === true
}

/** The status that the client was told; 0 where none was sent. What the application sets after the headers are sent, the client does not see. */
export function statusTold (exchange: Exchange): number {
  const { arrival, raw, told } = exchange
  if (arrival === 'http2') return Number(streamOf(raw as Http2ServerResponse)?.sentHeaders?.[':status'] ?? 0)
  // What inject() gives is the response's status when it ended.
  if (arrival === 'inject') return hasHead(raw) || raw.writableEnded ? validStatus(raw.statusCode) : 0
  if (!KEEPS_HEAD) return raw.headersSent ? validStatus(raw.statusCode) : told
  return isHeadSent(raw) ? statusIn(raw) : told
}

/** Node keeps whether it has begun to send the head. What still waits for its connection was not sent. */
function isHeadSent (raw: RawResponse): boolean {
  return hasHead(raw) && (raw as { _headerSent?: unknown })._headerSent === true && !((raw as { outputSize?: number }).outputSize !== 0 && raw.socket === null)
}

/** The status in the head that was sent, 'HTTP/1.1 200 OK\r\n'. */
function statusIn (raw: RawResponse): number {
  try {
    // Node puts the reason beside the status as it sends them. To read the head itself takes longer.
    const { statusCode } = raw
    if (raw.statusMessage === REASONS[statusCode]) return statusCode
  } catch {
    // The application has put something else there.
  }
  const { _header: head } = raw as unknown as { _header: string }
  return validStatus((head.charCodeAt(9) - 48) * 100 + (head.charCodeAt(10) - 48) * 10 + head.charCodeAt(11) - 48)
}

/** Whether an HTTP/1 response has its head. `headersSent` is not asked: @fastify/express puts a getter of its own over it. */
export function hasHead (raw: object): boolean {
  return typeof (raw as { _header?: unknown })._header === 'string'
}

/** The response was sent to its end: not if its stream was reset, or its connection broke with the last of it unsent. */
function isWhole ({ arrival, raw, connection, late }: Exchange): boolean {
  if (arrival === 'http2') {
    const stream = streamOf(raw as Http2ServerResponse)
    return stream !== undefined && stream.headersSent && stream.writableFinished && stream.rstCode === NO_ERROR && !stream.aborted && !late
  }
  if (arrival !== 'http1') return raw.writableEnded
  return raw.writableFinished && !(connection !== undefined && isLost(connection))
}

/** Whether it was the client that ended an exchange, and not the server. */
function clientLeft ({ arrival, incoming, raw, connection, cut }: Exchange): boolean {
  // An injected request is destroyed by the signal that it was given, and its answer by who reads it.
  if (arrival === 'inject') return incoming.destroyed || injectedBody(raw)?.destroyed === true
  if (arrival === 'http2') {
    const stream = streamOf(raw as Http2ServerResponse)
    if (stream === undefined || cut) return false
    if (stream.errored !== null) {
      const { code } = stream.errored as NodeJS.ErrnoException
      // Of a reset, of a GOAWAY, and of the connection, which ends its session too.
      return code === 'ERR_HTTP2_STREAM_ERROR' || code === 'ERR_HTTP2_SESSION_ERROR' || (isNetworkError(stream.errored) && stream.session?.destroyed !== false)
    }
    // Node ends a stream that its client resets, or has the code of the reset; a stream that the server destroys has neither.
    return stream.writableFinished || stream.rstCode !== NO_ERROR
  }
  if (connection === undefined || cut) return false
  if (connection.readableEnded) return true
  // A response that is destroyed with an error gives it to the connection.
  const { errored } = connection
  return errored instanceof Error && errored !== (raw as { errored?: Error | null }).errored && isNetworkError(errored)
}

/** Whether a client broke a connection with something left to send. One that the server closes after the last byte looks the same otherwise. */
function isLost (connection: Duplex): boolean {
  return connection.destroyed && !connection.writableFinished && (connection.readableEnded || (connection.errored instanceof Error && isNetworkError(connection.errored)))
}

/** Whether an error is of reading from a connection or writing to it, and not one that the application destroyed it with. */
function isNetworkError (error: Error): boolean {
  const { code, syscall } = error as NodeJS.ErrnoException
  return syscall === 'read' || syscall === 'write' || code === 'ECONNRESET' || code === 'EPIPE'
}

/** The stream of a response; undefined where a caller took it away. */
function streamOf (raw: Http2ServerResponse): ServerHttp2Stream | undefined {
  return raw.stream as ServerHttp2Stream | undefined
}

function validStatus (status: unknown): number {
  return typeof status === 'number' && Number.isInteger(status) && status >= 100 && status <= 999 ? status : 0
}
