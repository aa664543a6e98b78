import type { Http2ServerRequest } from 'node:http2'
import { shadow } from '../instrumentation/index.js'
import type { RawRequest } from './raw.js'

/** Counts the bytes of a body whose length no header tells. */
export class BodyCount {
  bytes = 0

  /** Counts from now on; undefined for a request without a body, or with a header that tells its length. */
  static of (request: RawRequest): BodyCount | undefined {
    if (request.headers['content-length'] !== undefined) return undefined
    const hasBody = request.httpVersionMajor === 2 ? !(request as Http2ServerRequest).stream.endAfterHeaders : request.headers['transfer-encoding'] !== undefined
    return hasBody ? new BodyCount(request) : undefined
  }

  // A 'data' listener would start the flow before the application reads. So the bytes are counted where Node's parser
  // hands the chunks in.
  private constructor (request: RawRequest) {
    const { push } = request
    shadow(request, 'push', (chunk: Buffer | string | null, encoding?: BufferEncoding) => {
      if (chunk !== null) this.bytes += Buffer.byteLength(chunk)
      return push.call(request, chunk, encoding)
    })
  }
}
