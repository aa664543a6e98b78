import { shadowMethod, type OutgoingRecorder, type OutgoingRequest } from '../../src/adapter.js'
import { listen } from './listeners.js'

export const CREATED = 'undici:request:create'

/** Where a request of undici keeps ours. Finding it in a WeakMap takes more than all the rest. */
const OURS = Symbol('fastify-prometheus.outgoing')

/** undici's Request (undici/lib/core/request.js) as this adapter sees it: one try to get one answer from one origin. */
interface UndiciRequest {
  [OURS]?: OutgoingRequest | undefined
  readonly origin: string | URL
  readonly method: string
  /** The Host header that the caller has set. */
  readonly host?: string | null
  /** The protocol that the connection shall be upgraded to. */
  readonly upgrade?: string | null
}

/** What the channels tell: those of undici's docs/api/DiagnosticsChannel.md. */
interface Message {
  readonly request: UndiciRequest
  readonly response?: { readonly statusCode: number }
  readonly error?: unknown
}

/** Observes each request of undici in this process, of every copy. @returns a function that ends that */
export function observeUndici (recorder: OutgoingRecorder): () => void {
  return listen<Message>({
    [CREATED]: ({ request }) => {
      const { origin, method, host, upgrade } = request
      const ours = request[OURS] = recorder.began(method, typeof origin === 'string' ? origin : String(origin), host)
      // Most versions do not tell of an answer that makes the connection a tunnel.
      if (ours !== undefined && (method === 'CONNECT' || upgrade)) watchUpgrade(recorder, request, ours)
    },
    // The last of several: those of 1xx come first.
    'undici:request:headers': ({ request: { [OURS]: ours }, response }) => {
      if (ours !== undefined && response !== undefined) ours.status = response.statusCode
    },
    'undici:request:trailers': ({ request: { [OURS]: ours } }) => {
      if (ours !== undefined) recorder.answered(ours, ours.status)
    },
    'undici:request:error': ({ request: { [OURS]: ours }, error }) => {
      if (ours !== undefined) recorder.failed(ours, error)
    }
  })
}

function watchUpgrade (recorder: OutgoingRecorder, request: UndiciRequest, ours: OutgoingRequest): void {
  try {
    shadowMethod(request, 'onUpgrade', (onUpgrade) => function (...args) {
      recorder.answered(ours, Number(args[0]))
      return Reflect.apply(onUpgrade, this, args)
    })
  } catch (error) {
    recorder.report(error)
  }
}
