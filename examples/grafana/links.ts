import type { Uid } from './frame.js'

const routes: Uid = 'fastify-prometheus-routes'

/** Leads to one route of the same processes and time. @param method where the method is, as data links call it: `__field.labels.method` */
export function routeUrl (method: string, route: string): string {
  const kept = ['datasource', 'namespace', 'job', 'pod', 'instance'].map((name) => `\${${name}:queryparam}`)
  const chosen = [`var-method=\${${method}:percentencode}`, `var-route=\${${route}:percentencode}`, '$__url_time_range']
  return `/d/${routes}?${[...kept, ...chosen].join('&')}`
}
