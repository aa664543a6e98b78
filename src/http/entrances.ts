import type { IncomingMessage, ServerResponse } from 'node:http'
import type { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { shadowMethod } from '../instrumentation/index.js'
import { keptIn } from './kept.js'
import type { RawRequest, RawResponse } from './raw.js'
import type { Refusals } from './refusals.js'

/**
 * The description of Fastify's symbol for the servers that it listens on beside its own: `localhost` is two addresses.
 */
const BINDINGS = 'fastify.serverBindings'

/** light-my-request's result of an inject() without a callback. */
interface InjectChain {
  dispatch?: (request: RawRequest, response: RawResponse) => unknown
}

/**
 * Calls `arrived` with every request that comes to a Fastify instance, also with those that no hook sees: a malformed
 * URL, a parameter that is too long, a constraint that fails, a server that is closing. Requests come in through its
 * server, the second server of `localhost`, `routing()` (upgrades) and `inject()`.
 * @param arrived called after Fastify had the request, if possible; it must not throw
 */
export function watchEntrances (fastify: FastifyInstance, arrived: (request: RawRequest, response: RawResponse) => void, refusals: Refusals): void {
  fastify.server.on('request', arrived)
  // Fastify always has a listener. Without one Node answers itself, and a listener of ours would stop it from
  // answering.
  if (fastify.server.listenerCount('clientError') > 0) {
    fastify.server.prependListener('clientError', (error: Error, connection: Socket) => refusals.refused(error, connection))
  }

  fastify.addHook('onListen', (done) => {
    for (const server of bindingsOf(fastify)) {
      server.on('request', arrived)
      shadowMethod(server, 'emit', (emit) => function (this: unknown, ...args: unknown[]) {
        if (args[0] === 'clientError') refusals.refused(args[1] as Error, args[2] as Socket)
        return emit.apply(this, args)
      })
    }
    done()
  })

  shadowMethod(fastify, 'routing', (routing) => function (this: unknown, ...args: unknown[]) {
    const result = routing.apply(this, args)
    arrived(args[0] as IncomingMessage, args[1] as ServerResponse)
    return result
  })

  shadowMethod(fastify, 'inject', (inject) => function (this: unknown, ...args: unknown[]) {
    const callback = args[1]
    if (typeof callback === 'function') {
      args[1] = function (this: unknown, ...answer: unknown[]) {
        const { raw } = (answer[1] ?? {}) as { raw?: { req?: RawRequest, res?: RawResponse } }
        if (raw?.req !== undefined && raw.res !== undefined) arrived(raw.req, raw.res)
        return callback.apply(this, answer)
      }
      return inject.apply(this, args)
    }
    const chain = inject.apply(this, args) as InjectChain | undefined
    const dispatch = chain?.dispatch
    if (chain !== undefined && typeof dispatch === 'function') {
      chain.dispatch = function (request, response) {
        // 'close' comes after the hooks, and before the caller goes on.
        response.once('close', () => arrived(request, response))
        return dispatch.call(this, request, response)
      }
    }
    return chain
  })
}

function bindingsOf (fastify: FastifyInstance): EventEmitter[] {
  const bindings = keptIn(fastify, BINDINGS)
  return Array.isArray(bindings) ? bindings : []
}
