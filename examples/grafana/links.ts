import type { Uid } from './frame.js'

/** The runbook where it can be read by somebody who has only Grafana. */
export const RUNBOOK = 'https://github.com/fastify-prometheus/fastify-prometheus/blob/main/docs/runbook.md'

/** A heading of docs/runbook.md, as a link knows it. */
export type Section =
  | 'http-errors' | 'http-latency' | 'http-requests-hanging' | 'http-traffic-stopped' | 'requests-aborted'
  | 'database-down' | 'database-query-errors' | 'database-connection-errors' | 'database-queries-hanging'
  | 'database-pool-near-exhaustion' | 'database-pool-acquire-timeouts' | 'migrations-unapplied'
  | 'outgoing-request-errors' | 'outgoing-requests-slow' | 'outgoing-requests-hanging' | 'cache-errors'
  | 'crash-loop' | 'service-down' | 'target-down' | 'target-missing' | 'event-loop-lag'
  | 'rules-see-nothing' | 'series-dropped' | 'instrumentation-errors' | 'no-walk-started' | 'invalid-walks'

const routes: Uid = 'fastify-prometheus-routes'

export function runbookUrl (section: Section): string {
  return `${RUNBOOK}#${section}`
}

/** Leads to one route of the same processes and time. @param method where the method is, as data links call it: `__field.labels.method` */
export function routeUrl (method: string, route: string): string {
  const kept = ['datasource', 'namespace', 'job', 'pod', 'instance'].map((name) => `\${${name}:queryparam}`)
  const chosen = [`var-method=\${${method}:percentencode}`, `var-route=\${${route}:percentencode}`, '$__url_time_range']
  return `/d/${routes}?${[...kept, ...chosen].join('&')}`
}
