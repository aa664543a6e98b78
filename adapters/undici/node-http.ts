import type { EventEmitter } from 'node:events'
import type { OutgoingRecorder, OutgoingRequest } from '../../src/adapter.js'
import { listen } from './listeners.js'

/** Where a request of node:http keeps ours. */
const OURS = Symbol('fastify-prometheus.outgoing')

/** Node's ClientRequest as this adapter sees it. */
interface ClientRequest extends EventEmitter {
  [OURS]?: Outgoing | undefined
  readonly method: string
  readonly protocol: string
  readonly host: string
  readonly res?: IncomingMessage | null
  getHeader (name: string): unknown
}

interface IncomingMessage extends EventEmitter {
  readonly statusCode: number
  /** Whether the whole answer has come. */
  readonly complete: boolean
  readonly errored?: unknown
}

interface Message {
  readonly request: ClientRequest
  readonly response?: IncomingMessage
  readonly error?: unknown
}

/** What is known of one request. */
interface Outgoing {
  readonly request: OutgoingRequest
  error: unknown
}

/** Who ends a request without an error, as a client that destroys the answer, has aborted it. */
const ABORTED = { code: 'ABORT_ERR' }

const PORT = /^:\d{1,5}$/

/** Observes each request of node:http and node:https in this process. @returns a function that ends that */
export function observeNodeHttp (recorder: OutgoingRecorder): () => void {
  const began = ({ request }: Message) => {
    if (request[OURS] !== undefined) return
    try {
      const header = request.getHeader('host')
      const ours = recorder.began(request.method, originOf(request, header), header)
      if (ours === undefined) return
      const outgoing: Outgoing = request[OURS] = { request: ours, error: undefined }
      // Both closes come once, and once() costs more.
      request.on('close', () => { over(recorder, outgoing, request.res) })
    } catch (error) {
      recorder.report(error)
    }
  }
  return listen<Message>({
    // Node tells this from 22.12 on.
    'http.client.request.created': began,
    // And this once the request has a connection.
    'http.client.request.start': began,
    'http.client.request.error': ({ request, error }) => {
      const outgoing = request[OURS]
      if (outgoing !== undefined) outgoing.error ??= error
    },
    // The head of the answer has come, whatever this channel is called. The connection may close long after its end.
    'http.client.response.finish': ({ request: { [OURS]: outgoing }, response }) => {
      if (outgoing !== undefined) response?.on('close', () => { over(recorder, outgoing, response) })
    }
  })
}

function over (recorder: OutgoingRecorder, { request, error }: Outgoing, response: IncomingMessage | null | undefined): void {
  // An answer that switches protocols has no end.
  if (response && (response.complete || response.statusCode === 101 || request.method === 'CONNECT')) recorder.answered(request, response.statusCode)
  else recorder.failed(request, error ?? response?.errored ?? ABORTED)
}

/** The origin of a request. Only its Host header tells the port, and that is whatever the application has set. */
function originOf ({ protocol, host }: ClientRequest, header: unknown): string {
  const address = host.includes(':') && !host.startsWith('[') ? `[${host}]` : host
  const named = typeof header === 'string' && header.startsWith(`${address}:`) && PORT.test(header.slice(address.length))
  return `${protocol}//${named ? header : address}`
}
