import type { RegistryLike } from '../metrics/index.js'

/** Told of a metric that could not be read, by its name. */
export type ReadFailure = (metric: string, error: unknown) => void

/**
 * The page of a registry, in the registry's own content type. A metric whose collect callback throws costs only itself.
 * An OpenMetrics registry is rendered whole by its own library: it renames counters while it does, so they cannot be asked for by name.
 */
export async function renderPage (registry: RegistryLike, failed: ReadFailure): Promise<string> {
  if (!registry.contentType.startsWith('text/plain')) return registry.metrics()
  const blocks = await Promise.all(registry.getMetricsAsArray().map(async (metric) => {
    const { name } = metric as { name: string }
    try {
      return await registry.getSingleMetricAsString(name)
    } catch (error) {
      failed(name, error)
      return undefined
    }
  }))
  return blocks.filter((block) => block !== undefined).join('\n\n') + '\n'
}
