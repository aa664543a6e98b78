import { OpenList, type Open } from '../instrumentation/index.js'
import type { CounterChild, HistogramChild, Labels } from '../metrics/index.js'
import type { HttpFamilies } from './families.js'

/** The metrics of one method of one route: its bound children, and its requests in flight. */
export class RouteMetrics<Exchange extends Open<Exchange>> {
  /** The requests received and not yet finished or aborted. */
  readonly inFlight = new OpenList<Exchange>()
  /** Long-lived responses whose headers are sent. */
  readonly streams = new OpenList<Exchange>()
  /** Whether the route has, or had, a long-lived response. */
  streaming: boolean
  readonly handlerDuration: HistogramChild | undefined
  readonly requestSize: HistogramChild | undefined
  readonly responseSize: HistogramChild | undefined
  readonly streamed: CounterChild | undefined
  readonly aborted: CounterChild | undefined
  readonly incomplete: CounterChild | undefined
  readonly ajax: CounterChild | undefined
  readonly queueDuration: HistogramChild | undefined
  readonly dbQueries: HistogramChild | undefined
  readonly dbDuration: HistogramChild | undefined
  readonly outgoingRequests: HistogramChild | undefined
  readonly outgoingDuration: HistogramChild | undefined
  readonly #http: CounterChild | undefined
  readonly #https: CounterChild | undefined
  readonly #durations: HistogramChild[] = []

  constructor (readonly method: string, readonly route: string, readonly longLived: boolean, private readonly families: HttpFamilies) {
    const labels = [method, route]
    this.streaming = longLived
    this.#http = families.http_requests_received_total?.labels(method, route, 'http')
    this.#https = families.http_requests_received_total?.labels(method, route, 'https')
    this.handlerDuration = families.http_handler_duration_seconds?.labels(...labels)
    this.requestSize = families.http_request_size_bytes?.labels(...labels)
    this.responseSize = families.http_response_size_bytes?.labels(...labels)
    this.streamed = families.http_responses_streamed_total?.labels(...labels)
    this.aborted = families.http_requests_aborted_total?.labels(...labels)
    this.aborted?.inc(0)
    this.incomplete = families.http_responses_incomplete_total?.labels(...labels)
    this.incomplete?.inc(0)
    this.ajax = families.http_requests_ajax_total?.labels(...labels)
    this.queueDuration = families.http_request_queue_duration_seconds?.labels(...labels)
    this.dbQueries = families.http_request_db_queries?.labels(...labels)
    this.dbDuration = families.http_request_db_duration_seconds?.labels(...labels)
    this.outgoingRequests = families.http_request_outgoing_requests?.labels(...labels)
    this.outgoingDuration = families.http_request_outgoing_duration_seconds?.labels(...labels)
  }

  received (secure: boolean): void {
    ;(secure ? this.#https : this.#http)?.inc()
  }

  /** @param extra the values of the user's labels; empty when there are no such labels */
  finished (status: number, seconds: number, extra: readonly string[], exemplar: Labels | undefined): void {
    const family = this.families.http_request_duration_seconds
    if (family === undefined) return
    if (extra.length > 0) return family.labels(this.method, this.route, String(status), ...extra).observe(seconds, exemplar)
    const child = this.#durations[status] ??= family.labels(this.method, this.route, String(status))
    child.observe(seconds, exemplar)
  }

  threw (type: string): void {
    this.families.http_exceptions_total?.inc({ type, method: this.method, route: this.route })
  }
}
