// @ts-check
import { about } from './about.js'
import { promql } from './promql.js'

/**
 * Alerts on what no objective sees: requests that do not end are in no histogram, and traffic that does not come is no error.
 * @param {import('./settings.js').Settings} settings
 * @returns {import('./file.js').Group}
 */
export function httpAlerts (settings) {
  const { by, series, hanging } = promql(settings)
  const { annotations, who } = about(settings)
  const route = by('method', 'route')
  const share = (/** @type {string} */ window) =>
    `sum ${route} (rate(${series('http_requests_aborted_total')}[${window}])) / (sum ${route} (rate(${series('http_requests_received_total')}[${window}])) > 0) > 0.05`
  const usual = 'avg_over_time(job:http_requests_received:rate5m[3h:5m] offset 10m)'
  return {
    name: 'fastify-prometheus-http',
    interval: '30s',
    rules: [
      {
        comment: 'At the pace at which they end, those in flight would take more than half a minute. Long-lived responses are not among them.',
        alert: 'HttpRequestsHanging',
        expr: hanging(['method', 'route'], { now: 'http_requests_in_flight', oldest: 'http_request_oldest_seconds', ended: 'http_request_duration_seconds' }),
        labels: { severity: 'critical' },
        annotations: annotations(`${who}: {{ $value }} requests of {{ $labels.method }} {{ $labels.route }} are in flight and do not end; the oldest came more than a minute ago`, 'http-requests-hanging', 'routes')
      },
      {
        comment: `Less than a twentieth of what came on average in the three hours before, if that was 30 requests in five minutes.
Not where there was as little at this time yesterday.`,
        alert: 'HttpTrafficStopped',
        expr: `job:http_requests_received:rate5m < 0.05 * ${usual}
and ${usual} > 0.1
unless job:http_requests_received:rate5m offset 1d < 0.05 * ${usual}
`,
        for: '1m',
        labels: { severity: 'critical' },
        annotations: annotations(`${who} receives {{ $value | printf "%.2f" }} requests a second, less than a twentieth of what it had in the hours before`, 'http-traffic-stopped', 'overview')
      },
      {
        alert: 'HttpRequestsAborted',
        expr: `${share('10m')}
and ${share('2m')}
and sum ${route} (increase(${series('http_requests_aborted_total')}[10m])) > 4.5
`,
        labels: { severity: 'warning' },
        annotations: annotations(`${who}: the clients of {{ $value | humanizePercentage }} of {{ $labels.method }} {{ $labels.route }} left before they were answered in the last 10 minutes`, 'requests-aborted', 'routes')
      }
    ]
  }
}
