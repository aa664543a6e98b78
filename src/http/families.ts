import { catalogue, metric, type Definition, type FamilyOf, type MetricName, type Scope } from '../catalogue.js'

/** What the service asks of others: adapters write it. */
type OutgoingMetricName = Extract<MetricName, `http_client_request${string}`>

/** The metrics of the HTTP half. */
export type HttpMetricName = Exclude<Extract<MetricName, `http_${string}`>, OutgoingMetricName>

/** The HTTP metrics that are on; a metric that is off is missing. */
export type HttpFamilies = { readonly [N in HttpMetricName]?: FamilyOf<N> }

/** The metrics that are switched off or on against the catalogue, the buckets, and the labels that a user adds. */
export interface HttpChoice {
  readonly metrics: Readonly<Partial<Record<HttpMetricName, boolean>>>
  /** The bounds of the duration histograms, in seconds. */
  readonly durationBuckets: readonly number[] | undefined
  /** The bounds of the size histograms, in bytes. */
  readonly sizeBuckets: readonly number[] | undefined
  /** Names of the user's labels, on http_request_duration_seconds. */
  readonly extraLabels: readonly string[]
}

export const HTTP_METRICS = Object.keys(catalogue).filter((name): name is HttpMetricName => name.startsWith('http_') && !name.startsWith('http_client_request'))

/** Makes or finds the families of the metrics that are on. */
export function httpFamilies (scope: Scope, choice: HttpChoice): HttpFamilies {
  const families: Partial<Record<HttpMetricName, unknown>> = {}
  for (const name of HTTP_METRICS) {
    const definition: Definition = catalogue[name]
    if (!(choice.metrics[name] ?? definition.optIn !== true)) continue
    families[name] = metric(name, scope, {
      buckets: name.endsWith('_seconds') ? choice.durationBuckets : name.endsWith('_bytes') ? choice.sizeBuckets : undefined,
      extraLabels: name === 'http_request_duration_seconds' ? choice.extraLabels : []
    })
  }
  return families as HttpFamilies
}
