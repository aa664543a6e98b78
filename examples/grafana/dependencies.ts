import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard'
import { dashboardOf } from './frame.js'
import { bars, heatmap, lines, stat } from './panels.js'
import { buckets, counts, countsAnd, max, mean, orNone, orZero, quantile, rateOf, series, share, sum, sums } from './queries.js'
import { backendVariable, hostVariable } from './variables.js'

const OUTGOING = 'http_client_request_duration_seconds'
const ERRORS = 'http_client_request_errors_total'
const OPERATIONS = 'cache_operation_duration_seconds'
const HOSTS = ['host=~"$host"']
const BACKENDS = ['backend=~"$backend"']
/** What the application gave up itself is no failure of the other service. A timeout by AbortSignal.timeout() is one: TimeoutError. */
const CANCELED = 'AbortError|ABORT_ERR|ERR_CANCELED|UND_ERR_ABORT(ED)?'
/** An answer that says the other service failed. */
const FAILED = [...HOSTS, 'status_code=~"5.."']

export function dependencies (): Dashboard {
  return dashboardOf({
    uid: 'fastify-prometheus-dependencies',
    description: 'Is it us or them: the services that this one calls, and its caches.',
    variables: [hostVariable(), backendVariable()],
    rows: [
      { title: 'Now', panels: [requestsNow, errorsNow, slowestNow, inFlightNow, oldestNow, hitsNow, cacheErrorsNow, slowestCacheNow] },
      { title: 'Other services', panels: [requests, failures, p99, inFlight, oldest, busy, statuses, errors, latencies] },
      { title: 'For each request of ours', panels: [perRequest, timePerRequest] },
      { title: 'Caches', panels: [gets, hits, cacheErrors, operations, cacheP99, cacheBusy, cacheLatencies] }
    ]
  })
}

const NO_ANSWER = [...HOSTS, `type!~"${CANCELED}"`]
/** Requests that ended, and those of them that failed. A service that never answered is in no duration, so neither is a sum of two sums. */
const all = (by: string) => countsAnd(OUTGOING, ERRORS, { by, where: HOSTS }, NO_ANSWER)
const bad = (by: string) => countsAnd(OUTGOING, ERRORS, { by, where: FAILED }, NO_ANSWER)

const requestsNow = stat({
  title: 'Outgoing requests',
  description: 'Requests to other services that were answered, a second.',
  unit: 'reqps',
  queries: [[counts(OUTGOING, { where: HOSTS })]],
  noValue: 'no requests'
})

const errorsNow = stat({
  title: 'Failed',
  description: 'Requests to other services that got no answer, or one that says 5xx, of all. What the application gave up itself is left out.',
  unit: 'percentunit',
  limits: { yellow: 0.01, red: 0.05 },
  queries: [[share(bad(''), all(''))]],
  noValue: 'none ended',
  runbook: 'outgoing-request-errors'
}).decimals(2)

const slowestNow = stat({
  title: 'Slowest service',
  description: 'p99 of the service that is slowest.',
  unit: 's',
  queries: [[`max(${quantile(0.99, OUTGOING, { by: 'host', where: HOSTS })})`]],
  noValue: 'none ended',
  runbook: 'outgoing-requests-slow'
})

const inFlightNow = stat({
  title: 'Waiting for others',
  description: 'Requests to other services that are under way.',
  unit: 'locale',
  queries: [[sum(series('http_client_requests_in_flight', ...HOSTS))]],
  noValue: 'no requests',
  runbook: 'outgoing-requests-hanging'
})

const oldestNow = stat({
  title: 'Oldest request',
  description: 'Age of the oldest request to another service that is under way. Streams and long polls are old on purpose.',
  unit: 's',
  limits: { yellow: 30, red: 60 },
  queries: [[max(series('http_client_request_oldest_seconds', ...HOSTS))]],
  noValue: 'no requests',
  runbook: 'outgoing-requests-hanging'
})

const hitsNow = stat({
  title: 'Cache hits',
  description: 'Keys read that the cache had, of all that were read.',
  unit: 'percentunit',
  queries: [[share(rateOf('cache_hits_total', { where: BACKENDS }), rateOf('cache_gets_total', { where: BACKENDS }))]],
  noValue: 'no reads'
}).decimals(1)

const cacheErrorsNow = stat({
  title: 'Cache errors',
  description: 'Cache operations that failed, a second.',
  unit: 'ops',
  limits: { yellow: 0.01, red: 1 },
  queries: [[orZero(rateOf('cache_errors_total', { where: BACKENDS }), rateOf('cache_gets_total', { where: BACKENDS }))]],
  noValue: 'no cache',
  runbook: 'cache-errors'
})

const slowestCacheNow = stat({
  title: 'Slowest cache',
  description: 'p99 of the cache that is slowest, without what waits on purpose (BLPOP and its like). What has not ended is in no quantile.',
  unit: 's',
  queries: [[`max(${quantile(0.99, OPERATIONS, { by: 'backend', where: [...BACKENDS, 'operation!="wait"'] })})`]],
  noValue: 'none ended'
})

const requests = lines({
  title: 'Requests by service',
  description: 'Answered requests a second. Many more while ours are the same: retries, or a cache that is empty.',
  unit: 'reqps',
  queries: [[counts(OUTGOING, { by: 'host', where: HOSTS }), '{{host}}']],
  noValue: 'no requests'
})

const failures = lines({
  title: 'Share failed by service',
  description: 'Without an answer, or answered 5xx, of all. It is them where one service rises, and us, or the network, where all do.',
  unit: 'percentunit',
  queries: [[share(bad('host'), all('host')), '{{host}}']],
  noValue: 'no requests',
  runbook: 'outgoing-request-errors'
})

const p99 = lines({
  title: 'p99 by service',
  description: 'One in a hundred takes longer, to the last byte of the answer. What has not ended is in no quantile: the age of the oldest says it.',
  unit: 's',
  queries: [[quantile(0.99, OUTGOING, { by: 'host', where: HOSTS }), '{{host}}']],
  noValue: 'no requests',
  runbook: 'outgoing-requests-slow'
})

const inFlight = lines({
  title: 'In flight by service',
  description: 'Requests that are under way, all processes together. It rises for a service that hangs, long before its timeouts are seen.',
  unit: 'locale',
  queries: [[sum(series('http_client_requests_in_flight', ...HOSTS), 'host'), '{{host}}']],
  noValue: 'no requests',
  runbook: 'outgoing-requests-hanging'
})

const oldest = lines({
  title: 'Oldest request',
  description: 'How long the oldest request to a service has been under way, in the process where it is oldest. A straight line upwards hangs, and has no timeout.',
  unit: 's',
  queries: [[max(series('http_client_request_oldest_seconds', ...HOSTS), 'host'), '{{host}}']],
  noValue: 'no requests',
  runbook: 'outgoing-requests-hanging'
})

const busy = lines({
  title: 'Requests at the same time',
  description: 'Mean number of requests that are under way: the seconds that answered requests take, a second.',
  unit: 'locale',
  decimals: 2,
  stacked: true,
  queries: [[sums(OUTGOING, { by: 'host', where: HOSTS }), '{{host}}']],
  noValue: 'no requests'
})

const statuses = lines({
  title: 'Answers by status',
  description: 'Answers a second. 429 is their limit; 401 and 403 are our credentials; 4xx else is what we send.',
  unit: 'reqps',
  stacked: true,
  queries: [[counts(OUTGOING, { by: 'status_code', where: HOSTS }), '{{status_code}}']],
  noValue: 'no requests'
})

const errors = lines({
  title: 'No answer, by type',
  description: 'By code or class of the error, a second. ECONNREFUSED and ENOTFOUND: nobody is there; timeouts: too slow, or too busy. AbortError and ABORT_ERR: we gave up, and no panel of failures has those. "none" is the zero that says there could be some.',
  unit: 'reqps',
  queries: [[orNone(rateOf(ERRORS, { by: 'host, type', where: HOSTS }), 'type', counts(OUTGOING, { by: 'host', where: HOSTS })), '{{host}} {{type}}']],
  noValue: 'no requests',
  runbook: 'outgoing-request-errors'
})

const latencies = heatmap({
  title: 'Duration of outgoing requests',
  description: 'How many requests took how long. A band at a round number is a timeout.',
  unit: 's',
  width: 8,
  queries: [[buckets(OUTGOING, ...HOSTS)]],
  noValue: 'no request ended'
})

const perRequest = bars({
  title: 'Outgoing requests by route',
  description: 'Mean number of requests to other services while serving one of ours; where http_request_outgoing_requests is switched on.',
  unit: 'locale',
  width: 12,
  queries: [[`topk(10, ${mean('http_request_outgoing_requests', { by: 'method, route' })})`, '{{method}} {{route}}']],
  noValue: 'switched off'
})

const timePerRequest = bars({
  title: 'Time in other services by route',
  description: 'Mean seconds in requests to other services while serving one of ours; those at the same time add up. Beside the time of the route it says whether it is us or them.',
  unit: 's',
  width: 12,
  queries: [[`topk(10, ${mean('http_request_outgoing_duration_seconds', { by: 'method, route' })})`, '{{method}} {{route}}']],
  noValue: 'switched off'
})

const gets = lines({
  title: 'Keys read',
  description: 'Keys read a second, of hits and misses together.',
  unit: 'ops',
  queries: [[rateOf('cache_gets_total', { by: 'backend', where: BACKENDS }), '{{backend}}']],
  noValue: 'no cache'
})

const hits = lines({
  title: 'Hit ratio',
  description: 'Keys read that the cache had, of all. A fall is a cache that was emptied, keys that changed, or one that is too small.',
  unit: 'percentunit',
  queries: [[share(rateOf('cache_hits_total', { by: 'backend', where: BACKENDS }), rateOf('cache_gets_total', { by: 'backend', where: BACKENDS })), '{{backend}}']],
  noValue: 'no cache'
}).max(1)

const cacheErrors = lines({
  title: 'Cache errors by type',
  description: 'Operations that failed, a second. A read that failed is no miss. "none" is the zero that says there could be some.',
  unit: 'ops',
  queries: [[orNone(rateOf('cache_errors_total', { by: 'backend, type', where: BACKENDS }), 'type', rateOf('cache_gets_total', { by: 'backend', where: BACKENDS })), '{{backend}} {{type}}']],
  noValue: 'no cache',
  runbook: 'cache-errors'
})

const operations = lines({
  title: 'Operations',
  description: 'Cache operations a second.',
  unit: 'ops',
  stacked: true,
  queries: [[counts(OPERATIONS, { by: 'backend, operation', where: BACKENDS }), '{{backend}} {{operation}}']],
  noValue: 'no cache'
})

const cacheP99 = lines({
  title: 'p99 by operation',
  description: 'One in a hundred takes longer. A cache that is as slow as the database is none.',
  unit: 's',
  queries: [[quantile(0.99, OPERATIONS, { by: 'backend, operation', where: BACKENDS }), '{{backend}} {{operation}}']],
  noValue: 'no cache'
})

const cacheBusy = lines({
  title: 'Operations at the same time',
  description: 'Mean number of operations that are under way: the seconds that they take, a second.',
  unit: 'locale',
  decimals: 2,
  stacked: true,
  queries: [[sums(OPERATIONS, { by: 'backend', where: BACKENDS }), '{{backend}}']],
  noValue: 'no cache'
})

const cacheLatencies = heatmap({
  title: 'Duration of cache operations',
  description: 'How many operations took how long.',
  unit: 's',
  width: 24,
  queries: [[buckets(OPERATIONS, ...BACKENDS)]],
  noValue: 'no operation ended'
})
