import type { IncomingHttpHeaders } from 'node:http'
import { performance } from 'node:perf_hooks'
import type { Duplex } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { SpanContext, Open, OpenList, DatabaseUsage } from '../instrumentation/index.js'
import type { Labels } from '../metrics/index.js'
import type { BodyCount } from './body-count.js'
import type { Arrival, RawRequest, RawResponse } from './raw.js'
import type { RouteMetrics } from './route-metrics.js'

const EXCHANGE = Symbol('fastify-prometheus.exchange')

/** The exchange that a response belongs to. */
export function exchangeOf (raw: object): Exchange | undefined {
  return (raw as { [EXCHANGE]?: Exchange })[EXCHANGE]
}

/** The books of an application, as the handler of a request needs them. */
export interface Books {
  handled (exchange: Exchange): void
  hijacked (exchange: Exchange): void
}

/** One request and its response, from the first sight of it until it is finished or aborted. */
export class Exchange implements Open<Exchange> {
  /** Not there while no hook of the route ran, and where the route is left out. */
  route: RouteMetrics<Exchange> | undefined = undefined
  request: FastifyRequest | undefined = undefined
  reply: FastifyReply | undefined = undefined
  /** performance.now() at the start of the handler, 0 while it is not running. */
  handlerStart = 0
  usage: DatabaseUsage | undefined = undefined
  /** The labels of its exemplars; null while nobody has asked. */
  exemplar: Labels | null | undefined = null
  /** The status that was written to the connection itself and not through the response; 0 where none was. */
  told = 0
  /** Whether the server reset its HTTP/2 stream, or ended its connection without the response. */
  cut = false
  /** Whether its HTTP/2 stream was closed already when the server answered. */
  late = false
  /** Whether it came over TLS; false where a hook has seen it first, for Fastify says it there. */
  secure = false
  /** As they came: an application may take them off the request. */
  readonly headers: IncomingHttpHeaders
  /** Whether it is long-lived and its headers are sent: it is observed, and no longer in flight. */
  opened = false
  /** Whether it is over, or need not be followed: later events are of no interest. */
  over = false
  /** The list it is in, and its neighbours there. */
  list: OpenList<Exchange> | undefined = undefined
  older: Exchange | undefined = undefined
  newer: Exchange | undefined = undefined

  /**
   * @param books the books it is in
   * @param connection of HTTP/1 and upgrades, as it was at first sight: a proxy may take it off the request
   * @param seenAt performance.now() when it was first seen; 0 where Fastify has seen it earlier, and says how long it took
   * @param queued whether its response waits behind another's on the same connection
   */
  constructor (
    readonly books: Books, readonly incoming: RawRequest, readonly raw: RawResponse, readonly arrival: Arrival, readonly connection: Duplex | undefined,
    public seenAt: number, readonly body: BodyCount | undefined, public span: SpanContext | undefined, readonly queued: boolean
  ) {
    this.headers = incoming.headers
    ;(raw as { [EXCHANGE]?: Exchange })[EXCHANGE] = this
  }

  /** Seconds since it came. A clock of a test's may be put in or taken out meanwhile. */
  get seconds (): number {
    const milliseconds = this.seenAt === 0 && this.reply !== undefined ? this.reply.elapsedTime : performance.now() - this.seenAt
    return Math.max(0, milliseconds / 1000)
  }
}
