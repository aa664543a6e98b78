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

/** The status code of the duration of a request whose client left first, as nginx logs it. */
const CLIENT_CLOSED_REQUEST = 499
/** That of one whose connection the server closed without an answer, as nginx logs it. */
const NO_RESPONSE = 444
/** Milliseconds after which a request that is in flight may be one whose end was not heard. */
const OLD = 1000

/** What the books are kept with. */
export interface BooksSettings {
  readonly routes: RouteTable
  readonly families: HttpFamilies
  readonly labels: UserLabels
  readonly exemplars: Exemplars<FastifyRequest>
  /** Whether `received` comes before any other hook. */
  readonly first: boolean
  /** Told of an error of ours where no hook is there to catch it. */
  readonly failed: (error: unknown) => void
}

/**
 * The books: every request received is in flight until it is finished or aborted, once, whichever way it comes and goes.
 *
 * It is over at the response's 'close', which comes after the last byte or when the client left. `received` is Fastify's onRequest;
 * `answered` its onResponse, for those that an earlier hook answered; `arrived` any other sight of it, for those whose hooks have not run:
 * an earlier hook holds them, or Fastify answers without hooks (a malformed URL, a server that is closing).
 */
export class Exchanges implements Books {
  readonly #settings: BooksSettings
  readonly #onClose: (this: RawResponse) => void
  readonly #queues: PipelineQueues
  /** Those that no hook of ours has seen yet. */
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
    return this.#known(request, reply, this.#settings.exemplars.span())
  }

  answered (request: FastifyRequest, reply: FastifyReply): void {
    this.#known(request, reply, undefined)
  }

  arrived (request: RawRequest, raw: RawResponse): void {
    if (exchangeOf(raw) !== undefined) return
    const exchange = this.#follow(request, raw, performance.now(), this.#settings.exemplars.span())
    // At its end an HTTP/2 stream does not know its connection any more.
    exchange.secure = isEncrypted(exchange)
    this.#unrouted.add(exchange)
    // The end of these may be what shows them.
    if ((exchange.arrival === 'inject' || exchange.arrival === 'upgrade') && (raw.writableEnded || isClosed(exchange))) this.#closed(exchange)
  }

  threw (request: FastifyRequest, reply: FastifyReply, error: unknown): void {
    this.#known(request, reply, undefined).route?.threw(errorTypeOf(error))
  }

  /**
   * The handler has come to its end: it settled, or its response is finished. Never throws.
   * @param atMost seconds of the whole request, where it is over
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

  /** Ends what is over without anybody having heard of it: an application may take all listeners off a response. */
  sweep (): void {
    for (const exchange of this.#all()) if (isClosed(exchange)) this.#closed(exchange)
  }

  /** Ends all: the application is closed, and nothing more is answered. */
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

  #known (request: FastifyRequest, reply: FastifyReply, span: SpanContext | undefined): Exchange {
    let exchange = exchangeOf(reply.raw)
    if (exchange === undefined) exchange = this.#follow(request.raw, reply.raw, this.#settings.first ? performance.now() : 0, span)
    else if (exchange.over || exchange.route !== undefined) return exchange
    else if (span !== undefined) exchange.span = span
    this.#routed(exchange, request, reply)
    return exchange
  }

  #follow (request: RawRequest, raw: RawResponse, seenAt: number, span: SpanContext | undefined): Exchange {
    const arrival = arrivalOf(request, raw)
    const connection = arrival === 'http2' ? undefined : (request.socket ?? raw.socket ?? undefined) as Duplex | undefined
    const queued = arrival === 'http1' && raw.socket === null
    const exchange = new Exchange(this, request, raw, arrival, connection, seenAt, BodyCount.of(request), span, queued)
    raw.on('close', this.#onClose)
    if (queued && connection !== undefined) this.#queues.add(connection, raw)
    // Their connection stays, or there is none: 'close' may come late or not at all, and the caller of an inject() goes on before it.
    if (arrival === 'inject' || arrival === 'upgrade') raw.on('finish', this.#onClose)
    if (arrival === 'inject') injectedBody(raw)?.once('close', () => this.#closed(exchange))
    if (arrival === 'http2') watchStream(exchange)
    if (arrival === 'upgrade' && connection !== undefined) readStatus(connection, (status) => this.#upgraded(exchange, status))
    return exchange
  }

  #routed (exchange: Exchange, request: FastifyRequest, reply: FastifyReply): void {
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
    // What ended unheard is found when its route is used again, at the latest at the next scrape. Most are not old enough to be looked at.
    const { oldest } = route.inFlight
    if (oldest !== undefined && exchange.seenAt - oldest.seenAt > OLD && isClosed(oldest)) this.#closed(oldest)
    route.inFlight.add(exchange)
    route.received(request.protocol === 'https')
    if (route.ajax !== undefined && String(request.headers['x-requested-with']).toLowerCase() === 'xmlhttprequest') route.ajax.inc()
    if (route.longLived && exchange.arrival !== 'upgrade') this.#awaitHeaders(exchange)
  }

  /** A long-lived response is observed when its headers are sent. One that says how long it is is no stream. */
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
    // What is no socket, as in tests, may not say when the response is finished.
    process.nextTick(() => { if (exchange.raw.writableEnded) this.#closed(exchange) })
  }

  /** The headers of a long-lived response are sent: it is observed with the time until here, and from now on an open stream. Never throws. */
  #opened (exchange: Exchange, status: number): void {
    try {
      const { route } = exchange
      if (route === undefined || exchange.opened) return
      exchange.opened = route.streaming = true
      route.inFlight.delete(exchange)
      route.streams.add(exchange)
      const seconds = this.#observe(exchange, route, status)
      this.handled(exchange, seconds)
      // From now on its age is the one of the stream.
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
      // A client that leaves is how a stream ends.
      if (ending === 'incomplete' && exchange.told === 0) route.incomplete?.inc()
      return
    }
    const status = statusOf(exchange, ending)
    const seconds = this.#observe(exchange, route, status)
    if (ending === 'whole') this.#sent(exchange, route, status, seconds)
    else if (ending === 'left') route.aborted?.inc()
    else if (ending === 'incomplete') route.incomplete?.inc()
  }

  /** What is observed once a request, whichever way it ends. @returns how long it took, in seconds */
  #observe (exchange: Exchange, route: RouteMetrics<Exchange>, status: number): number {
    const { reply } = exchange
    const { seconds } = exchange
    const exemplar = this.#exemplarOf(exchange)
    route.finished(status, seconds, this.#settings.labels.of(exchange.request, reply), exemplar)
    this.#uploaded(exchange, route, exemplar)
    if (route.queueDuration !== undefined && exchange.request !== undefined) {
      const queued = queuedSeconds(exchange.headers, Date.now() - seconds * 1000)
      if (queued !== undefined) route.queueDuration.observe(queued, exemplar)
    }
    if (exchange.usage !== undefined) {
      route.dbQueries?.observe(exchange.usage.queries, exemplar)
      route.dbDuration?.observe(exchange.usage.seconds, exemplar)
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

  /** The size of the body of the request, if it has arrived. Of one that was answered before its end was read, Node says so only in a later turn. */
  #uploaded (exchange: Exchange, { requestSize }: Pick<RouteMetrics<Exchange>, 'requestSize'>, exemplar: Labels | undefined, later = false): void {
    if (requestSize === undefined) return
    const bytes = requestBytes(exchange)
    if (bytes !== undefined) requestSize.observe(bytes, exemplar)
    else if (!later && exchange.raw.writableFinished) setImmediate(() => this.#uploaded(exchange, { requestSize }, exemplar, true))
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
