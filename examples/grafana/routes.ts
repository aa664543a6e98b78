import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard'
import { dashboardOf } from './frame.js'
import { routeUrl } from './links.js'
import { heatmap, lines } from './panels.js'
import { buckets, counts, max, mean, orNone, orZero, quantile, rateOf, series, share, sum, sums } from './queries.js'
import { ANSWERED, FAILED } from './statuses.js'
import { table } from './tables.js'
import { routeVariables } from './variables.js'

const DURATION = 'http_request_duration_seconds'
const HANDLER = 'http_handler_duration_seconds'
/** The routes that the variables choose. */
const CHOSEN = ['method=~"$method"', 'route=~"$route"']
/** What was answered by them. */
const ENDED = [...CHOSEN, ANSWERED]
/** Only a route has a handler, so what no route matched is left out where both are compared. */
const HANDLED = [...CHOSEN, 'route!="__unmatched__"']
const by = 'method, route'
const LEGEND = '{{method}} {{route}}'

export function routes (): Dashboard {
  return dashboardOf({
    uid: 'fastify-prometheus-routes',
    description: 'Which route: its requests, errors, latency, sizes. __unmatched__ are requests that no route matched.',
    variables: routeVariables(),
    rows: [
      { title: 'Routes', panels: [all] },
      { title: 'Under way', panels: [inFlight, oldest] },
      { title: 'Requests and errors of the routes chosen', panels: [byStatus, requests, errors, exceptions, aborted, incomplete] },
      { title: 'Latency', panels: [latencies, quantiles, p99, handler] },
      { title: 'Sizes', panels: [requestSize, responseSize, streamed] },
      { title: 'Opt-in metrics: queries per request, queueing', collapsed: true, panels: [queries, queryTime, queue] }
    ]
  })
}

const received = rateOf('http_requests_received_total', { by, where: CHOSEN })

const all = table({
  title: 'Routes',
  description: 'Now, each route chosen. Errors are 5xx and 444, of all answers; sizes are means, without streams of unknown length. Sort by any column; click a route for it alone. A dash: no request ended to tell from; those that hang are under Oldest.',
  keys: { method: 'Method', route: 'Route' },
  sortBy: 'Requests',
  noValue: 'no requests',
  columns: [
    { title: 'Requests', unit: 'reqps', expr: received },
    { title: 'Errors', unit: 'percentunit', expr: share(counts(DURATION, { by, where: [...CHOSEN, FAILED] }), counts(DURATION, { by, where: ENDED })) },
    { title: 'p50', unit: 's', expr: quantile(0.5, DURATION, { by, where: ENDED }) },
    { title: 'p99', unit: 's', expr: quantile(0.99, DURATION, { by, where: ENDED }) },
    { title: 'In flight', unit: 'locale', expr: sum(series('http_requests_in_flight', ...CHOSEN), by) },
    { title: 'Oldest', unit: 's', expr: max(series('http_request_oldest_seconds', ...CHOSEN), by) },
    { title: 'Aborted', unit: 'reqps', expr: rateOf('http_requests_aborted_total', { by, where: CHOSEN }) },
    { title: 'Exceptions', unit: 'cps', expr: orZero(rateOf('http_exceptions_total', { by, where: CHOSEN }), received) },
    { title: 'Request size', unit: 'bytes', expr: mean('http_request_size_bytes', { by, where: CHOSEN }) },
    { title: 'Response size', unit: 'bytes', expr: mean('http_response_size_bytes', { by, where: CHOSEN }) }
  ],
  links: { Route: { title: 'This route alone', url: routeUrl('__data.fields.Method', '__data.fields.Route') } }
})

const byStatus = lines({
  title: 'By status code',
  description: 'Answers a second. 499 is a client that left before the answer was finished, 444 a connection that the server closed without one.',
  unit: 'reqps',
  stacked: true,
  queries: [[counts(DURATION, { by: 'status_code', where: ENDED }), '{{status_code}}']],
  noValue: 'no requests'
})

const requests = lines({
  title: 'By route',
  description: 'Requests received a second.',
  unit: 'reqps',
  stacked: true,
  queries: [[received, LEGEND]],
  noValue: 'no requests'
})

const errors = lines({
  title: 'Share of errors by route',
  description: '5xx and 444, of all answers. A gap is a time in which no request ended: there was none, or all hang.',
  unit: 'percentunit',
  queries: [[share(counts(DURATION, { by, where: [...CHOSEN, FAILED] }), counts(DURATION, { by, where: ENDED })), LEGEND]],
  noValue: 'no request ended',
  runbook: 'http-errors'
})

const exceptions = lines({
  title: 'Exceptions by type',
  description: 'Errors thrown in hooks and handlers, a second, those that became a 4xx too. "none" is the zero that says there could be some.',
  unit: 'cps',
  queries: [[orNone(rateOf('http_exceptions_total', { by: 'type', where: CHOSEN }), 'type', rateOf('http_requests_received_total', { where: CHOSEN })), '{{type}}']],
  noValue: 'no requests'
})

const aborted = lines({
  title: 'Aborted by route',
  description: 'Requests a second whose client left before the answer was finished. Slow routes are where clients run into their timeouts.',
  unit: 'reqps',
  queries: [[rateOf('http_requests_aborted_total', { by, where: CHOSEN }), LEGEND]],
  noValue: 'none aborted',
  runbook: 'requests-aborted'
})

const inFlight = lines({
  title: 'In flight by route',
  description: 'Requests received and not yet finished. One that stays up after its requests are gone hangs.',
  unit: 'locale',
  width: 12,
  queries: [[sum(series('http_requests_in_flight', ...CHOSEN), by), LEGEND]],
  noValue: 'no requests'
})

const oldest = lines({
  title: 'Oldest in flight by route',
  description: 'Age of the oldest request that is not answered yet. A line that rises second by second hangs; it is in no latency before it ends.',
  unit: 's',
  width: 12,
  queries: [[max(series('http_request_oldest_seconds', ...CHOSEN), by), LEGEND]],
  noValue: 'no requests',
  runbook: 'http-latency'
})

const incomplete = lines({
  title: 'Broken off by route',
  description: 'Responses a second that the server broke off or never began: a stream that failed, a connection that it closed. Any is bad.',
  unit: 'reqps',
  queries: [[orZero(rateOf('http_responses_incomplete_total', { by, where: CHOSEN }), received), LEGEND]],
  noValue: 'no requests'
})

const latencies = heatmap({
  title: 'Latency of the routes chosen',
  description: 'How many requests took how long. Two bands are two kinds of request, such as found and not found in a cache: no quantile shows that.',
  unit: 's',
  queries: [[buckets(DURATION, ...ENDED)]],
  noValue: 'no request ended'
})

const quantiles = lines({
  title: 'Quantiles',
  description: 'Of the routes chosen together; as fine as the buckets. The dots are single requests, where Prometheus stores exemplars. What has not ended is in no quantile: its age is the last line.',
  unit: 's',
  width: 12,
  exemplars: true,
  queries: [
    ...([0.5, 0.9, 0.99] as const).map((q) => [quantile(q, DURATION, { where: ENDED }), `p${q * 100}`] as const),
    [max(series('http_request_oldest_seconds', ...CHOSEN)), 'oldest in flight']
  ],
  noValue: 'no requests',
  runbook: 'http-latency'
})

const p99 = lines({
  title: 'p99 by route',
  description: 'One in a hundred requests of a route takes longer. With few requests it is the slowest of them. A gap: none ended; see Oldest in flight by route.',
  unit: 's',
  width: 12,
  queries: [[quantile(0.99, DURATION, { by, where: ENDED }), LEGEND]],
  noValue: 'no request ended',
  runbook: 'http-latency'
})

const handler = lines({
  title: 'Where the time is spent',
  description: 'Mean of a request: in its handler, and outside of it: hooks, reading the body, serializing, sending. Much outside is a slow hook, such as one that authenticates, or a slow client.',
  unit: 's',
  width: 12,
  stacked: true,
  queries: [
    [`${sums(HANDLER, { where: HANDLED })} / (${counts(DURATION, { where: [...HANDLED, ANSWERED] })} > 0)`, 'handler'],
    // A handler that goes on after its client left can take longer than the request.
    [`clamp_min(${sums(DURATION, { where: [...HANDLED, ANSWERED] })} - ${sums(HANDLER, { where: HANDLED })}, 0) / (${counts(DURATION, { where: [...HANDLED, ANSWERED] })} > 0)`, 'hooks, body and sending']
  ],
  noValue: 'no request ended'
})

const requestSize = lines({
  title: 'Size of requests',
  description: 'Bodies as they were received. A p99 that jumps is an upload, or somebody who tries how much is taken.',
  unit: 'bytes',
  queries: [
    [mean('http_request_size_bytes', { where: CHOSEN }), 'mean'],
    [quantile(0.99, 'http_request_size_bytes', { where: CHOSEN }), 'p99']
  ],
  noValue: 'no bodies'
})

const responseSize = lines({
  title: 'Size of responses',
  description: 'Bodies, without streams of unknown length. What grows for weeks is a list without pages.',
  unit: 'bytes',
  queries: [
    [mean('http_response_size_bytes', { where: CHOSEN }), 'mean'],
    [quantile(0.99, 'http_response_size_bytes', { where: CHOSEN }), 'p99']
  ],
  noValue: 'no bodies'
})

const streamed = lines({
  title: 'Streamed responses',
  description: 'Responses a second whose length was not known before; they are in no size. Neither good nor bad.',
  unit: 'reqps',
  queries: [[orZero(rateOf('http_responses_streamed_total', { by, where: CHOSEN }), received), LEGEND]],
  noValue: 'no requests'
})

const queries = lines({
  title: 'Queries per request',
  description: 'Needs metrics: { http_request_db_queries: true }. Database queries of one request. Tens and more, growing with the data, are N+1: a query for each row of another one.',
  unit: 'locale',
  decimals: 1,
  queries: [
    [mean('http_request_db_queries', { by, where: CHOSEN }), `mean ${LEGEND}`],
    [quantile(0.99, 'http_request_db_queries', { by, where: CHOSEN }), `p99 ${LEGEND}`]
  ],
  noValue: 'not switched on'
})

const queryTime = lines({
  title: 'Time in queries per request',
  description: 'Needs metrics: { http_request_db_duration_seconds: true }. Mean time in database queries of one request; those at the same time add up. Near the latency of the route: the database is what to look at.',
  unit: 's',
  queries: [[mean('http_request_db_duration_seconds', { by, where: CHOSEN }), LEGEND]],
  noValue: 'not switched on'
})

const queue = lines({
  title: 'Before the service',
  description: 'Needs metrics: { http_request_queue_duration_seconds: true } and a proxy that sets X-Request-Start. Time between the two. Seconds are requests that queue: too few processes, or a blocked event loop.',
  unit: 's',
  queries: ([0.5, 0.99] as const).map((q) => [quantile(q, 'http_request_queue_duration_seconds', { where: CHOSEN }), `p${q * 100}`] as const),
  noValue: 'not switched on'
})
