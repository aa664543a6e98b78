import { performance } from 'node:perf_hooks'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { errorTypeOf } from '../error-type.js'
import type { Exemplars, SpanContext } from '../exemplars.js'
import type { Labels } from '../metrics/index.js'
import type { DatabaseUsage } from '../usage.js'
import { BodyCount, isInjected, isWhole, requestBytes, responseBytes, type RawRequest, type RawResponse } from './bodies.js'
import type { HttpFamilies } from './families.js'
import { charsetOf, queuedSeconds } from './headers.js'
import { PipelineQueues } from './pipeline-queues.js'
import type { RouteMetrics, RouteTable } from './routes.js'
import type { UserLabels } from './user-labels.js'

const EXCHANGE = Symbol('fastify-prometheus.exchange')

/** The status code of the duration of a request whose client left first, as nginx logs it. */
const CLIENT_CLOSED_REQUEST = 499
const SWITCHING_PROTOCOLS = 101

/** One request and its response, from the first sight of it until it is finished or aborted. */
export interface Exchange {
  /** The books it is in. */
  readonly books: Exchanges
  /** Not there while no hook of the route ran, and where the route is left out. */
  route: RouteMetrics | undefined
  request: FastifyRequest | undefined
  reply: FastifyReply | undefined
  /** performance.now() when it was first seen; 0 where Fastify has seen it earlier, and says how long it took. */
  seenAt: number
  readonly body: BodyCount | undefined
  /** performance.now() at the start of the handler, 0 while it is not running. */
  handlerStart: number
  usage: DatabaseUsage | undefined
  /** The span that was active when it was seen: at its end, another's is. */
  span: SpanContext | undefined
  /** The labels of its exemplars; null while nobody has asked. */
  exemplar: Labels | null | undefined
  /** Whether its response waits behind another's on the same connection. */
  readonly queued: boolean
  /** Whether it is over, or need not be followed: what comes after is of no interest. */
  over: boolean
}

type Followed = RawResponse & { [EXCHANGE]?: Exchange | undefined }

/** The exchange that a response belongs to. */
export function exchangeOf (raw: RawResponse): Exchange | undefined {
  return (raw as Followed)[EXCHANGE]
}

/**
 * The books: every request received is in flight until it is finished or aborted, once, whichever way it comes and goes.
 *
 * It is over at the response's 'close', which comes after the last byte or when the client left. `received` is Fastify's onRequest;
 * `answered` its onResponse, for those that an earlier hook answered; `arrived` the server's 'request' after Fastify had it, for those
 * whose hooks have not run: an earlier hook holds them, or Fastify answers without hooks (a malformed URL, a server that is closing).
 */
export class Exchanges {
  readonly #routes: RouteTable
  readonly #families: HttpFamilies
  readonly #labels: UserLabels
  readonly #exemplars: Exemplars<FastifyRequest>
  readonly #onClose: (this: RawResponse) => void
  readonly #queues: PipelineQueues
  readonly #first: boolean

  /**
   * @param first whether `received` comes before any other hook
   * @param failed told of an error of ours in what follows a response's 'close'
   */
  constructor (
    routes: RouteTable, families: HttpFamilies, labels: UserLabels, exemplars: Exemplars<FastifyRequest>, first: boolean, failed: (error: unknown) => void
  ) {
    this.#routes = routes
    this.#families = families
    this.#labels = labels
    this.#exemplars = exemplars
    this.#first = first
    const closed = (raw: Followed, exchange: Exchange) => this.#closed(raw, exchange)
    this.#onClose = function (this: Followed) {
      const exchange = this[EXCHANGE]
      if (exchange === undefined || exchange.over) return
      try {
        closed(this, exchange)
      } catch (error) {
        failed(error)
      }
    }
    this.#queues = new PipelineQueues(this.#onClose)
  }

  received (request: FastifyRequest, reply: FastifyReply): Exchange {
    return this.#known(request, reply, this.#exemplars.span())
  }

  answered (request: FastifyRequest, reply: FastifyReply): void {
    this.#known(request, reply, undefined)
  }

  arrived (request: RawRequest, raw: Followed): void {
    if (raw[EXCHANGE] === undefined) this.#follow(request, raw, performance.now(), this.#exemplars.span())
  }

  threw (request: FastifyRequest, reply: FastifyReply, error: unknown): void {
    const exchange = exchangeOf(reply.raw)
    const route = exchange?.route ?? (exchange?.over === true ? undefined : this.#routes.of(request))
    route?.threw(errorTypeOf(error))
  }

  /**
   * The handler has come to its end: it settled, or its response is finished.
   * @param atMost seconds of the whole request, where it is over
   */
  handled (exchange: Exchange, atMost = Infinity): void {
    if (exchange.handlerStart === 0) return
    const duration = exchange.route?.handlerDuration
    const seconds = Math.min((performance.now() - exchange.handlerStart) / 1000, atMost)
    exchange.handlerStart = 0
    duration?.observe(seconds, this.#exemplarOf(exchange))
  }

  #closed (raw: Followed, exchange: Exchange): void {
    const request = exchange.request?.raw ?? raw.req as RawRequest
    if (exchange.route === undefined) {
      exchange.route = this.#routes.unmatched(request.method ?? '')
      exchange.route?.received((request.socket as { encrypted?: unknown }).encrypted === true)
    }
    this.#end(exchange, request, raw, isWhole(request, raw))
  }

  #known (request: FastifyRequest, reply: FastifyReply, span: SpanContext | undefined): Exchange {
    const raw: Followed = reply.raw
    let exchange = raw[EXCHANGE]
    if (exchange === undefined) exchange = this.#follow(request.raw, raw, this.#first ? performance.now() : 0, span)
    else if (exchange.over || exchange.route !== undefined) return exchange
    else if (span !== undefined) exchange.span = span
    this.#routed(exchange, request, reply)
    return exchange
  }

  #follow (request: RawRequest, raw: Followed, seenAt: number, span: SpanContext | undefined): Exchange {
    const queued = raw.socket === null
    const exchange: Exchange = {
      books: this,
      route: undefined,
      request: undefined,
      reply: undefined,
      seenAt,
      body: BodyCount.of(request),
      handlerStart: 0,
      usage: undefined,
      span,
      exemplar: null,
      queued,
      over: false
    }
    raw[EXCHANGE] = exchange
    raw.on('close', this.#onClose)
    if (isInjected(raw)) raw.on('finish', this.#onClose)
    if (queued) this.#queues.add(request.socket, raw)
    return exchange
  }

  #routed (exchange: Exchange, request: FastifyRequest, reply: FastifyReply): void {
    const route = this.#routes.of(request)
    if (route === undefined) {
      exchange.over = true
      return
    }
    exchange.route = route
    exchange.request = request
    exchange.reply = reply
    if (!this.#first) exchange.seenAt = 0
    route.received(request.protocol === 'https')
    if (route.ajax !== undefined && String(request.headers['x-requested-with']).toLowerCase() === 'xmlhttprequest') route.ajax.inc()
  }

  #exemplarOf (exchange: Exchange): Labels | undefined {
    if (exchange.exemplar !== null) return exchange.exemplar
    const { span, request } = exchange
    if (span !== undefined) exchange.exemplar = this.#exemplars.ofSpan(span)
    else exchange.exemplar = request === undefined ? undefined : this.#exemplars.ofSource(request)
    return exchange.exemplar
  }

  #end (exchange: Exchange, request: RawRequest, raw: Followed, whole: boolean): void {
    exchange.over = true
    if (exchange.queued) this.#queues.delete(request.socket, raw)
    const { route, reply } = exchange
    if (route === undefined) return
    const seconds = (exchange.seenAt === 0 && reply !== undefined ? reply.elapsedTime : performance.now() - exchange.seenAt) / 1000
    const upgraded = !whole && (request as { upgrade?: unknown }).upgrade === true
    const status = whole ? raw.statusCode : upgraded ? SWITCHING_PROTOCOLS : CLIENT_CLOSED_REQUEST
    const exemplar = this.#exemplarOf(exchange)
    route.finished(status, seconds, this.#labels.of(exchange.request, reply), exemplar)
    const sent = route.requestSize === undefined ? undefined : requestBytes(request, exchange.body)
    if (sent !== undefined) route.requestSize?.observe(sent, exemplar)
    if (route.queueDuration !== undefined && exchange.request !== undefined) {
      const queued = queuedSeconds(request.headers, Date.now() - seconds * 1000)
      if (queued !== undefined) route.queueDuration.observe(queued, exemplar)
    }
    if (exchange.usage !== undefined) {
      route.dbQueries?.observe(exchange.usage.queries, exemplar)
      route.dbDuration?.observe(exchange.usage.seconds, exemplar)
    }
    if (whole) this.#sent(exchange, route, raw, seconds)
    else if (!upgraded) route.aborted?.inc()
  }

  #sent (exchange: Exchange, route: RouteMetrics, raw: Followed, seconds: number): void {
    this.handled(exchange, seconds)
    const length = responseBytes(exchange.request?.method ?? raw.req.method ?? '', raw, exchange.reply)
    if (length === undefined) route.streamed?.inc()
    else route.responseSize?.observe(length, this.#exemplarOf(exchange))
    this.#families.http_responses_charset_total?.inc({ charset: charsetOf(exchange.reply?.getHeader('content-type') ?? raw.getHeader('content-type')) })
  }
}
