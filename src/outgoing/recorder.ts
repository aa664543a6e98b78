import { performance } from 'node:perf_hooks'
import { metric } from '../catalogue.js'
import { QueryExemplars, Trouble, addOutgoing, currentUsage, secondsSince } from '../instrumentation/index.js'
import { failureTypeOf } from './failure.js'
import { Hosts } from './hosts.js'
import { HostMetrics, OutgoingFamilies, methodOf } from './metrics.js'
import { DEFAULT_MAX_HOSTS, type OutgoingScope } from './options.js'
import { OutgoingRequest } from './request.js'

/**
 * Writes what happens to outgoing HTTP requests to their metrics. An adapter calls it at each event of its client. No
 * method throws. Each request ends once: what is told after its end is ignored.
 */
export class OutgoingRecorder {
  readonly trouble: Trouble
  readonly #source: string
  readonly #families: OutgoingFamilies
  readonly #exemplars: QueryExemplars
  readonly #hosts: Hosts<HostMetrics>
  readonly #stops: ReadonlyArray<() => void>

  /**
   * @param scope from readOutgoingScope
   * @param source who reports trouble, the label `source` of metrics_instrumentation_errors_total: 'undici'
   * @throws MetricsError FP_ERR_METRIC_CONFLICT when the registry holds something else under one of the names
   */
  constructor (scope: OutgoingScope, source: string) {
    const { hosts, maxHosts = DEFAULT_MAX_HOSTS } = scope
    this.#source = source
    this.trouble = new Trouble(scope)
    this.#families = new OutgoingFamilies(scope)
    this.#exemplars = new QueryExemplars(scope)
    this.#hosts = new Hosts(hosts, maxHosts, (host) => new HostMetrics(host, this.#families), () => { warnOfHosts(maxHosts) })
    const inFlight = metric('http_client_requests_in_flight', scope)
    const oldest = metric('http_client_request_oldest_seconds', scope)
    this.#stops = [
      inFlight.addCallback(this.#shown(({ host, inFlight: { size } }) => { inFlight.inc({ host }, size) })),
      oldest.addCallback(this.#shown(({ host, inFlight: { oldest: first } }) => { oldest.atLeast({ host }, first === undefined ? 0 : secondsSince(first.at)) }))
    ]
  }

  /** Reports an error of the adapter itself: it is counted, and the first is logged. */
  report (error: unknown): void {
    this.trouble.report(this.#source, error)
  }

  /**
   * A request begins, in the async context of its caller.
   * @param origin scheme, host and port: 'https://api.example.com:8443'
   * @param hostHeader the request's Host header, if it has one of its own
   * @returns undefined when that cannot be recorded
   */
  began (method: unknown, origin: string, hostHeader?: unknown): OutgoingRequest | undefined {
    try {
      const host = this.#hosts.of(origin, hostHeader)
      const request = new OutgoingRequest(host, methodOf(method), performance.now(), currentUsage(), this.#exemplars.here())
      host.inFlight.add(request)
      return request
    } catch (error) {
      this.report(error)
      return undefined
    }
  }

  /** The whole answer has come. @param status of the answer */
  answered (request: OutgoingRequest, status: number): void {
    try {
      if (!request.isOpen) return
      const { host, method, exemplar } = request
      host.answered(method, status, this.#ended(request), exemplar)
    } catch (error) {
      this.report(error)
    }
  }

  /** There is no whole answer, and there will be none. */
  failed (request: OutgoingRequest, reason: unknown): void {
    try {
      if (!request.isOpen) return
      this.#ended(request)
      request.host.failed(request.method, failureTypeOf(reason))
    } catch (error) {
      this.report(error)
    }
  }

  /** Ends the gauges. Requests that are under way are not recorded any more. */
  end (): void {
    for (const stop of this.#stops) stop()
    for (const { inFlight } of this.#hosts.values()) for (const request of inFlight) inFlight.delete(request)
  }

  /** @returns how long the request took, in seconds */
  #ended (request: OutgoingRequest): number {
    request.list?.delete(request)
    const seconds = secondsSince(request.at)
    addOutgoing(request.usage, seconds)
    return seconds
  }

  #shown (show: (host: HostMetrics) => void): () => void {
    return () => {
      try {
        for (const host of this.#hosts.values()) show(host)
      } catch (error) {
        this.report(error)
      }
    }
  }
}

function warnOfHosts (max: number): void {
  process.emitWarning(`fastify-prometheus: outgoing requests have gone to ${max} hosts, and further ones are '_OTHER': ` +
    "name those that matter in the option 'hosts', such as '*.example.com'; this is not logged again", { code: 'FP_WARN_MAX_HOSTS' })
}
