// @ts-check
import { about } from './about.js'
import { promql } from './promql.js'

/**
 * Alerts on the numbers themselves: some are missing, or these rules do not see them.
 * @param {import('./settings.js').Settings} settings
 * @returns {import('./file.js').Group}
 */
export function metricsAlerts (settings) {
  const { by, series } = promql(settings)
  const { annotations, who } = about(settings)
  const service = by()
  const any = (/** @type {string} */ metric) => `{__name__=~".*${metric}"}`
  const received = any('http_requests_received_total')
  /** @param {string} metric */
  const unseen = (metric) => `count ${service} (${any(metric)})\nand count ${service} (${any('metrics_expositions_total')})\nunless count ${service} (${series(metric)})\n`
  const blind = { severity: 'warning' }
  /** @param {string} missing */
  const blindTo = (missing) => annotations(`${who}: there are ${missing}, and these rules see none of them; the alerts on them cannot fire`, 'rules-see-nothing', 'overview')
  return {
    name: 'fastify-prometheus-metrics',
    interval: '1m',
    rules: [
      {
        comment: 'Always fires, so that whoever is told can miss it when Prometheus, Alertmanager or the way between them is broken.',
        alert: 'Watchdog',
        expr: 'vector(1)',
        labels: { severity: 'none' },
        annotations: { summary: 'Prometheus evaluates these rules; nobody need do anything' }
      },
      {
        comment: `Traffic under any prefix, and nothing recorded: another prefix, or histograms of another kind.
Other libraries have a counter of this name; those that serve metrics by this package are meant.`,
        alert: 'RulesSeeNothing',
        expr: `sum ${service} (${received}) > sum ${service} (${received} offset 10m)
and count ${service} (${any('metrics_expositions_total')})
unless job:http_requests:rate2m
`,
        for: '10m',
        labels: { ...blind, missing: 'requests' },
        annotations: blindTo('requests')
      },
      {
        comment: 'The bound of the objective is no bucket.',
        alert: 'RulesSeeNothing',
        expr: `count ${service} (job_method_route:http_requests_served:rate2m > 0 unless job_method_route:http_requests_slow:rate2m)`,
        for: '10m',
        labels: { ...blind, missing: 'latencies' },
        annotations: blindTo(`answers without a bucket of ${settings.bound} s`)
      },
      {
        alert: 'RulesSeeNothing',
        expr: `count ${service} (${any('db_queries_in_flight')})\nunless count ${service} (${series('db_queries_in_flight')})\n`,
        for: '10m',
        labels: { ...blind, missing: 'databases' },
        annotations: blindTo('databases')
      },
      {
        comment: 'Other libraries have metrics of these names, too.',
        alert: 'RulesSeeNothing',
        expr: unseen('http_client_requests_in_flight'),
        for: '10m',
        labels: { ...blind, missing: 'outgoing requests' },
        annotations: blindTo('outgoing requests')
      },
      {
        alert: 'RulesSeeNothing',
        expr: `count ${service} (job_host:http_client_requests_served:rate2m > 0 unless job_host:http_client_requests_slow:rate2m)`,
        for: '10m',
        labels: { ...blind, missing: 'outgoing latencies' },
        annotations: blindTo(`answers of other services without a bucket of ${settings.outgoingBound} s`)
      },
      {
        alert: 'RulesSeeNothing',
        expr: unseen('cache_gets_total'),
        for: '10m',
        labels: { ...blind, missing: 'caches' },
        annotations: blindTo('caches')
      },
      {
        comment: 'A metric that fills up between two scrapes makes its series with a number that increase() does not count.',
        alert: 'MetricsSeriesDropped',
        expr: `sum ${by('instance', 'metric')} (
  increase(${series('metrics_series_dropped_total')}[15m]) > 0
  or (${series('metrics_series_dropped_total')} > 0) unless ${series('metrics_series_dropped_total')} offset 15m
) > 0
`,
        labels: { severity: 'warning' },
        annotations: annotations(`${who} at {{ $labels.instance }}: {{ $labels.metric }} has more label sets than maxSeries allows`, 'series-dropped', 'runtime')
      },
      {
        comment: 'The first one of a source makes its series, which increase() does not count.',
        alert: 'MetricsInstrumentationErrors',
        expr: `sum ${by('instance', 'source')} (
  increase(${series('metrics_instrumentation_errors_total')}[15m]) > 0
  or ${series('metrics_instrumentation_errors_total')} unless ${series('metrics_instrumentation_errors_total')} offset 15m
) > 0
`,
        labels: { severity: 'warning' },
        annotations: annotations(`${who} at {{ $labels.instance }}: the instrumentation of {{ $labels.source }} had errors in the last 15 minutes; its numbers may be wrong`, 'instrumentation-errors', 'runtime')
      }
    ]
  }
}
