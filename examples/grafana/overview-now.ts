import { firing } from './alerts.js'
import { stat } from './panels.js'
import { counts, growth, max, ofService, orZero, quantile, rateOf, series, share, sum, within } from './queries.js'
import { ANSWERED, FAILED } from './statuses.js'

const DURATION = 'http_request_duration_seconds'
/** The fullest pool of each alias: a mean would hide the process that has none left. */
export const SATURATION = max(`${series('db_pool_connections', 'state="used"')} / ignoring (state) (${series('db_pool_connections_max')} > 0)`, 'alias')

const up = stat({
  title: 'Processes',
  description: 'Targets of Prometheus that answered the last scrape, and those that did not. Any down is bad: it serves nobody, or nobody knows what it does.',
  unit: 'locale',
  queries: [[sum(series('up')), 'up'], [orZero(`count(${series('up')} == 0)`, `count(${series('up')})`), 'down']],
  noValue: 'no target',
  runbook: 'service-down'
}).overrideByName('down', [{ id: 'thresholds', value: { mode: 'absolute', steps: [{ value: null, color: 'green' }, { value: 1, color: 'red' }] } }])

const requests = stat({
  title: 'Requests',
  description: 'Requests received a second. None at a time of day that has some is bad: look at what is before the service.',
  unit: 'reqps',
  queries: [[rateOf('http_requests_received_total')]],
  noValue: 'no requests',
  runbook: 'http-traffic-stopped'
})

const waiting = stat({
  title: 'In flight',
  description: 'Requests received and not yet finished. When all of them hang, none ends: errors and latency stand still, and this grows.',
  unit: 'locale',
  queries: [[sum(series('http_requests_in_flight'))]],
  noValue: 'no requests'
})

const oldest = stat({
  title: 'Oldest request',
  description: 'Age of the oldest request that is not answered yet. What hangs is in no latency before it ends; it is here at once.',
  unit: 's',
  queries: [[max(series('http_request_oldest_seconds'))]],
  limits: { yellow: 5, red: 30 },
  noValue: 'no requests',
  runbook: 'http-requests-hanging'
})

const errors = stat({
  title: 'Errors',
  description: 'Share of answers that were 5xx, or that the server broke off before any (444). A client that left first (499) is none.',
  unit: 'percentunit',
  queries: [[share(counts(DURATION, { where: [FAILED] }), counts(DURATION, { where: [ANSWERED] }))]],
  limits: { yellow: 0.001, red: 0.01 },
  noValue: 'none ended',
  runbook: 'http-errors'
}).decimals(2)

const p99 = stat({
  title: 'Latency p99',
  description: 'One in a hundred requests takes longer, from before the first hook to the last byte. Of those that ended: what hangs is in Oldest request.',
  unit: 's',
  queries: [[quantile(0.99, DURATION, { where: [ANSWERED] })]],
  limits: { yellow: 0.5, red: 1 },
  noValue: 'none ended',
  runbook: 'http-latency'
})

const inTime = stat({
  title: 'In time',
  description: 'Share of requests that were answered within the seconds chosen above, and not with an error. Clients that left (499) are left out.',
  unit: 'percentunit',
  queries: [[share(
    within('$threshold', DURATION, 'status_code!~"1..|5..|444|499"'),
    counts(DURATION, { where: ['status_code!~"1..|499"'] })
  )]],
  limits: { yellow: 0.999, red: 0.99 },
  noValue: 'none ended',
  runbook: 'http-latency'
}).decimals(2)

const lag = stat({
  title: 'Event loop p99',
  description: 'How late timers are, in the process where it is worst. The timer that measures it is 10 ms long, so an idle process has 10 ms. Above 100 ms something blocks the event loop.',
  unit: 's',
  queries: [[max(series('nodejs_eventloop_lag_p99_seconds'))]],
  limits: { yellow: 0.05, red: 0.1 },
  noValue: 'no process',
  runbook: 'event-loop-lag'
})

const saturation = stat({
  title: 'Fullest pool',
  description: 'Connections in use, of those the pool may have: the fullest pool of any process. At 100 % requests wait for a connection.',
  unit: 'percentunit',
  queries: [[`max(${SATURATION})`]],
  limits: { yellow: 0.8, red: 0.95 },
  noValue: 'no pools',
  runbook: 'database-pool-near-exhaustion'
}).decimals(0)

const oldestWait = stat({
  title: 'Oldest waiter',
  description: 'How long the request that waits longest for a connection has waited, one that is being opened too. Seconds: the pool is exhausted, or the database cannot be reached.',
  unit: 's',
  queries: [[max(series('db_pool_oldest_pending_seconds'))]],
  limits: { yellow: 1, red: 5 },
  noValue: 'no pools',
  runbook: 'database-pool-acquire-timeouts'
})

const oldestQuery = stat({
  title: 'Oldest query',
  description: 'Age of the oldest query that is under way. In a lock it grows second by second: pg_stat_activity says on what.',
  unit: 's',
  queries: [[max(series('db_query_oldest_seconds'))]],
  limits: { yellow: 5, red: 30 },
  noValue: 'no database',
  runbook: 'database-queries-hanging'
})

const connectionErrors = stat({
  title: 'DB errors',
  description: 'Database connections that could not be made or were lost while idle, in the time shown. Any is bad, but for a database that was restarted on purpose.',
  unit: 'locale',
  queries: [[orZero(sum(growth('db_connection_errors_total')), sum(series('db_pool_connections_max')))]],
  limits: { red: 1 },
  noValue: 'no pools',
  runbook: 'database-down'
}).decimals(0)

const restarts = stat({
  title: 'Restarts',
  description: 'Processes that began anew at the same address in the time shown: crashes, where a deployment makes new pods. The red lines say when.',
  unit: 'locale',
  queries: [[sum(`changes(${series('process_start_time_seconds')}[$__range])`)]],
  limits: { yellow: 1, red: 3 },
  noValue: 'no process',
  runbook: 'crash-loop'
})

const newProcesses = stat({
  title: 'New processes',
  description: 'Processes that run and were not there when the time shown began: a deployment, or more pods. The blue lines say when.',
  unit: 'locale',
  queries: [[orZero(`count(${series('process_start_time_seconds')} unless ${series('process_start_time_seconds')} offset $__range)`, `count(${series('process_start_time_seconds')})`)]],
  noValue: 'no process'
})

/** What is left of the errors, or of the slow answers, that a month may have. NaN has a word of its own: the rule is not there. */
const budget = (title: string, rule: string, runbook: 'http-errors' | 'http-latency', description: string) => stat({
  title,
  description: `${description} Negative: the month has had more than it may. It is recorded by the rules of examples/prometheus, for the service as a whole.`,
  unit: 'percentunit',
  queries: [[`min(${ofService(rule)}) or vector(NaN)`]],
  limits: { yellow: 0.25, red: 0 },
  noValue: 'rules not loaded',
  runbook
}).decimals(0)

const errorBudget = budget('Error budget', 'job:http_error_budget:remaining30d', 'http-errors', 'What is left of the errors that 30 days may have.')
const latencyBudget = budget('Latency budget', 'job:http_latency_budget:remaining30d', 'http-latency', 'What is left of the slow answers that 30 days may have.')

/** How the service is at this moment: the first thing to look at. */
export const now = [up, requests, waiting, oldest, errors, p99, inTime, lag, saturation, oldestWait, oldestQuery, connectionErrors, restarts, newProcesses, errorBudget, latencyBudget, firing]
