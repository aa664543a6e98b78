import { Chart, drawQuantiles } from './chart.js'
import { Flow } from './flow.js'
import type { History, Step } from './history.js'
import { present, type LabelValues, type Sink, type Tap } from './intake.js'
import { Level } from './level.js'
import type { LeftOut, RouteName, RouteRow, SummaryItem } from './shape.js'
import { summaryItem } from './summary.js'

/** The routes that have charts from their first request on, and those that get them when somebody chooses them. */
export const CHARTED = 50
export const MOST_CHARTED = 70
/** The routes that the table can have. */
export const MOST_ROUTES = 200

/** What one request costs in the database, on average, where that is measured. */
const DATABASE = {
  databaseSeconds: { id: 'http.database', title: 'Time in the database', unit: 'seconds', help: 'Of a request, on average; queries at the same time add up.' },
  queries: { id: 'http.queries', title: 'Queries a request', unit: 'number', help: 'On average.' }
} as const

/** What is known of requests: of the service, or of a route. */
class Requests {
  readonly all: Flow
  readonly failed: Flow
  readonly inFlight: Level
  readonly oldest: Level
  /** What they cost in the database, where that is measured. */
  readonly costs = new Map<keyof typeof DATABASE, Flow>()
  readonly #history: History
  readonly #classes = new Map<string, Flow>()
  #charts: { readonly requests: Chart, readonly all: Chart[] } | undefined

  constructor (history: History) {
    this.#history = history
    this.all = history.flow(new Flow())
    this.failed = history.flow(new Flow())
    this.inFlight = history.level(new Level())
    this.oldest = history.level(new Level('max'))
  }

  get charts (): Chart[] | undefined {
    return this.#charts?.all
  }

  /** Draws it from now on. */
  draw (): void {
    const traffic = { section: 'traffic', of: 'all' } as const
    const requests = new Chart(this.#history, { ...traffic, id: 'http.requests', title: 'Requests', unit: 'per second', kind: 'area', help: 'Requests that ended, by the class of their status. 5xx has those that were never answered too; aborted are those whose client left first.' })
    const latency = new Chart(this.#history, { ...traffic, id: 'http.latency', title: 'Latency', unit: 'seconds', kind: 'line', help: 'Whole life of a request; upgrades are left out.' })
    const inFlight = new Chart(this.#history, { ...traffic, id: 'http.in_flight', title: 'In flight', unit: 'number', kind: 'line', help: 'Requests that are not answered yet.' })
    drawQuantiles(latency, this.all)
    inFlight.line('in flight', (step) => step.mean(this.inFlight))
    this.#charts = { requests, all: [requests, latency, inFlight] }
    for (const [name, flow] of this.#classes) this.#drawClass(name, flow)
    for (const cost of this.costs.keys()) this.#drawCost(cost)
  }

  /** The flows of a status. */
  ended (status: string): Sink[] {
    const name = classOf(status)
    let own = this.#classes.get(name)
    if (own === undefined) {
      own = this.#history.flow(new Flow())
      this.#classes.set(name, own)
      this.#drawClass(name, own)
    }
    // Below 200 is no answer: a connection that was upgraded.
    return [own, ...status.startsWith('1') ? [] : [this.all], ...isFailure(status) ? [this.failed] : []]
  }

  /** The share of the requests that failed; undefined where there was none. */
  errors (step: Step): number | undefined {
    return step.share(this.failed, this.all)
  }

  cost (cost: keyof typeof DATABASE): Flow {
    const known = this.costs.get(cost)
    if (known !== undefined) return known
    const flow = this.#history.flow(new Flow())
    this.costs.set(cost, flow)
    this.#drawCost(cost)
    return flow
  }

  #drawClass (name: string, flow: Flow): void {
    this.#charts?.requests.line(name, (step) => step.rate(flow))
  }

  #drawCost (cost: keyof typeof DATABASE): void {
    if (this.#charts === undefined) return
    const chart = new Chart(this.#history, { ...DATABASE[cost], section: 'traffic', kind: 'line', of: 'all' })
    chart.line('average', (step) => step.average(this.costs.get(cost)))
    this.#charts.all.push(chart)
  }
}

/** What goes over HTTP. */
export class Traffic {
  readonly service: Requests
  readonly #history: History
  readonly #routes = new Map<string, { readonly name: RouteName, readonly requests: Requests }>()
  readonly #streams: Chart
  readonly #oldest: Chart
  #charted = 0
  #hasMore = false

  constructor (history: History) {
    this.#history = history
    this.service = new Requests(history)
    this.service.draw()
    this.#oldest = new Chart(history, { id: 'http.oldest', section: 'traffic', title: 'Oldest request', unit: 'seconds', kind: 'line', of: 'all', help: 'Age of the oldest request that is not answered yet. What hangs is in no latency.' })
    this.#oldest.line('oldest', (step) => step.most(this.service.oldest))
    this.#streams = new Chart(history, { id: 'http.streams', section: 'traffic', title: 'Open streams', unit: 'number', kind: 'line', of: 'all', help: 'Long-lived responses that are open: WebSockets, server-sent events.' })
  }

  get taps (): Readonly<Record<string, Tap>> {
    return {
      http_request_duration_seconds: (labels) => {
        const { status_code: status = '' } = labels
        return [...this.service.ended(status), ...this.#route(labels)?.ended(status) ?? []]
      },
      http_requests_in_flight: (labels) => [this.service.inFlight, ...present(this.#route(labels)?.inFlight)],
      http_request_oldest_seconds: (labels) => [this.service.oldest, ...present(this.#route(labels)?.oldest)],
      http_request_db_duration_seconds: (labels) => [this.service.cost('databaseSeconds'), ...present(this.#route(labels)?.cost('databaseSeconds'))],
      http_request_db_queries: (labels) => [this.service.cost('queries'), ...present(this.#route(labels)?.cost('queries'))],
      http_streams_open: () => present(this.#streams.level('open'))
    }
  }

  get charts (): Chart[] {
    return [...this.service.charts ?? [], this.#oldest, ...this.#streams.isEmpty ? [] : [this.#streams]]
  }

  /** The charts of a route, from now on if it had none; undefined if there is no such route. */
  chartsOf ({ method, route }: RouteName): Chart[] | undefined {
    const known = this.#routes.get(`${method} ${route}`)
    if (known === undefined) return undefined
    if (known.requests.charts === undefined && this.#charted < MOST_CHARTED) this.#draw(known.requests)
    return known.requests.charts ?? []
  }

  has ({ method, route }: RouteName): boolean {
    return this.#routes.has(`${method} ${route}`)
  }

  summary (minute: Step): SummaryItem[] {
    const { all, inFlight } = this.service
    return [
      summaryItem('requests', 'Requests', 'per second', minute.rate(all)),
      summaryItem('errors', 'Errors', 'ratio', this.service.errors(minute)),
      summaryItem('p95', 'Latency p95', 'seconds', minute.quantile(all, 0.95)),
      summaryItem('in_flight', 'In flight', 'number', inFlight.value)
    ]
  }

  rows (minute: Step): RouteRow[] {
    const rows = [...this.#routes.values()].map(({ name, requests }): RouteRow => ({
      ...name,
      rate: minute.rate(requests.all) ?? null,
      errors: requests.errors(minute) ?? null,
      p50: minute.quantile(requests.all, 0.5) ?? null,
      p95: minute.quantile(requests.all, 0.95) ?? null,
      inFlight: requests.inFlight.value ?? null,
      databaseSeconds: minute.average(requests.costs.get('databaseSeconds')) ?? null,
      queries: minute.average(requests.costs.get('queries')) ?? null
    }))
    return rows.sort((a, b) => (b.rate ?? 0) - (a.rate ?? 0))
  }

  get leftOut (): LeftOut[] {
    if (!this.#hasMore) return []
    return [{ what: `Routes beyond ${MOST_ROUTES}: their requests are in the numbers of the service.`, where: 'http_request_duration_seconds' }]
  }

  #route ({ method = '', route = '' }: LabelValues): Requests | undefined {
    const key = `${method} ${route}`
    const known = this.#routes.get(key)
    if (known !== undefined) return known.requests
    if (this.#routes.size >= MOST_ROUTES) {
      this.#hasMore = true
      return undefined
    }
    const requests = new Requests(this.#history)
    this.#routes.set(key, { name: { method, route }, requests })
    if (this.#charted < CHARTED) this.#draw(requests)
    return requests
  }

  #draw (requests: Requests): void {
    if (this.#history.isFull) return
    this.#charted++
    requests.draw()
  }
}

/** 499 is a client that left; 444 is no answer at all. */
function classOf (status: string): string {
  return status === '499' ? 'aborted' : status === '444' ? '5xx' : `${status.charAt(0)}xx`
}

/** As the alerts see it (docs/runbook.md, HTTP errors). */
function isFailure (status: string): boolean {
  return status.startsWith('5') || status === '444'
}
