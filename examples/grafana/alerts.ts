import { RUNBOOK, type Section } from './links.js'
import { ofService, sum } from './queries.js'
import { table } from './tables.js'

/** The alerts of examples/prometheus, and where the runbook speaks of them. */
export const sections: Readonly<Record<string, Section>> = {
  HttpErrorsFastBurn: 'http-errors',
  HttpErrorsSlowBurn: 'http-errors',
  HttpRouteErrorsFastBurn: 'http-errors',
  HttpRouteErrorsSlowBurn: 'http-errors',
  HttpLatencyFastBurn: 'http-latency',
  HttpLatencySlowBurn: 'http-latency',
  HttpRouteLatencyFastBurn: 'http-latency',
  HttpRouteLatencySlowBurn: 'http-latency',
  HttpRequestsHanging: 'http-requests-hanging',
  HttpTrafficStopped: 'http-traffic-stopped',
  HttpRequestsAborted: 'requests-aborted',
  DatabaseDown: 'database-down',
  DatabaseQueryErrors: 'database-query-errors',
  DatabaseConnectionErrors: 'database-connection-errors',
  DatabaseQueriesHanging: 'database-queries-hanging',
  DatabasePoolNearExhaustion: 'database-pool-near-exhaustion',
  DatabasePoolAcquireTimeouts: 'database-pool-acquire-timeouts',
  MigrationsUnapplied: 'migrations-unapplied',
  OutgoingRequestErrors: 'outgoing-request-errors',
  OutgoingRequestsSlow: 'outgoing-requests-slow',
  OutgoingRequestsHanging: 'outgoing-requests-hanging',
  CacheErrors: 'cache-errors',
  ServiceCrashLooping: 'crash-loop',
  ProcessCrashLooping: 'crash-loop',
  ServiceDown: 'service-down',
  TargetDown: 'target-down',
  TargetMissing: 'target-missing',
  EventLoopLag: 'event-loop-lag',
  RulesSeeNothing: 'rules-see-nothing',
  MetricsSeriesDropped: 'series-dropped',
  MetricsInstrumentationErrors: 'instrumentation-errors',
  NoWalkStarted: 'no-walk-started',
  InvalidWalks: 'invalid-walks'
}

/** Alerts with their section as a label, which a link is made of. */
function withSections (alerts: string): string {
  const of = new Map<Section, string[]>()
  for (const [alert, section] of Object.entries(sections)) of.set(section, [...of.get(section) ?? [], alert])
  return [...of].reduce((vector, [section, names]) => `label_replace(${vector}, "section", "${section}", "alertname", "${names.join('|')}")`, alerts)
}

/** What only a Prometheus has that loaded the rules; the row 'none' stands on it. */
const RULES = sum(ofService('job_method_route:http_requests_received:rate5m'))

export const firing = table({
  title: 'Alerts that fire',
  description: 'Alerts of the service that fire now, and where the runbook says what to do. The row "none": no alert fires, and the rules of examples/prometheus are loaded.',
  keys: { alertname: 'Alert', severity: 'Severity', section: 'Runbook', route: 'Route', alias: 'Connection', host: 'Other service', backend: 'Cache', instance: 'Instance' },
  columns: [{
    title: 'Firing',
    unit: 'locale',
    expr: `${sum(withSections(ofService('ALERTS', 'alertstate="firing"')), 'alertname, severity, section, route, alias, host, backend, instance')} or on () label_replace(0 * ${RULES}, "alertname", "none", "", "")`
  }],
  sortBy: 'Severity',
  ascending: true,
  noValue: 'no requests yet or rules not loaded',
  links: { Runbook: { title: 'What to do', url: `${RUNBOOK}#\${__data.fields.Runbook}`, targetBlank: true } },
  colors: { Severity: { critical: 'red', warning: 'yellow' } },
  widths: { Alert: 280, Severity: 110, Runbook: 280 },
  height: 6
})
