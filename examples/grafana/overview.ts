import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard'
import { DashboardLinkBuilder } from '@grafana/grafana-foundation-sdk/dashboard'
import { dashboardOf } from './frame.js'
import { routeUrl } from './links.js'
import { bars, lines, stat } from './panels.js'
import { PROCESS, PROCESS_LEGEND, growth, max, orNone, orZero, quantile, rate, rateOf, series, share, sum } from './queries.js'
import { thresholdVariable } from './variables.js'

const DURATION = 'http_request_duration_seconds'
const ENDED = `${DURATION}_count`
const FAILED = 'status_code=~"5.."'
const BY_ROUTE = 'method, route'
/** The fullest pool of each alias: a mean would hide the process that has none left. */
const SATURATION = max(`${series('db_pool_connections', 'state="used"')} / ignoring (state) (${series('db_pool_connections_max')} > 0)`, 'alias')

export function overview (): Dashboard {
  return dashboardOf({
    uid: 'fastify-prometheus-overview',
    description: 'Is the service well: its requests, errors and latency, and what they stand on.',
    variables: [thresholdVariable()],
    rows: [
      { title: 'Now', panels: [up, requests, errors, p99, inTime, saturation, lag, restarts] },
      { title: 'Requests', panels: [byStatus, errorShare, latency, inFlight, aborted, exceptions] },
      { title: 'Which routes', panels: [failing, slow, hanging] },
      { title: 'What they stand on', panels: [cpu, memory, eventLoop, pools, pending, started] },
      { title: 'Whether these numbers are right', panels: [scrapes, dropped, instrumentation] }
    ]
  })
}

const up = stat({
  title: 'Processes',
  description: 'Targets of Prometheus that answered the last scrape, and those that did not. Any down is bad: it serves nobody, or nobody knows what it does.',
  unit: 'short',
  queries: [[sum(series('up')), 'up'], [orZero(`count(${series('up')} == 0)`, `count(${series('up')})`), 'down']]
}).overrideByName('down', [{ id: 'thresholds', value: { mode: 'absolute', steps: [{ value: null, color: 'green' }, { value: 1, color: 'red' }] } }])

const requests = stat({
  title: 'Requests',
  description: 'Requests received a second. None at a time of day that has some is bad: look at what is before the service.',
  unit: 'reqps',
  queries: [[rateOf('http_requests_received_total')]]
})

const errors = stat({
  title: 'Errors',
  description: 'Share of ended requests that were answered 5xx. A client that left first (499) is none.',
  unit: 'percentunit',
  queries: [[share(rateOf(ENDED, { where: [FAILED] }), rateOf(ENDED))]],
  limits: { yellow: 0.001, red: 0.01 },
  noValue: 'no requests'
}).decimals(2)

const p99 = stat({
  title: 'Latency p99',
  description: 'One in a hundred requests takes longer, from before the first hook to the last byte. It is no finer than the buckets.',
  unit: 's',
  queries: [[quantile(0.99, DURATION)]],
  limits: { yellow: 0.5, red: 1 },
  noValue: 'no requests'
})

const inTime = stat({
  title: 'In time',
  description: 'Share of requests that were answered within the seconds chosen above and not with 5xx. Clients that left (499) are left out.',
  unit: 'percentunit',
  queries: [[share(
    rateOf(`${DURATION}_bucket`, { where: ['status_code!~"5..|499"', 'le="$threshold"'] }),
    rateOf(ENDED, { where: ['status_code!="499"'] })
  )]],
  limits: { yellow: 0.999, red: 0.99 },
  noValue: 'no requests'
}).decimals(2)

const saturation = stat({
  title: 'Fullest pool',
  description: 'Connections in use, of those the pool may have: the fullest pool of any process. At 100 % requests wait for a connection.',
  unit: 'percentunit',
  queries: [[`max(${SATURATION})`]],
  limits: { yellow: 0.8, red: 0.95 },
  noValue: 'no pools'
})

const lag = stat({
  title: 'Event loop p99',
  description: 'How late timers are, in the process where it is worst. The timer that measures it is 10 ms long, so an idle process has 10 ms. Above 100 ms something blocks the event loop.',
  unit: 's',
  queries: [[max(series('nodejs_eventloop_lag_p99_seconds'))]],
  limits: { yellow: 0.05, red: 0.1 }
})

const restarts = stat({
  title: 'Restarts',
  description: 'Processes that began anew at the same address in the time shown: crashes, mostly. A new pod is not among them; the purple lines are, and so is the panel Uptime.',
  unit: 'short',
  queries: [[sum(`changes(${series('process_start_time_seconds')}[$__range])`)]],
  limits: { yellow: 1, red: 3 }
})

const byStatus = lines({
  title: 'Requests by status code',
  description: 'Ended requests a second. 499 is a client that left before the answer was finished.',
  unit: 'reqps',
  stacked: true,
  queries: [[rateOf(ENDED, { by: 'status_code' }), '{{status_code}}']]
})

const errorShare = lines({
  title: 'Share of errors',
  description: 'Of ended requests: 5xx is the service\'s fault, 4xx mostly that of clients, 499 clients that did not wait. A gap is a time without requests.',
  unit: 'percentunit',
  queries: [
    [share(rateOf(ENDED, { where: [FAILED] }), rateOf(ENDED)), '5xx'],
    [share(rateOf(ENDED, { where: ['status_code=~"4..", status_code!="499"'] }), rateOf(ENDED)), '4xx'],
    [share(rateOf(ENDED, { where: ['status_code="499"'] }), rateOf(ENDED)), '499, client left']
  ]
})

const latency = lines({
  title: 'Latency',
  description: 'Whole life of a request, from before the first hook to the last byte; of a client that left, until then. When p99 alone rises, look for one route or one process.',
  unit: 's',
  exemplars: true,
  queries: ([0.5, 0.9, 0.99] as const).map((q) => [quantile(q, DURATION), `p${q * 100}`] as const)
})

const inFlight = lines({
  title: 'In flight',
  description: 'Requests received and not yet finished, by process. Rising without more requests: they have become slower, or hang.',
  unit: 'short',
  queries: [[sum(series('http_requests_in_flight'), PROCESS), PROCESS_LEGEND]]
})

const aborted = lines({
  title: 'Aborted by route',
  description: 'Requests a second whose client left before the answer was finished. Where latency rises with it, clients run into their timeout.',
  unit: 'reqps',
  queries: [[rateOf('http_requests_aborted_total', { by: BY_ROUTE }), '{{method}} {{route}}']]
})

const exceptions = lines({
  title: 'Exceptions by type',
  description: 'Errors thrown in hooks and handlers, a second, those that became a 4xx too. "none" is the zero that says there could be some.',
  unit: 'cps',
  queries: [[orNone(rateOf('http_exceptions_total', { by: 'type' }), 'type', rateOf('http_requests_received_total')), '{{type}}']]
})

/** The ten routes where a number is highest. */
const worstRoutes = (byRoute: string, panel: Omit<Parameters<typeof bars>[0], 'queries'>) =>
  bars({ ...panel, queries: [[`topk(10, ${byRoute})`, '{{method}} {{route}}']] }).dataLinks([toRoute()])

const failing = worstRoutes(share(rateOf(ENDED, { by: BY_ROUTE, where: [FAILED] }), rateOf(ENDED, { by: BY_ROUTE })), {
  title: 'Failing most',
  description: 'Share of 5xx by route, the ten highest. Click one for all about it.',
  unit: 'percentunit',
  limits: { yellow: 0.001, red: 0.01 }
}).max(1)

const slow = worstRoutes(quantile(0.99, DURATION, { by: BY_ROUTE }), {
  title: 'Slowest',
  description: 'Latency p99 by route, the ten highest. Click one for all about it.',
  unit: 's',
  limits: { yellow: 0.5, red: 1 }
})

const hanging = worstRoutes(max(series('http_request_oldest_seconds'), BY_ROUTE), {
  title: 'Oldest in flight',
  description: 'Age of the oldest request that is not answered yet, by route, the ten highest. Requests that hang are in no latency: that is measured at the end. Click one for all about it.',
  unit: 's',
  limits: { yellow: 5, red: 30 }
})

const cpu = lines({
  title: 'CPU',
  description: 'Of one core, by process. JavaScript runs on one thread: near 100 % it is the limit, however many cores there are.',
  unit: 'percentunit',
  queries: [[sum(rate('process_cpu_seconds_total'), PROCESS), PROCESS_LEGEND]]
})

const memory = lines({
  title: 'Memory',
  description: 'Resident memory by process. What grows and never falls is a leak, and ends at the limit of the container.',
  unit: 'bytes',
  queries: [[max(series('process_resident_memory_bytes'), PROCESS), PROCESS_LEGEND]]
})

const eventLoop = lines({
  title: 'Event loop lag p99',
  description: 'How late timers were since the scrape before, by process. An idle one has 10 ms: the timer that measures is that long. Above 100 ms something blocks the event loop, and every request waits for it.',
  unit: 's',
  queries: [[max(series('nodejs_eventloop_lag_p99_seconds'), PROCESS), PROCESS_LEGEND]]
})

const pools = lines({
  title: 'Saturation of pools',
  description: 'Connections in use, of those the pool may have; the fullest process of each alias. At 100 % requests wait.',
  unit: 'percentunit',
  queries: [[SATURATION, '{{alias}}']]
}).max(1)

const pending = lines({
  title: 'Waiting for a connection',
  description: 'Requests for a connection of the pool that wait, all processes together. More than a moment above 0: the pool is too small, or queries are too slow.',
  unit: 'short',
  queries: [[sum(series('db_pool_pending_requests'), 'alias'), '{{alias}}']]
})

const started = lines({
  title: 'Uptime',
  description: 'Since when each process runs. A saw is a process that restarts again and again.',
  unit: 's',
  queries: [[`time() - ${max(series('process_start_time_seconds'), PROCESS)}`, PROCESS_LEGEND]]
})

const scrapes = lines({
  title: 'Duration of scrapes',
  description: 'As Prometheus measures it, the network included, by process. Near the timeout of the scrape (10 s unless configured) the process has gaps everywhere.',
  unit: 's',
  queries: [[max(series('scrape_duration_seconds'), PROCESS), PROCESS_LEGEND]]
})

const dropped = lines({
  title: 'Label sets dropped',
  description: 'Writes a second that went to the __overflow__ series, because a metric has maxSeries label sets. Any is bad: a label has too many values.',
  unit: 'cps',
  queries: [[orZero(rateOf('metrics_series_dropped_total'), sum(series('up'))), 'all metrics']]
})

const instrumentation = stat({
  title: 'Errors of instrumentation',
  description: 'Errors of the instrumentation itself in the time shown, caught before they reached the application, by source. Any is bad: some number is wrong; the log says which.',
  unit: 'short',
  width: 8,
  height: 8,
  queries: [[orNone(sum(growth('metrics_instrumentation_errors_total'), 'source'), 'source', sum(series('up'))), '{{source}}']],
  limits: { red: 1 }
})

function toRoute (): DashboardLinkBuilder {
  return new DashboardLinkBuilder('All about this route').url(routeUrl('__field.labels.method', '__field.labels.route'))
}
