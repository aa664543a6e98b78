// @ts-check
import { about } from './about.js'

/** Five, whatever a rate makes of them: one failure among three requests is no trend. */
const EVENTS = '> 4.5'

/**
 * The windows of Google's SRE workbook (https://sre.google/workbook/alerting-on-slos/): `factor` is how many times faster than allowed a budget
 * of 30 days is spent. The long window says that it matters, the short one that it still goes on; so there is no `for`.
 */
const windows = [
  { long: '1h', short: '5m', factor: 14.4, speed: 'Fast', severity: 'critical', said: 'the last hour' },
  { long: '6h', short: '30m', factor: 6, speed: 'Fast', severity: 'critical', said: 'the last 6 hours' },
  { long: '1d', short: '2h', factor: 3, speed: 'Slow', severity: 'warning', said: 'the last day' },
  { long: '3d', short: '6h', factor: 1, speed: 'Slow', severity: 'warning', said: 'the last 3 days' }
]

/**
 * Alerts on objectives: of a whole service, where a thin outage of many routes adds up, and of each route, where one that few use does not drown.
 * @param {import('./settings.js').Settings} settings
 * @returns {import('./file.js').Group[]}
 */
export function burnAlerts (settings) {
  const { errorBudget, latencyBudget, bound } = settings
  const { annotations, who } = about(settings)
  const kinds = [
    { name: 'Errors', bad: 'http_request_errors', budget: errorBudget, verb: 'failed', anchor: 'http-errors' },
    { name: 'Latency', bad: 'http_requests_slow', budget: latencyBudget, verb: `took more than ${bound} s`, anchor: 'http-latency' }
  ]
  const scopes = [
    { name: 'Http', level: 'job', what: 'the requests' },
    { name: 'HttpRoute', level: 'job_method_route', what: '{{ $labels.method }} {{ $labels.route }}' }
  ]
  return scopes.map(({ name: scope, level, what }) => ({
    name: `fastify-prometheus-slo-${level === 'job' ? 'service' : 'route'}`,
    interval: '30s',
    rules: kinds.flatMap(({ name, bad, budget, verb, anchor }) => windows.map(({ long, short, factor, speed, severity, said }) => ({
      alert: `${scope}${name}${speed}Burn`,
      expr: [
        `${level}:${bad}:ratio_rate${long} > ${factor} * ${budget}`,
        `and ${level}:${bad}:ratio_rate${short} > ${factor} * ${budget}`,
        `and ${level}:${bad}:increase${long} ${EVENTS}`
      ].join('\n') + '\n',
      labels: { severity, window: long },
      annotations: annotations(
        `${who}: {{ $value | humanizePercentage }} of ${what} ${verb} in ${said}; the budget is ${percent(budget)}`,
        anchor, level === 'job' ? 'overview' : 'routes'
      )
    })))
  }))
}

/** @param {number} share */
function percent (share) {
  return `${Number((share * 100).toPrecision(6))}%`
}
