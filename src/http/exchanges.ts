import { performance } from 'node:perf_hooks'
import type { Duplex } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { errorTypeOf, OpenList, shadowMethod, type Exemplars, type SpanContext } from '../instrumentation/index.js'
import type { Labels } from '../metrics/index.js'
import { arrivalOf, injectedBody, isEncrypted, watchStream } from './arrival.js'
import { requestBytes, responseBytes, responseHeader } from './bodies.js'
import { BodyCount } from './body-count.js'
import { endingOf, hasHead, isClosed, statusTold, type Ending } from './endings.js'
import { Exchange, exchangeOf, type Books } from './exchange.js'
import type { HttpFamilies } from './families.js'
import { charsetOf, queuedSeconds } from './headers.js'
import { PipelineQueues } from './pipeline-queues.js'
import type { RawRequest, RawResponse } from './raw.js'
import type { RouteMetrics } from './route-metrics.js'
import type { RouteTable } from './routes.js'
import type { UserLabels } from './user-labels.js'
import { readStatus, SWITCHING_PROTOCOLS } from './wire.js'

/** The status code of a request whose client left first, as nginx logs it. */
const CLIENT_CLOSED_REQUEST = 499
/** The status code of a request whose connection the server closed without an answer, as nginx logs it. */
const NO_RESPONSE = 444
/** Node's own, taken when this module is loaded: a test's fake clock would keep what waits for it from being observed. */
const { setImmediate } = globalThis
/** Milliseconds after which a request in flight may be over although its end was missed. */
const OLD = 1000

/** The parts that the books are made with. */
export interface BooksSettings {
  readonly routes: RouteTable
  readonly families: HttpFamilies
  readonly labels: UserLabels
  readonly exemplars: Exemplars<FastifyRequest>
  /** Whether `received` is called before any other hook. */
  readonly first: boolean
  /** Called with an error of ours when no hook is there to catch it. */
  readonly failed: (error: unknown) => void
}

/**
 * The books: every request received is in flight until it is finished or aborted, once, in whatever way it comes and
 * ends.
 *
 * It is over at the response's 'close', which comes after the last byte or when the client has left. `received` is
 * Fastify's onRequest. `answered` is its onResponse, for requests that an earlier hook answered. `arrived` is any other
 * sight of a request, when its hooks have not run: an earlier hook holds it, or Fastify answers without hooks (a
 * malformed URL, a server that is closing).
 */
export class Exchanges implements Books {
  readonly #settings: BooksSettings
  readonly #onClose: (this: RawResponse) => void
  readonly #queues: PipelineQueues
  /** The exchanges that no hook of ours has seen yet. */
  readonly #unrouted = new OpenList<Exchange>()

  constructor (settings: BooksSettings) {
    this.#settings = settings
    const closed = (exchange: Exchange) => this.#closed(exchange)
    this.#onClose = function (this: RawResponse) {
      const exchange = exchangeOf(this)
      if (exchange !== undefined && !exchange.over) closed(exchange)
    }
    this.#queues = new PipelineQueues(this.#onClose)
  }

  received (request: FastifyRequest, reply: FastifyReply): Exchange {
    return this.#findOrFollow(request, reply, this.#settings.exemplars.span())
  }

  answered (request: FastifyRequest, reply: FastifyReply): void {
    this.#findOrFollow(request, reply, undefined)
  }

  arrived (request: RawRequest, raw: RawResponse): void {
    if (exchangeOf(raw) !== undefined) return
    const exchange = this.#follow(request, raw, performance.now(), this.#settings.exemplars.span())
    // Read now, because at its end an HTTP/2 stream no longer knows its connection.
    exchange.secure = isEncrypted(exchange)
    this.#unrouted.add(exchange)
    // Injected requests and upgrades may be seen for the first time at their end.
    if ((exchange.arrival === 'inject' || exchange.arrival === 'upgrade') && (raw.writableEnded || isClosed(exchange))) this.#closed(exchange)
  }

  threw (request: FastifyRequest, reply: FastifyReply, error: unknown): void {
    this.#findOrFollow(request, reply, undefined).route?.threw(errorTypeOf(error))
  }

  /**
   * The handler has ended: its promise has settled, or its response is finished. Never throws.
   * @param atMost the seconds of the whole request, if it is over
   */
  handled (exchange: Exchange, atMost = Infinity): void {
    if (exchange.handlerStart === 0) return
    try {
      const seconds = Math.max(0, Math.min((performance.now() - exchange.handlerStart) / 1000, atMost))
      exchange.handlerStart = 0
      exchange.route?.handlerDuration?.observe(seconds, this.#exemplarOf(exchange))
    } catch (error) {
      this.#settings.failed(error)
    }
  }

  /** The handler has taken the response away from Fastify, and may write to the connection itself. Never throws. */
  hijacked (exchange: Exchange): void {
    const { connection, raw, arrival } = exchange
    if (arrival !== 'http1' || connection === undefined || hasHead(raw)) return
    if (connection.writableEnded) exchange.cut = true
    else readStatus(connection, (status) => { if (!hasHead(raw) && !connection.readableEnded) exchange.told = status })
  }

  /**
   * Ends the exchanges that are over although their end was missed: an application may remove all listeners of a
   * response.
   */
  sweep (): void {
    for (const exchange of this.#all()) if (isClosed(exchange)) this.#closed(exchange)
  }

  /** Ends all exchanges: the application is closed, and answers nothing more. */
  close (): void {
    for (const exchange of this.#all()) this.#closed(exchange)
  }

  * #all (): Generator<Exchange> {
    yield * this.#unrouted
    for (const { inFlight, streams } of this.#settings.routes) {
      yield * inFlight
      yield * streams
    }
  }

  #findOrFollow (request: FastifyRequest, reply: FastifyReply, span: SpanContext | undefined): Exchange {
    let exchange = exchangeOf(reply.raw)
    if (exchange === undefined) exchange = this.#follow(request.raw, reply.raw, this.#settings.first ? performance.now() : 0, span)
    else if (exchange.over || exchange.route !== undefined) return exchange
    else if (span !== undefined) exchange.span = span
    this.#assignRoute(exchange, request, reply)
    return exchange
  }

  #follow (request: RawRequest, raw: RawResponse, seenAt: number, span: SpanContext | undefined): Exchange {
    const arrival = arrivalOf(request, raw)
    const connection = arrival === 'http2' ? undefined : (request.socket ?? raw.socket ?? undefined) as Duplex | undefined
    const queued = arrival === 'http1' && raw.socket === null
    const exchange = new Exchange(this, request, raw, arrival, connection, seenAt, BodyCount.of(request), span, queued)
    raw.on('close', this.#onClose)
    if (queued && connection !== undefined) this.#queues.add(connection, raw)
    // An upgrade's connection stays open, and an inject() has none: 'close' may come late or not at all. The caller of
    // an inject() goes on before it.
    if (arrival === 'inject' || arrival === 'upgrade') raw.on('finish', this.#onClose)
    if (arrival === 'inject') injectedBody(raw)?.once('close', () => this.#closed(exchange))
    if (arrival === 'http2') watchStream(exchange)
    if (arrival === 'upgrade' && connection !== undefined) readStatus(connection, (status) => this.#upgraded(exchange, status))
    return exchange
  }

  #assignRoute (exchange: Exchange, request: FastifyRequest, reply: FastifyReply): void {
    const route = this.#settings.routes.of(request)
    exchange.list?.delete(exchange)
    if (route === undefined) {
      exchange.over = true
      return
    }
    exchange.route = route
    exchange.request = request
    exchange.reply = reply
    if (!this.#settings.first) exchange.seenAt = 0
    // An exchange whose end was missed is found when its route is used again, at the latest at the next scrape. Most
    // exchanges are too young to be checked.
    const { oldest } = route.inFlight
    if (oldest !== undefined && exchange.seenAt - oldest.seenAt > OLD && isClosed(oldest)) this.#closed(oldest)
    route.inFlight.add(exchange)
    route.received(request.protocol === 'https')
    if (route.ajax !== undefined && String(request.headers['x-requested-with']).toLowerCase() === 'xmlhttprequest') route.ajax.inc()
    if (route.longLived && exchange.arrival !== 'upgrade') this.#awaitHeaders(exchange)
  }

  /** Observes a long-lived response when its headers are sent. A response that gives its length is no stream. */
  #awaitHeaders (exchange: Exchange): void {
    const stop = shadowMethod(exchange.raw, 'writeHead', (original) => (...args) => {
      stop()
      const result = original.apply(exchange.raw, args)
      const { statusCode } = exchange.raw
      if (!exchange.over && statusCode < 300 && responseBytes(exchange.route?.method ?? '', statusCode, exchange) === undefined) this.#opened(exchange, statusCode)
      return result
    })
  }

  #upgraded (exchange: Exchange, status: number): void {
    if (exchange.over) return
    exchange.told = status
    if (status === SWITCHING_PROTOCOLS) return this.#opened(exchange, status)
    // A connection that is no socket, as in tests, may not tell when the response is finished.
    process.nextTick(() => { if (exchange.raw.writableEnded) this.#closed(exchange) })
  }

  /**
   * The headers of a long-lived response are sent. Its duration ends here, and from now on it is an open stream. Never
   * throws.
   */
  #opened (exchange: Exchange, status: number): void {
    try {
      const { route } = exchange
      if (route === undefined || exchange.opened) return
      exchange.opened = route.streaming = true
      route.inFlight.delete(exchange)
      route.streams.add(exchange)
      const seconds = this.#observe(exchange, route, status)
      this.handled(exchange, seconds)
      // From now on its age is the age of the stream.
      exchange.seenAt = performance.now()
      if (status !== SWITCHING_PROTOCOLS) route.streamed?.inc()
    } catch (error) {
      this.#settings.failed(error)
    }
  }

  /** Never throws. */
  #closed (exchange: Exchange): void {
    try {
      if (exchange.over) return
      if (exchange.route === undefined) {
        exchange.route = this.#settings.routes.unmatched(exchange.incoming.method ?? '')
        exchange.route?.received(exchange.secure)
      }
      this.#end(exchange)
    } catch (error) {
      this.#settings.failed(error)
    }
  }

  #end (exchange: Exchange): void {
    const { route, connection, raw } = exchange
    exchange.over = true
    exchange.list?.delete(exchange)
    if (exchange.queued && connection !== undefined) this.#queues.delete(connection, raw)
    if (route === undefined) return
    const ending = endingOf(exchange)
    if (exchange.opened) {
      // A stream ends normally when its client leaves.
      if (ending === 'incomplete' && exchange.told === 0) route.incomplete?.inc()
      return
    }
    const status = statusOf(exchange, ending)
    const seconds = this.#observe(exchange, route, status)
    if (ending === 'whole') this.#sent(exchange, route, status, seconds)
    else if (ending === 'left') route.aborted?.inc()
    else if (ending === 'incomplete') route.incomplete?.inc()
  }

  /** Writes what is observed once for each request, however it ends. @returns the duration of the request in seconds */
  #observe (exchange: Exchange, route: RouteMetrics<Exchange>, status: number): number {
    const { reply } = exchange
    const { seconds } = exchange
    const exemplar = this.#exemplarOf(exchange)
    route.finished(status, seconds, this.#settings.labels.of(exchange.request, reply), exemplar)
    this.#observeUpload(exchange, route, exemplar)
    if (route.queueDuration !== undefined && exchange.request !== undefined) {
      const queued = queuedSeconds(exchange.headers, Date.now() - seconds * 1000)
      if (queued !== undefined) route.queueDuration.observe(queued, exemplar)
    }
    if (exchange.usage !== undefined) {
      route.dbQueries?.observe(exchange.usage.queries, exemplar)
      route.dbDuration?.observe(exchange.usage.seconds, exemplar)
      route.outgoingRequests?.observe(exchange.usage.requests, exemplar)
      route.outgoingDuration?.observe(exchange.usage.requestSeconds, exemplar)
    }
    return seconds
  }

  #sent (exchange: Exchange, route: RouteMetrics<Exchange>, status: number, seconds: number): void {
    this.handled(exchange, seconds)
    const length = responseBytes(route.method, status, exchange)
    if (length === undefined) route.streamed?.inc()
    else route.responseSize?.observe(length, this.#exemplarOf(exchange))
    this.#settings.families.http_responses_charset_total?.inc({ charset: charsetOf(responseHeader(exchange, 'content-type')) })
  }

  /**
   * Observes the size of the request's body, if the body has arrived. If the request was answered before the end of its
   * body was read, Node says only in a later turn that the body has arrived.
   */
  #observeUpload (exchange: Exchange, { requestSize }: Pick<RouteMetrics<Exchange>, 'requestSize'>, exemplar: Labels | undefined, later = false): void {
    if (requestSize === undefined) return
    const bytes = requestBytes(exchange)
    if (bytes !== undefined) requestSize.observe(bytes, exemplar)
    else if (!later && exchange.raw.writableFinished) setImmediate(() => this.#observeUpload(exchange, { requestSize }, exemplar, true))
  }

  #exemplarOf (exchange: Exchange): Labels | undefined {
    if (exchange.exemplar !== null) return exchange.exemplar
    const { span, request } = exchange
    if (span !== undefined) exchange.exemplar = this.#settings.exemplars.ofSpan(span)
    else exchange.exemplar = request === undefined ? undefined : this.#settings.exemplars.ofSource(request)
    return exchange.exemplar
  }
}

function statusOf (exchange: Exchange, ending: Ending): number {
  if (ending === 'left') return CLIENT_CLOSED_REQUEST
  if (ending === 'answered') return exchange.told
  return statusTold(exchange) || NO_RESPONSE
}
