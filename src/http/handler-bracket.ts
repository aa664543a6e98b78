import { subscribe, tracingChannel, unsubscribe } from 'node:diagnostics_channel'
import { performance } from 'node:perf_hooks'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { shadowMethod } from '../instrumentation/index.js'
import { exchangeOf, type Exchange } from './exchange.js'
import { symbolOf } from './kept.js'

type Handler = (request: FastifyRequest, reply: FastifyReply) => unknown
type Hook = (request: FastifyRequest, reply: FastifyReply, done: () => void) => unknown

/** Fastify's context of a route, which every request of the route has (fastify/lib/context.js). */
interface RouteContext {
  handler: Handler
  /** All preHandler hooks of the route, the hooks of its scopes first; null when there are none. */
  preHandler: Hook[] | null
}

/** The description of Fastify's symbol for the context of a request. */
const CONTEXT = 'fastify.context'
const CHANNEL = 'fastify-prometheus.handler'

/**
 * The hook returns this in place of calling `done`. Fastify takes it for a promise; its `then` calls the given function
 * in the same turn. So Fastify goes on after the hook has returned, and no hook of ours is on the stack of the handler.
 * `then(resolve, reject)` is `resolve.call(reject)`, and call() shows in no stack.
 */
const AT_ONCE = { then: Function.prototype.call.bind(Function.prototype.call) as (resolve: () => void, reject: unknown) => void }

/** Node's traceSync() puts the result of a handler in here. */
interface Outcome {
  result?: unknown
  error?: unknown
}

type Trace = (handler: Handler, outcome: Outcome, context: RouteContext, ...args: Parameters<Handler>) => unknown

const trace = traceOfNode() ?? traceOfOurs
const bracketed = new WeakSet<RouteContext>()
/** The exchanges whose handlers are on the stack, the innermost last: a handler may inject() a request. */
const running: Exchange[] = []

/**
 * Brackets the handler of a request's route, and nothing else, from this request on.
 *
 * A hook of ours is the last hook before the handler. Between that hook and the handler Fastify runs nothing of the
 * application. There the request has a copy of its route's context, in which the handler is the real handler inside
 * Node's traceSync(). So the application sees no wrapped handler, no function of ours is on the handler's stack, and
 * routes that were registered before the plugin are bracketed too. Fastify's own channel would need none of this. But a
 * subscriber of that channel makes Fastify set an error's status before the error handler runs
 * (fastify/lib/handle-request.js), in every Fastify of the process.
 * @returns whether Fastify keeps its routes where this code looks for them
 */
export function bracketHandler (request: FastifyRequest): boolean {
  const symbol = symbolOf(request, CONTEXT)
  const context = symbol === undefined ? undefined : (request as unknown as Record<symbol, RouteContext | undefined>)[symbol]
  if (symbol === undefined || typeof context?.handler !== 'function') return false
  if (bracketed.has(context)) return true
  bracketed.add(context)
  const hook = hookOf(symbol, context)
  if (context.preHandler === null) context.preHandler = [hook]
  else context.preHandler.push(hook)
  return true
}

function hookOf (symbol: symbol, context: RouteContext): Hook {
  const call: Handler = trace.bind(undefined, context.handler, {}, context)
  let next: { readonly exchange: Exchange, readonly contexts: Record<symbol, RouteContext> } | undefined
  const observed: RouteContext = Object.assign(Object.create(Object.getPrototypeOf(context)), context)
  Object.defineProperty(observed, 'handler', {
    get () {
      if (next === undefined) return context.handler
      const { exchange, contexts } = next
      next = undefined
      contexts[symbol] = context
      running.push(exchange)
      exchange.handlerStart = performance.now()
      return call
    }
  })
  return function (request, reply) {
    const contexts = request as unknown as Record<symbol, RouteContext>
    const exchange = exchangeOf(reply.raw)
    // Another copy of this package may have put its own context there already.
    if (exchange === undefined || exchange.over || contexts[symbol] !== context) return AT_ONCE
    next = { exchange, contexts }
    contexts[symbol] = observed
    return AT_ONCE
  }
}

/**
 * Node's traceSync(), which tells how a handler returned; undefined in a runtime whose tracing channels are missing or
 * silent.
 */
function traceOfNode (): Trace | undefined {
  const end = `tracing:${CHANNEL}:end`
  let isHeard = false
  const hear = () => { isHeard = true }
  try {
    const channel = tracingChannel<Outcome, Outcome>(CHANNEL)
    subscribe(end, hear)
    channel.traceSync(() => {}, {})
    unsubscribe(end, hear)
    if (!isHeard) return undefined
    subscribe(end, (outcome) => handlerReturned(outcome as Outcome))
    return channel.traceSync.bind(channel) as Trace
  } catch {
    return undefined
  }
}

/** The same without a channel: one function of ours is on the handler's stack then. */
function traceOfOurs (handler: Handler, outcome: Outcome, context: RouteContext, ...args: Parameters<Handler>): unknown {
  try {
    return (outcome.result = handler.apply(context, args))
  } catch (error) {
    outcome.error = error
    throw error
  } finally {
    handlerReturned(outcome)
  }
}

/**
 * A handler has returned. It ends when its promise settles. Without a promise, it ends now if the reply is sent. If it
 * answers later from a callback, it ends with its response.
 */
function handlerReturned (outcome: Outcome): void {
  const exchange = running.pop()
  if (exchange === undefined) return
  const { result } = outcome
  outcome.result = undefined
  if (exchange.reply?.sent === true && !exchange.raw.writableEnded) exchange.books.hijacked(exchange)
  // A second branch of the promise changes nothing, because Fastify takes its rejection.
  if (result instanceof Promise) {
    const settled = () => exchange.books.handled(exchange)
    result.then(settled, settled)
  } else if (result === undefined) {
    if (outcome.error !== undefined || hasAnswered(exchange)) exchange.books.handled(exchange)
    outcome.error = undefined
  } else if (isThenable(result)) observeThen(result, () => exchange.books.handled(exchange))
  else exchange.books.handled(exchange)
}

type Settle = (value: unknown) => unknown

/**
 * Observes the end of a thenable that is no promise. Such a thenable may be a query that runs at each call of its
 * `then`, so only the one call by Fastify is used.
 */
function observeThen (thenable: object, settled: () => void): void {
  const undo = shadowMethod(thenable, 'then', (then) => function (this: unknown, ...[fulfilled, rejected]: unknown[]) {
    undo()
    return then.call(this, (value: unknown) => {
      settled()
      return (fulfilled as Settle)(value)
    }, (error: unknown) => {
      settled()
      return (rejected as Settle)(error)
    })
  })
}

/** Whether Fastify takes a value for a promise. */
function isThenable (value: object | null): value is object {
  return value !== null && typeof (value as { then?: unknown }).then === 'function'
}

/**
 * Whether the response is on its way: it has ended, or a payload stream flows into it. The stream shows in the listener
 * that pipe() adds.
 */
function hasAnswered ({ raw }: Exchange): boolean {
  return raw.writableEnded || raw.listenerCount('unpipe') > 0
}
