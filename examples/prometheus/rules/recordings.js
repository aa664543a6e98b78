// @ts-check
import { promql } from './promql.js'

/** An answer below 200 is none: an upgrade (101) or an early hint. 444: the server broke off without an answer. */
const ANSWERS = 'status_code!~"1.."'
const FAILED = 'status_code=~"5..|444"'
const SERVED = 'status_code!~"1..|5..|444"'

/** What an application is told by its database as a matter of course: a broken constraint, a transaction to try again. The names are the same for all drivers. */
const EXPECTED = '(unique|foreign_key|not_null|check|exclusion|restrict|integrity_constraint|with_check_option)_violation|class_23|serialization_failure|deadlock_detected|(transaction_)?(rollback|integrity_constraint_violation)|class_40'

/** What another service is not to blame for: the application itself gave the request up. */
const CANCELED = 'AbortError|ABORT_ERR|ERR_CANCELED|UND_ERR_ABORT(ED)?'

/** What an application is told by its cache as a matter of course: a transaction to try again, a script to send whole, a group that is there. */
const EXPECTED_OF_CACHES = 'WatchError|NOSCRIPT|BUSYGROUP'

/** The levels at which objectives are looked at, and the labels that each has beside the service's. */
const levels = /** @type {const} */ (['job', 'job_method_route'])

/** What can spend a budget, and of what that is a share. */
const kinds = /** @type {const} */ ([
  { bad: 'http_request_errors', all: 'http_requests' },
  { bad: 'http_requests_slow', all: 'http_requests_served' }
])

/** Seconds between two evaluations of what is read from the metrics. A sum over time of a rate, times this, is how many there were. */
const STEP = 30

/** The windows that burn rates are looked at over, and how often. */
const tiers = [
  { interval: '30s', windows: ['5m', '30m', '1h'] },
  { interval: '1m', windows: ['2h', '6h'] },
  { interval: '2m', windows: ['1d', '3d'] }
]

/**
 * What the alerts ask for, computed once.
 * @param {import('./settings.js').Settings} settings
 * @returns {import('./file.js').Group[]}
 */
export function recordings (settings) {
  const { by, series, observations, within, ofHosts, ofPromptHosts } = promql(settings)
  const DURATION = 'http_request_duration_seconds'
  const route = by('method', 'route')
  const alias = by('alias')
  const OUTGOING = 'http_client_request_duration_seconds'
  const host = by('host')
  const gotNoAnswer = `rate(${series('http_client_request_errors_total', `${ofHosts}, type!~"${CANCELED}"`)}[2m])`
  const prompt = `${ofPromptHosts}, status_code!~"1..|5.."`
  const backend = by('backend')

  /** @type {import('./file.js').Group[]} */
  const groups = [{
    name: 'fastify-prometheus-requests',
    interval: `${STEP}s`,
    comment: `All that is read from the metrics themselves. Everything longer than two minutes is made of this, so that it costs little.
A rate needs two scrapes in its two minutes: scrape every 30 seconds or more often. Do not change the interval: what is called increase
below counts on it.`,
    rules: [
      { record: 'job_method_route:http_requests_received:rate5m', expr: `sum ${route} (rate(${series('http_requests_received_total')}[5m]))` },
      { record: 'job:http_requests_received:rate5m', expr: `sum ${by()} (job_method_route:http_requests_received:rate5m)` },
      { record: 'job_method_route:http_requests:rate2m', expr: `sum ${route} (${observations(DURATION, '2m', ANSWERS)})` },
      {
        comment: 'A client that left (499) is no error of the service.',
        record: 'job_method_route:http_request_errors:rate2m',
        expr: `sum ${route} (${observations(DURATION, '2m', FAILED)})\nor 0 * job_method_route:http_requests:rate2m\n`
      },
      {
        comment: 'What did not fail. Clients that left are in it: they have waited, too.',
        record: 'job_method_route:http_requests_served:rate2m',
        expr: `sum ${route} (${observations(DURATION, '2m', SERVED)})`
      },
      {
        record: 'job_method_route:http_requests_slow:rate2m',
        expr: `clamp_min(job_method_route:http_requests_served:rate2m - sum ${route} (\n  ${within(DURATION, '2m', SERVED)}\n), 0)\nor 0 * (job_method_route:http_requests_served:rate2m == 0)\n`
      },
      ...kinds.flatMap(({ bad, all }) => [all, bad]).map((name) => ({
        record: `job:${name}:rate2m`, expr: `sum ${by()} (job_method_route:${name}:rate2m)`
      }))
    ]
  }]

  for (const { interval, windows } of tiers) {
    groups.push({
      name: `fastify-prometheus-windows-${windows.join('-')}`,
      interval,
      rules: windows.flatMap((window) => levels.flatMap((level) => kinds.flatMap(({ bad, all }) => {
        const sum = (/** @type {string} */ name) => `sum_over_time(${level}:${name}:rate2m[${window}])`
        return [
          { record: `${level}:${bad}:increase${window}`, expr: `${sum(bad)} * ${STEP}` },
          { record: `${level}:${bad}:ratio_rate${window}`, expr: `${sum(bad)} / (${sum(all)} > 0)` }
        ]
      })))
    })
  }

  groups.push({
    name: 'fastify-prometheus-budgets',
    interval: '5m',
    comment: 'How much of the budget of 30 days is left: 1 is all of it, less than 0 is more than it was.',
    rules: [
      { record: 'job:http_error_budget:remaining30d', expr: remaining(kinds[0], settings.errorBudget) },
      { record: 'job:http_latency_budget:remaining30d', expr: remaining(kinds[1], settings.latencyBudget) }
    ]
  }, {
    name: 'fastify-prometheus-databases',
    interval: `${STEP}s`,
    rules: [
      { record: 'job_alias:db_queries:rate2m', expr: `sum ${alias} (${observations('db_query_duration_seconds', '2m')})` },
      {
        comment: 'What says something of the database: no broken constraint, and no transaction that can be tried again.',
        record: 'job_alias:db_query_errors:rate2m',
        expr: `sum ${alias} (rate(${series('db_query_errors_total', `type!~"${EXPECTED}"`)}[2m])) or 0 * job_alias:db_queries:rate2m`
      },
      {
        comment: 'For each process, because a pool belongs to one. The mean of a window, because a scrape sees only a moment.',
        record: 'instance_alias:db_pool_connections_used:ratio_avg5m',
        expr: `sum without (state) (avg_over_time(${series('db_pool_connections', 'state="used"')}[5m]))\n/ ${series('db_pool_connections_max')}\n`
      }
    ]
  }, {
    name: 'fastify-prometheus-dependencies',
    interval: `${STEP}s`,
    rules: [
      {
        comment: 'What got no answer is in no duration. What the application gave up itself is neither a success nor a failure.',
        record: 'job_host:http_client_requests:rate2m',
        expr: `sum ${host} (${observations(OUTGOING, '2m', ofHosts)} or ${gotNoAnswer})`
      },
      {
        record: 'job_host:http_client_request_errors:rate2m',
        expr: `sum ${host} (${observations(OUTGOING, '2m', `${ofHosts}, status_code=~"5.."`)} or ${gotNoAnswer})\nor 0 * job_host:http_client_requests:rate2m\n`
      },
      { record: 'job_host:http_client_requests_served:rate2m', expr: `sum ${host} (${observations(OUTGOING, '2m', prompt)})` },
      {
        record: 'job_host:http_client_requests_slow:rate2m',
        expr: `clamp_min(job_host:http_client_requests_served:rate2m - sum ${host} (\n  ${within(OUTGOING, '2m', prompt, settings.outgoingBound)}\n), 0)\nor 0 * (job_host:http_client_requests_served:rate2m == 0)\n`
      },
      { record: 'job_backend:cache_operations:rate2m', expr: `sum ${backend} (${observations('cache_operation_duration_seconds', '2m')})` },
      {
        record: 'job_backend:cache_errors:rate2m',
        expr: `sum ${backend} (rate(${series('cache_errors_total', `type!~"${EXPECTED_OF_CACHES}"`)}[2m])) or 0 * job_backend:cache_operations:rate2m`
      }
    ]
  })
  return groups
}

/**
 * @param {{ bad: string, all: string }} kind
 * @param {number} budget
 */
function remaining ({ bad, all }, budget) {
  return `1 - sum_over_time(job:${bad}:rate2m[30d]) / (sum_over_time(job:${all}:rate2m[30d]) > 0) / ${budget}`
}
