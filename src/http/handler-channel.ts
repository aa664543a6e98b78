import { performance } from 'node:perf_hooks'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { exchangeOf, type Exchange } from './exchanges.js'

/** What Fastify publishes on `tracing:fastify.request.handler:*` (fastify/lib/handle-request.js, preHandlerCallback). */
interface HandlerMessage {
  request: FastifyRequest
  reply: FastifyReply
  /** Whether the handler returned a promise. */
  async: boolean
}

const CHANNEL = 'tracing:fastify.request.handler'
const IS_ERROR = 'fastify.reply.isError'

const listeners = {
  start (exchange: Exchange) {
    exchange.handlerStart = performance.now()
  },
  error (exchange: Exchange, { async, reply }: HandlerMessage) {
    // A preHandler hook that failed is published too, only there with the reply already marked: its handler never ran.
    if (!async && isMarkedAsError(reply)) exchange.handlerStart = 0
  },
  end (exchange: Exchange, { async, reply }: HandlerMessage) {
    if (!async && hasAnswered(reply)) exchange.books.handled(exchange)
  },
  asyncStart (exchange: Exchange) {
    exchange.books.handled(exchange)
  }
}

const watchers = new Set<(error: unknown) => void>()
let unsubscribeAll: (() => void) | undefined

/**
 * Brackets the handler of a route, and nothing else, by Fastify's own channel, so that no handler is wrapped. It ends when its promise settles
 * or, without one, when it returns with the reply sent; a handler that answers later from a callback ends with its response.
 * The channel speaks for every Fastify of the process, so there is one subscription; an exchange knows whose it is.
 * @param failed told of an error of ours, which would otherwise end the process
 * @returns stops watching
 */
export function watchHandlers (failed: (error: unknown) => void): () => void {
  watchers.add(failed)
  unsubscribeAll ??= subscribeAll()
  return () => {
    if (!watchers.delete(failed) || watchers.size > 0) return
    unsubscribeAll?.()
    unsubscribeAll = undefined
  }
}

function subscribeAll (): () => void {
  const subscriptions = Object.entries(listeners).map(([event, listener]) => [`${CHANNEL}:${event}`, (message: unknown) => {
    try {
      const exchange = exchangeOf((message as HandlerMessage).reply.raw)
      if (exchange !== undefined) listener(exchange, message as HandlerMessage)
    } catch (error) {
      for (const failed of watchers) failed(error)
    }
  }] as const)
  for (const [channel, listener] of subscriptions) subscribe(channel, listener)
  return () => {
    for (const [channel, listener] of subscriptions) unsubscribe(channel, listener)
  }
}

/** Whether the response is on its way: ended, or a payload stream flowing into it, which shows in pipe()'s own listener. */
function hasAnswered (reply: FastifyReply): boolean {
  return reply.raw.writableEnded || reply.raw.listenerCount('unpipe') > 0
}

let isError: symbol | undefined

function isMarkedAsError (reply: FastifyReply): boolean {
  isError ??= Object.getOwnPropertySymbols(reply).find((symbol) => symbol.description === IS_ERROR)
  return isError !== undefined && (reply as unknown as Record<symbol, unknown>)[isError] === true
}
