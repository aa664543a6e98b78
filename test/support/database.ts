import type { Registry } from 'prom-client'
import { Page } from './page.js'

/** What the page of a registry says of a database: sums over all labels. */
export interface DatabaseNumbers {
  opened: number
  closed: number
  connectionErrors: number
  queries: number
  queryErrors: number
  rows: number
  waits: number
  uses: number
  timeouts: number
  inFlight: number
  /** Errors of instrumentation. */
  trouble: number
}

const NAMES: Readonly<Record<keyof DatabaseNumbers, string>> = {
  opened: 'db_connections_opened_total',
  closed: 'db_connections_closed_total',
  connectionErrors: 'db_connection_errors_total',
  queries: 'db_query_duration_seconds_count',
  queryErrors: 'db_query_errors_total',
  rows: 'db_rows_total',
  waits: 'db_pool_acquire_duration_seconds_count',
  uses: 'db_connection_use_duration_seconds_count',
  timeouts: 'db_pool_acquire_timeouts_total',
  inFlight: 'db_queries_in_flight',
  trouble: 'metrics_instrumentation_errors_total'
}

export async function databaseNumbers (registry: Registry): Promise<DatabaseNumbers> {
  const page = new Page(await registry.metrics())
  return Object.fromEntries(Object.entries(NAMES).map(([key, name]) => [key, page.sum(name)])) as unknown as DatabaseNumbers
}

/** What is under way: how many queries, and whether anything has an age. */
export async function underWay (registry: Registry): Promise<{ queries: number, query: number, wait: number, use: number }> {
  const page = new Page(await registry.metrics())
  return {
    queries: page.sum('db_queries_in_flight'),
    query: page.sum('db_query_oldest_seconds'),
    wait: page.sum('db_pool_oldest_pending_seconds'),
    use: page.sum('db_connection_oldest_use_seconds')
  }
}

/** The samples of a metric, as 'label,label' to value, without alias and vendor; of a histogram, its counts. */
export async function samplesOf (registry: Registry, name: string): Promise<Record<string, number>> {
  const metric = await registry.getSingleMetric(name)?.get() as { values: Array<{ value: number, metricName?: string, labels: Record<string, string> }> }
  const samples = metric.values.filter(({ metricName }) => metricName === undefined || metricName === `${name}_count`)
  return Object.fromEntries(samples.map(({ labels: { alias, vendor, ...labels }, value }) => [Object.values(labels).join() || alias, value]))
}
