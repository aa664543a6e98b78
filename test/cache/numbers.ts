import type { Registry } from 'prom-client'

/** What a registry says of one cache: keys read, errors by type, and operations by name. */
export interface CacheNumbers {
  readonly gets: number
  readonly hits: number
  readonly misses: number
  readonly errors: Readonly<Record<string, number>>
  readonly operations: Readonly<Record<string, number>>
}

interface Value {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
  readonly metricName?: string
}

export async function cacheNumbers (registry: Registry, backend = 'default'): Promise<CacheNumbers> {
  const valuesOf = async (name: string) => {
    const metric = await registry.getSingleMetric(name)?.get() as { values: Value[] } | undefined
    return (metric?.values ?? []).filter(({ labels }) => labels.backend === backend)
  }
  const sum = async (name: string) => (await valuesOf(name)).reduce((all, { value }) => all + value, 0)
  const byType = async (name: string) => {
    const errors: Record<string, number> = {}
    for (const { labels: { type = '' }, value } of await valuesOf(name)) errors[type] = (errors[type] ?? 0) + value
    return errors
  }
  const counts = (await valuesOf('cache_operation_duration_seconds')).filter(({ metricName }) => metricName?.endsWith('_count'))
  return {
    gets: await sum('cache_gets_total'),
    hits: await sum('cache_hits_total'),
    misses: await sum('cache_misses_total'),
    errors: await byType('cache_errors_total'),
    operations: Object.fromEntries(counts.map(({ labels, value }) => [labels.operation, value]))
  }
}
