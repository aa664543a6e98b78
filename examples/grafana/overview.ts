import { VizTextDisplayOptionsBuilder } from '@grafana/grafana-foundation-sdk/common'
import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard'
import { DashboardLinkBuilder } from '@grafana/grafana-foundation-sdk/dashboard'
import { dashboardOf } from './frame.js'
import { routeUrl } from './links.js'
import { now, SATURATION } from './overview-now.js'
import { bars, lines, stat } from './panels.js'
import { PROCESS, PROCESS_LEGEND, counts, growth, max, orNone, orZero, quantile, rate, rateOf, series, share, sum } from './queries.js'
import { ANSWERED, CLIENT_ERROR, FAILED, LEFT } from './statuses.js'
import { thresholdVariable } from './variables.js'

const DURATION = 'http_request_duration_seconds'
const BY_ROUTE = 'method, route'

export function overview (): Dashboard {
  return dashboardOf({
    uid: 'fastify-prometheus-overview',
    description: 'Is the service well: its requests, errors and latency, and what they stand on.',
    variables: [thresholdVariable()],
    rows: [
      { title: 'Now', panels: now },
      { title: 'Requests', panels: [byStatus, errorShare, latency, inFlight, aborted, exceptions] },
      { title: 'Which routes', panels: [failing, slow, hanging] },
      { title: 'What they stand on', panels: [cpu, memory, eventLoop, pools, pending, started] },
      { title: 'Whether these numbers are right', panels: [scrapes, dropped, instrumentation] }
    ]
  })
}

const byStatus = lines({
  title: 'Requests by status code',
  description: 'Answers a second. 499 is a client that left before the answer was finished, 444 a connection that the server closed without one. Zero while requests are in flight: they hang.',
  unit: 'reqps',
  stacked: true,
  queries: [[counts(DURATION, { by: 'status_code', where: [ANSWERED] }), '{{status_code}}']],
  noValue: 'no requests'
})

const errorShare = lines({
  title: 'Share of errors',
  description: 'Of all answers: 5xx and 444 are the service\'s fault, 4xx mostly that of clients, 499 clients that did not wait. A gap is a time in which no request ended: there was none, or all hang.',
  unit: 'percentunit',
  queries: ([[FAILED, '5xx and 444'], [CLIENT_ERROR, '4xx'], [LEFT, '499, client left']] as const)
    .map(([status, legend]) => [share(counts(DURATION, { where: [status] }), counts(DURATION, { where: [ANSWERED] })), legend] as const),
  noValue: 'no request ended',
  runbook: 'http-errors'
})

const latency = lines({
  title: 'Latency',
  description: 'Whole life of a request, from before the first hook to the last byte; of a client that left, until then. When p99 alone rises, look for one route or one process. What has not ended is in no quantile: its age is the last line.',
  unit: 's',
  exemplars: true,
  queries: [
    ...([0.5, 0.9, 0.99] as const).map((q) => [quantile(q, DURATION, { where: [ANSWERED] }), `p${q * 100}`] as const),
    [max(series('http_request_oldest_seconds')), 'oldest in flight']
  ],
  noValue: 'no requests',
  runbook: 'http-latency'
})

const inFlight = lines({
  title: 'In flight',
  description: 'Requests received and not yet finished, by process. Rising without more requests: they have become slower, or hang.',
  unit: 'locale',
  queries: [[sum(series('http_requests_in_flight'), PROCESS), PROCESS_LEGEND]],
  noValue: 'no requests'
})

const aborted = lines({
  title: 'Aborted by route',
  description: 'Requests a second whose client left before the answer was finished. Where latency rises with it, clients run into their timeout.',
  unit: 'reqps',
  queries: [[rateOf('http_requests_aborted_total', { by: BY_ROUTE }), '{{method}} {{route}}']],
  noValue: 'none aborted',
  runbook: 'requests-aborted'
})

const exceptions = lines({
  title: 'Exceptions by type',
  description: 'Errors thrown in hooks and handlers, a second, those that became a 4xx too. "none" is the zero that says there could be some.',
  unit: 'cps',
  queries: [[orNone(rateOf('http_exceptions_total', { by: 'type' }), 'type', rateOf('http_requests_received_total')), '{{type}}']],
  noValue: 'no requests'
})

/** The five routes where a number is highest. */
const worstRoutes = (byRoute: string, panel: Omit<Parameters<typeof bars>[0], 'queries'>) =>
  bars({ ...panel, queries: [[`topk(5, ${byRoute})`, '{{method}} {{route}}']] }).dataLinks([toRoute()])

const failing = worstRoutes(share(counts(DURATION, { by: BY_ROUTE, where: [FAILED] }), counts(DURATION, { by: BY_ROUTE, where: [ANSWERED] })), {
  title: 'Failing most',
  description: 'Share of errors by route, the five highest. Click one for all about it.',
  unit: 'percentunit',
  limits: { yellow: 0.001, red: 0.01 },
  noValue: 'none ended',
  runbook: 'http-errors'
}).max(1)

const slow = worstRoutes(quantile(0.99, DURATION, { by: BY_ROUTE, where: [ANSWERED] }), {
  title: 'Slowest',
  description: 'Latency p99 by route, the five highest. Click one for all about it.',
  unit: 's',
  limits: { yellow: 0.5, red: 1 },
  noValue: 'none ended',
  runbook: 'http-latency'
})

const hanging = worstRoutes(max(series('http_request_oldest_seconds'), BY_ROUTE), {
  title: 'Oldest in flight',
  description: 'Age of the oldest request that is not answered yet, by route, the five highest. Requests that hang are in no latency: that is measured at the end. Click one for all about it.',
  unit: 's',
  limits: { yellow: 5, red: 30 },
  noValue: 'no requests'
})

const cpu = lines({
  title: 'CPU',
  description: 'Of one core, by process. JavaScript runs on one thread: near 100 % it is the limit, however many cores there are.',
  unit: 'percentunit',
  atLeast: 1,
  queries: [[sum(rate('process_cpu_seconds_total'), PROCESS), PROCESS_LEGEND]],
  noValue: 'no process'
})

const memory = lines({
  title: 'Memory',
  description: 'Resident memory by process. What grows and never falls is a leak, and ends at the limit of the container.',
  unit: 'bytes',
  queries: [[max(series('process_resident_memory_bytes'), PROCESS), PROCESS_LEGEND]],
  noValue: 'no process'
})

const eventLoop = lines({
  title: 'Event loop lag p99',
  description: 'How late timers were since the scrape before, by process. An idle one has 10 ms: the timer that measures is that long. Above 100 ms something blocks the event loop, and every request waits for it.',
  unit: 's',
  queries: [[max(series('nodejs_eventloop_lag_p99_seconds'), PROCESS), PROCESS_LEGEND]],
  noValue: 'no process',
  runbook: 'event-loop-lag'
})

const pools = lines({
  title: 'Fullest pool by alias',
  description: 'Connections in use, of those the pool may have; the fullest process of each alias. At 100 % requests wait.',
  unit: 'percentunit',
  queries: [[SATURATION, '{{alias}}']],
  noValue: 'no pools',
  runbook: 'database-pool-near-exhaustion'
}).max(1)

const pending = lines({
  title: 'Waiting for a connection',
  description: 'Requests for a connection of the pool that wait, all processes together. More than a moment above 0: the pool is too small, or queries are too slow.',
  unit: 'locale',
  queries: [[sum(series('db_pool_pending_requests'), 'alias'), '{{alias}}']],
  noValue: 'no pools',
  runbook: 'database-pool-acquire-timeouts'
})

const started = lines({
  title: 'Uptime',
  description: 'Since when each process runs. A saw is a process that restarts again and again.',
  unit: 's',
  queries: [[`time() - ${max(series('process_start_time_seconds'), PROCESS)}`, PROCESS_LEGEND]],
  noValue: 'no process'
})

const scrapes = lines({
  title: 'Duration of scrapes',
  description: 'As Prometheus measures it, the network included, by process. Near the timeout of the scrape (10 s unless configured) the process has gaps everywhere.',
  unit: 's',
  queries: [[max(series('scrape_duration_seconds'), PROCESS), PROCESS_LEGEND]],
  noValue: 'no target',
  runbook: 'target-down'
})

const dropped = lines({
  title: 'Label sets dropped',
  description: 'Writes a second that went to the __overflow__ series, because a metric has maxSeries label sets. Any is bad: a label has too many values.',
  unit: 'cps',
  queries: [[orZero(rateOf('metrics_series_dropped_total'), sum(series('up'))), 'all metrics']],
  noValue: 'no target',
  runbook: 'series-dropped'
})

const instrumentation = stat({
  title: 'Errors of instrumentation',
  description: 'Errors of the instrumentation itself in the time shown, caught before they reached the application, by source. Any is bad: some number is wrong; the log says which.',
  unit: 'locale',
  width: 8,
  height: 8,
  queries: [[orNone(sum(growth('metrics_instrumentation_errors_total'), 'source'), 'source', sum(series('up'))), '{{source}}']],
  limits: { red: 1 },
  noValue: 'no target',
  runbook: 'instrumentation-errors'
}).decimals(0).text(new VizTextDisplayOptionsBuilder().valueSize(60))

function toRoute (): DashboardLinkBuilder {
  return new DashboardLinkBuilder('All about this route').url(routeUrl('__field.labels.method', '__field.labels.route'))
}
