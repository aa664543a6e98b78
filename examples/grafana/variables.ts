import { CustomVariableBuilder, DatasourceVariableBuilder, QueryVariableBuilder, VariableRefresh, VariableSort, type VariableModel } from '@grafana/grafana-foundation-sdk/dashboard'
import type { Builder } from '@grafana/grafana-foundation-sdk/cog'
import { series } from './queries.js'

/** Whatever a dashboard asks, it asks the Prometheus of this variable. */
const DATASOURCE = 'datasource'
export const datasource = { type: 'prometheus', uid: `\${${DATASOURCE}}` }

/** One series for each process that serves metrics by this package, its worker processes too, and none for anything else; a native histogram, or a classic one. */
const ANY_PROCESS = '__name__=~"metrics_exposition_size_bytes(_count)?"'

const ALL = { text: 'All', value: '$__all' }

/** Each is asked for within those before it. */
export function serviceVariables (): Array<Builder<VariableModel>> {
  return [
    new DatasourceVariableBuilder(DATASOURCE).label('Data source').type('prometheus'),
    ofLabel('namespace', 'Namespace', `label_values({${ANY_PROCESS}}, namespace)`),
    // Without All and without a value: the first job there is, not a mixture of services.
    query('job', 'Job', `label_values({${ANY_PROCESS}, namespace=~"$namespace"}, job)`).allValue('.+'),
    ofLabel('pod', 'Pod', `label_values({${ANY_PROCESS}, namespace=~"$namespace", job=~"$job"}, pod)`),
    ofLabel('instance', 'Instance', `label_values({${ANY_PROCESS}, namespace=~"$namespace", job=~"$job", pod=~"$pod"}, instance)`).allValue('.+')
  ]
}

export function routeVariables (): Array<Builder<VariableModel>> {
  return [
    ofLabel('method', 'Method', `label_values(${series('http_requests_received_total')}, method)`),
    ofLabel('route', 'Route', `label_values(${series('http_requests_received_total', 'method=~"$method"')}, route)`)
  ]
}

export function aliasVariable (): Builder<VariableModel> {
  return ofLabel('alias', 'Connection', `label_values(${series('db_queries_in_flight')}, alias)`)
}

export function hostVariable (): Builder<VariableModel> {
  return ofLabel('host', 'Other service', `label_values(${series('http_client_requests_in_flight')}, host)`)
}

export function backendVariable (): Builder<VariableModel> {
  return ofLabel('backend', 'Cache', `label_values(${series('cache_gets_total')}, backend)`)
}

export function modelVariable (): Builder<VariableModel> {
  return ofLabel('model', 'Model', `label_values(${series('model_inserts_total')}, model)`)
}

/** Seconds within which an answer is in time. Each is a bound of the classic buckets. */
export function thresholdVariable (): Builder<VariableModel> {
  return new CustomVariableBuilder('threshold').label('In time within (s)').values('0.1,0.25,0.5,0.75,2.5').current({ text: '0.5', value: '0.5' })
}

/** A label that may be chosen; `.*` lets those pass that have not got it. */
function ofLabel (name: string, label: string, definition: string): QueryVariableBuilder {
  return query(name, label, definition).includeAll(true).allValue('.*').current(ALL)
}

function query (name: string, label: string, definition: string): QueryVariableBuilder {
  return new QueryVariableBuilder(name)
    .label(label)
    .datasource(datasource)
    .query({ query: definition, refId: name })
    .definition(definition)
    .multi(true)
    .refresh(VariableRefresh.OnTimeRangeChanged)
    .sort(VariableSort.AlphabeticalCaseInsensitiveAsc)
}
