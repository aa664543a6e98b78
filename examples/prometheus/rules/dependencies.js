// @ts-check
import { about } from './about.js'
import { promql } from './promql.js'

/**
 * Alerts on other services and on caches. All are tickets: where users feel it, the alerts on HTTP page.
 * @param {import('./settings.js').Settings} settings
 * @returns {import('./file.js').Group}
 */
export function dependencyAlerts (settings) {
  const { hanging, ofPromptHosts } = promql(settings)
  const { annotations, who } = about(settings)
  const sum = (/** @type {string} */ name, /** @type {string} */ window) => `sum_over_time(${name}:rate2m[${window}])`
  const share = (/** @type {string} */ bad, /** @type {string} */ all, /** @type {string} */ window) => `${sum(bad, window)} / (${sum(all, window)} > 0)`
  /**
   * A share of an hour, if it still is in the last five minutes, of at least five. So few requests are enough, and there is no `for`.
   * @param {string} bad
   * @param {string} all
   * @param {number} limit
   */
  const goesOn = (bad, all, limit) => `${share(bad, all, '1h')} > ${limit}\nand ${share(bad, all, '5m')} > ${limit}\nand ${sum(bad, '1h')} * 30 > 4.5\n`
  return {
    name: 'fastify-prometheus-dependency',
    interval: '30s',
    rules: [
      {
        comment: 'No answer, or 5xx.',
        alert: 'OutgoingRequestErrors',
        expr: goesOn('job_host:http_client_request_errors', 'job_host:http_client_requests', 0.05),
        labels: { severity: 'warning' },
        annotations: annotations(`${who}: {{ $value | humanizePercentage }} of the requests to {{ $labels.host }} failed in the last hour`, 'outgoing-request-errors', 'dependencies')
      },
      {
        alert: 'OutgoingRequestsSlow',
        expr: goesOn('job_host:http_client_requests_slow', 'job_host:http_client_requests_served', 0.05),
        labels: { severity: 'warning' },
        annotations: annotations(`${who}: {{ $value | humanizePercentage }} of the answers of {{ $labels.host }} took more than ${settings.outgoingBound} s in the last hour`, 'outgoing-requests-slow', 'dependencies')
      },
      {
        comment: 'At the pace at which they end, those in flight would take more than half a minute.',
        alert: 'OutgoingRequestsHanging',
        expr: hanging(['host'], {
          now: 'http_client_requests_in_flight', oldest: 'http_client_request_oldest_seconds', ended: 'http_client_request_duration_seconds', failed: 'http_client_request_errors_total', matchers: ofPromptHosts
        }),
        labels: { severity: 'warning' },
        annotations: annotations(`${who}: {{ $value }} requests to {{ $labels.host }} are in flight and do not end; the oldest began more than a minute ago`, 'outgoing-requests-hanging', 'dependencies')
      },
      {
        comment: 'Each part of a transaction that fails is an error, so there may be more errors than operations.',
        alert: 'CacheErrors',
        expr: goesOn('job_backend:cache_errors', 'job_backend:cache_operations', 0.01),
        labels: { severity: 'warning' },
        annotations: annotations(`${who}: the cache {{ $labels.backend }} has {{ $value | humanizePercentage }} as many errors as operations in the last hour`, 'cache-errors', 'dependencies', ['backend'])
      }
    ]
  }
}
