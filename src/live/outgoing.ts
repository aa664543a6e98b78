import { Chart } from './chart.js'
import { Flow } from './flow.js'
import type { History, Step } from './history.js'
import { present, type LabelValues, type Tap } from './intake.js'
import { Level } from './level.js'
import type { SummaryItem } from './shape.js'
import { summaryItem } from './summary.js'

/** The hosts that have lines of their own: those of the first requests. The rest is one line together. */
export const CHARTED = 8
/** The hosts that are judged apart: as many as the instrumentation names. */
export const MOST_HOSTS = 100
/** The name of all that came later. */
const REST = 'all others'
/** The host of requests to those that the instrumentation does not name (src/outgoing/hosts.ts). */
const UNNAMED = '_OTHER'

/** The application gave the request up itself: as in the alert OutgoingRequestErrors (examples/prometheus/rules/recordings.js). */
export const CANCELED = /^(AbortError|ABORT_ERR|ERR_CANCELED|UND_ERR_ABORT(ED)?)$/

/** What is known of the requests to a host. */
export interface Host {
  readonly name: string
  /** The name of its line. */
  readonly shown: string
  /** All but those that the application gave up. */
  readonly all: Flow
  /** Without an answer, or answered 5xx. */
  readonly failed: Flow
  /** Answered, and neither 5xx nor an upgrade. */
  readonly served: Flow
  readonly oldest: Level
}

/** What goes to other services. */
export class Outgoing {
  readonly #history: History
  readonly #hosts = new Map<string, Host>()
  readonly #all: Flow
  readonly #failed: Flow
  readonly #requests: Chart
  readonly #latency: Chart
  readonly #share: Chart
  readonly #failures: Chart
  readonly #inFlight: Chart
  readonly #oldest: Chart

  constructor (history: History) {
    this.#history = history
    this.#all = history.flow(new Flow())
    this.#failed = history.flow(new Flow())
    const chart = (id: string, title: string, unit: Chart['settings']['unit'], help: string, kind: 'line' | 'area' = 'line') =>
      new Chart(history, { id: `outgoing.${id}`, section: 'outgoing', title, unit, kind, of: 'all', help })
    this.#requests = chart('requests', 'Outgoing requests', 'per second', 'Requests to other services that were answered or failed, by host.', 'area')
    this.#latency = chart('latency', 'Outgoing latency, p95', 'seconds', 'From the request to the last byte of the answer, by host.')
    this.#share = chart('failed', 'Outgoing failed', 'ratio', 'The share of the requests to a host that got no whole answer, or one that says 5xx. If it rises for one host, it is them.')
    this.#failures = chart('failures', 'Outgoing failures', 'per second', 'Answers that say 5xx, and requests without a whole answer, by type. aborted are those that this service gave up itself: they are neither answered nor failed.', 'area')
    this.#inFlight = chart('in_flight', 'Outgoing in flight', 'number', 'Requests to other services under way, by host.')
    this.#oldest = chart('oldest', 'Oldest outgoing request', 'seconds', 'Age of the oldest request under way, by host. What hangs is in no latency.')
  }

  get taps (): Readonly<Record<string, Tap>> {
    return {
      http_client_request_duration_seconds: (labels) => {
        const { status_code: status = '' } = labels
        const isFailure = status.startsWith('5')
        const { shown, served } = this.#of(labels)
        const latency = this.#latency.flow(shown, (step, own) => step.quantile(own, 0.95))
        return [...this.#ended(labels, isFailure), latency, ...isFailure ? [this.#failures.flow('5xx')] : status.startsWith('1') ? [] : [served]]
      },
      http_client_request_errors_total: (labels) => {
        const { type = '' } = labels
        return CANCELED.test(type) ? [this.#failures.flow('aborted')] : [...this.#ended(labels, true), this.#failures.flow(type)]
      },
      http_client_requests_in_flight: (labels) => present(this.#inFlight.level(this.#of(labels).shown)),
      http_client_request_oldest_seconds: (labels) => {
        const { shown, oldest } = this.#of(labels)
        return [...present(this.#oldest.level(shown, 'max')), oldest]
      }
    }
  }

  /** Those that have a name: of the rest nobody could say whom it is about. */
  get hosts (): Host[] {
    return [...this.#hosts.values()].filter(({ name }) => name !== REST)
  }

  get charts (): Chart[] {
    return [this.#requests, this.#latency, this.#share, this.#failures, this.#inFlight, this.#oldest].filter(({ isEmpty }) => !isEmpty)
  }

  summary (minute: Step): SummaryItem[] {
    const rate = minute.rate(this.#all)
    if (rate === undefined) return []
    return [
      summaryItem('outgoing', 'Outgoing', 'per second', rate),
      summaryItem('outgoing_failed', 'Outgoing failed', 'ratio', minute.share(this.#failed, this.#all))
    ]
  }

  /** The flows of all requests that were answered or failed, and of those that failed. */
  #ended (labels: LabelValues, isFailure: boolean): Flow[] {
    const { shown, all, failed } = this.#of(labels)
    const requests = this.#requests.flow(shown)
    const failures = this.#share.flow(shown, (step, own) => step.share(own, requests))
    return [requests, all, this.#all, ...isFailure ? [failures, failed, this.#failed] : []]
  }

  #of ({ host = '' }: LabelValues): Host {
    const isNamed = host !== UNNAMED && (this.#hosts.has(host) || this.#hosts.size < MOST_HOSTS)
    const name = isNamed ? host : REST
    const known = this.#hosts.get(name)
    if (known !== undefined) return known
    const [all, failed, served] = Array.from({ length: 3 }, () => this.#history.flow(new Flow())) as [Flow, Flow, Flow]
    const made = { name, shown: this.#hosts.size < CHARTED ? name : REST, all, failed, served, oldest: new Level('max') }
    this.#hosts.set(name, made)
    return made
  }
}
