import type { EventEmitter } from 'node:events'
import type { OutgoingRecorder, OutgoingRequest } from '../../src/adapter.js'
import { listen } from './listeners.js'

/** Where a request of node:http keeps ours. */
const OURS = Symbol('fastify-prometheus.outgoing')

/** Node's ClientRequest as this adapter sees it. */
interface ClientRequest extends EventEmitter {
  [OURS]?: OutgoingRequest | undefined
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

/** Who ends a request without an error, as a client that destroys the answer, has aborted it. */
const ABORTED = { code: 'ABORT_ERR' }

const PORT = /^:\d{1,5}$/

/** Observes each request of node:http and node:https in this process. @returns a function that ends that */
export function observeNodeHttp (recorder: OutgoingRecorder): () => void {
  const began = ({ request }: Message) => {
    if (request[OURS] !== undefined) return
    try {
      const header = request.getHeader('host')
      const ours = request[OURS] = recorder.began(request.method, originOf(request, header), header)
      // Both closes come once, and once() costs more.
      if (ours !== undefined) request.on('close', () => { over(recorder, ours, request.res) })
    } catch (error) {
      recorder.report(error)
    }
  }
  return listen<Message>({
    // Node tells this from 22.12 on.
    'http.client.request.created': began,
    // And this once the request has a connection.
    'http.client.request.start': began,
    // Where an error is thrown, because nobody listens, there is no close.
    'http.client.request.error': ({ request: { [OURS]: ours, res }, error }) => {
      if (ours !== undefined) over(recorder, ours, res, error)
    },
    // The head of the answer has come, whatever this channel is called. The connection may close long after its end.
    'http.client.response.finish': ({ request: { [OURS]: ours }, response }) => {
      if (ours !== undefined) response?.on('close', () => { over(recorder, ours, response) })
    }
  })
}

function over (recorder: OutgoingRecorder, ours: OutgoingRequest, response: IncomingMessage | null | undefined, error?: unknown): void {
  // An answer that switches protocols has no end.
  if (response && (response.complete || response.statusCode === 101 || ours.method === 'CONNECT')) recorder.answered(ours, response.statusCode)
  else recorder.failed(ours, error ?? response?.errored ?? ABORTED)
}

/** The origin of a request. Only its Host header tells the port, and that is whatever the application has set. */
function originOf ({ protocol, host }: ClientRequest, header: unknown): string {
  const address = host.includes(':') && !host.startsWith('[') ? `[${host}]` : host
  const named = typeof header === 'string' && header.startsWith(`${address}:`) && PORT.test(header.slice(address.length))
  return `${protocol}//${named ? header : address}`
}
