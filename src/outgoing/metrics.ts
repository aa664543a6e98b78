import { metric } from '../catalogue.js'
import { OpenList } from '../instrumentation/index.js'
import type { Counter, Histogram, HistogramChild, Labels } from '../metrics/index.js'
import { OTHER } from './hosts.js'
import type { OutgoingScope } from './options.js'
import type { OutgoingRequest } from './request.js'

/** The methods of RFC 9110, PATCH (RFC 5789) and QUERY. */
const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH', 'QUERY'])

/** The families that outgoing requests are written to. */
export class OutgoingFamilies {
  readonly durations: Histogram<'method' | 'host' | 'status_code'>
  readonly errors: Counter<'method' | 'host' | 'type'>

  constructor (scope: OutgoingScope) {
    this.durations = metric('http_client_request_duration_seconds', scope, { buckets: scope.buckets })
    this.errors = metric('http_client_request_errors_total', scope)
  }
}

/** The requests to one host. */
export class HostMetrics {
  readonly inFlight = new OpenList<OutgoingRequest>()
  readonly #families: OutgoingFamilies
  /** By method, and by status. */
  readonly #durations = new Map<string, HistogramChild[]>()

  constructor (readonly host: string, families: OutgoingFamilies) {
    this.#families = families
  }

  answered (method: string, status: number, seconds: number, exemplar: Labels | undefined): void {
    let children = this.#durations.get(method)
    if (children === undefined) this.#durations.set(method, children = [])
    const child = children[status] ??= this.#families.durations.labels(method, this.host, String(status))
    child.observe(seconds, exemplar)
  }

  failed (method: string, type: string): void {
    this.#families.errors.inc({ method, host: this.host, type })
  }
}

/** The method as a label. Methods are case-sensitive, so a server does not know 'get'. */
export function methodOf (method: unknown): string {
  return typeof method === 'string' && METHODS.has(method) ? method : OTHER
}
