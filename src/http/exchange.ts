import type { IncomingHttpHeaders } from 'node:http'
import { performance } from 'node:perf_hooks'
import type { Duplex } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { SpanContext, Open, OpenList, Usage } from '../instrumentation/index.js'
import type { Labels } from '../metrics/index.js'
import type { BodyCount } from './body-count.js'
import type { Arrival, RawRequest, RawResponse } from './raw.js'
import type { RouteMetrics } from './route-metrics.js'

const EXCHANGE = Symbol('fastify-prometheus.exchange')

/** The exchange that a response belongs to. */
export function exchangeOf (raw: object): Exchange | undefined {
  return (raw as { [EXCHANGE]?: Exchange })[EXCHANGE]
}

/** The part of the application's books that the handler of a request needs. */
export interface Books {
  handled (exchange: Exchange): void
  hijacked (exchange: Exchange): void
}

/** One request and its response, from when it is first seen until it is finished or aborted. */
export class Exchange implements Open<Exchange> {
  /** Undefined until a hook of the route has run, and for a route that is left out. */
  route: RouteMetrics<Exchange> | undefined = undefined
  request: FastifyRequest | undefined = undefined
  reply: FastifyReply | undefined = undefined
  /** performance.now() at the start of the handler, 0 while it is not running. */
  handlerStart = 0
  usage: Usage | undefined = undefined
  /** The labels of its exemplars; null until they are first asked for. */
  exemplar: Labels | null | undefined = null
  /** The status that was written to the connection itself and not through the response; 0 when none was. */
  told = 0
  /** Whether the server reset its HTTP/2 stream, or ended its connection without the response. */
  cut = false
  /** Whether its HTTP/2 stream was closed already when the server answered. */
  late = false
  /**
   * Whether the request came over TLS. It stays false when a hook saw the request first, because there Fastify tells
   * it.
   */
  secure = false
  /** The headers as they came: an application may take them off the request. */
  readonly headers: IncomingHttpHeaders
  /** Whether the exchange is long-lived and its headers are sent: it is observed already, and no longer in flight. */
  opened = false
  /** Whether the exchange is over, or is not to be followed: later events are ignored. */
  over = false
  /** The list that the exchange is in, and its neighbours there. */
  list: OpenList<Exchange> | undefined = undefined
  older: Exchange | undefined = undefined
  newer: Exchange | undefined = undefined

  /**
   * @param books the books that the exchange is in
   * @param connection the connection of HTTP/1 and upgrades, as it was at first sight: a proxy may take it off the
   * request
   * @param seenAt performance.now() when the request was first seen; 0 when Fastify has seen it earlier, and tells how
   * long it took
   * @param queued whether the response waits behind another response on the same connection
   */
  constructor (
    readonly books: Books, readonly incoming: RawRequest, readonly raw: RawResponse, readonly arrival: Arrival, readonly connection: Duplex | undefined,
    public seenAt: number, readonly body: BodyCount | undefined, public span: SpanContext | undefined, readonly queued: boolean
  ) {
    this.headers = incoming.headers
    ;(raw as { [EXCHANGE]?: Exchange })[EXCHANGE] = this
  }

  /** Seconds since the request came in, never negative: a test may install or remove a fake clock meanwhile. */
  get seconds (): number {
    const milliseconds = this.seenAt === 0 && this.reply !== undefined ? this.reply.elapsedTime : performance.now() - this.seenAt
    return Math.max(0, milliseconds / 1000)
  }
}
