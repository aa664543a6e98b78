import type { Exchange } from './exchange.js'

/**
 * Bytes of the body of a request; undefined until all of it has arrived, so that a claimed length alone does not count.
 */
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
 * The length that a response gives for its body; undefined when it gives none. Node keeps a length that was passed to
 * writeHead or found in end() in `_contentLength`: neither shows in getHeader().
 */
function knownLength (exchange: Exchange): number | undefined {
  return lengthOf(responseHeader(exchange, 'content-length')) ?? lengthOf((exchange.raw as { _contentLength?: unknown })._contentLength)
}

/** A header of a response. The application may have replaced the functions that are called here. */
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
