// @ts-check
import { about } from './about.js'
import { promql } from './promql.js'

/**
 * Alerts on processes. One of many is a warning; most of them, or all of an environment, are critical.
 * @param {import('./settings.js').Settings} settings
 * @returns {import('./file.js').Group}
 */
export function processAlerts (settings) {
  const { by, series, ofJobs } = promql(settings)
  const { annotations, who } = about(settings)
  const service = by()
  const up = `up{${ofJobs}}`
  const started = series('process_start_time_seconds', ofJobs)
  const restarts = (/** @type {string} */ window) => `changes(${started}[${window}])`
  const looping = `${restarts('15m')} >= 3 and ${restarts('5m')} > 0`
  return {
    name: 'fastify-prometheus-processes',
    interval: '30s',
    rules: [
      {
        alert: 'ServiceDown',
        expr: `avg ${service} (${up}) < 0.5`,
        for: '1m',
        labels: { severity: 'critical' },
        annotations: annotations(`${who}: only {{ $value | humanizePercentage }} of its processes can be scraped`, 'service-down', 'overview')
      },
      {
        alert: 'TargetDown',
        expr: `${up} == 0`,
        for: '2m',
        labels: { severity: 'warning' },
        annotations: annotations(`${who} at {{ $labels.instance }} cannot be scraped`, 'target-down', 'runtime')
      },
      {
        comment: 'An environment that was there in the last six hours, or a job that was not there at all.',
        alert: 'TargetMissing',
        expr: [
          `group ${service} (present_over_time(${up}[6h])) unless group ${service} (${up})`,
          ...settings.jobs.map((job) => `or absent_over_time(up{job="${job}"}[6h])`)
        ].join('\n'),
        for: '5m',
        labels: { severity: 'critical' },
        annotations: annotations(`${who}: Prometheus has no target`, 'target-missing', 'overview')
      },
      {
        comment: 'A deployment restarts a process once.',
        alert: 'ServiceCrashLooping',
        expr: `count ${service} (${looping}) / count ${service} (present_over_time(${started}[15m])) >= 0.5`,
        labels: { severity: 'critical' },
        annotations: annotations(`${who}: {{ $value | humanizePercentage }} of its processes have restarted three times or more in the last 15 minutes`, 'crash-loop', 'runtime')
      },
      {
        alert: 'ProcessCrashLooping',
        expr: looping,
        labels: { severity: 'warning' },
        annotations: annotations(`${who} at {{ $labels.instance }} has restarted {{ $value }} times in the last 15 minutes`, 'crash-loop', 'runtime')
      },
      {
        alert: 'EventLoopLag',
        expr: `${series('nodejs_eventloop_lag_p99_seconds')} > 0.1`,
        for: '5m',
        labels: { severity: 'warning' },
        annotations: annotations(`${who} at {{ $labels.instance }}: the event loop has been late by more than 100ms (p99) for five minutes, now by {{ $value | humanizeDuration }}`, 'event-loop-lag', 'runtime')
      }
    ]
  }
}
