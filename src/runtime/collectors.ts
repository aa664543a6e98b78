/** A collector of prom-client: what it registers, one after the other, and where it is. */
interface Collector<N extends string> {
  readonly metrics: readonly N[]
  readonly load: () => Promise<{ readonly default: unknown }>
}

function collector<const N extends string> (metrics: readonly N[], load: Collector<N>['load']): Collector<N> {
  return { metrics, load }
}

/**
 * prom-client's default metrics, by their collector (prom-client/lib/defaultMetrics.js). Each file is named in full, so
 * that bundlers find it. A platform may lack some of the metrics.
 */
export const collectors = {
  processCpuTotal: collector(['process_cpu_user_seconds_total', 'process_cpu_system_seconds_total', 'process_cpu_seconds_total'], () => import('prom-client/lib/metrics/processCpuTotal.js')),
  processStartTime: collector(['process_start_time_seconds'], () => import('prom-client/lib/metrics/processStartTime.js')),
  osMemoryHeap: collector(['process_resident_memory_bytes', 'process_virtual_memory_bytes', 'process_heap_bytes'], () => import('prom-client/lib/metrics/osMemoryHeap.js')),
  processOpenFileDescriptors: collector(['process_open_fds'], () => import('prom-client/lib/metrics/processOpenFileDescriptors.js')),
  processMaxFileDescriptors: collector(['process_max_fds'], () => import('prom-client/lib/metrics/processMaxFileDescriptors.js')),
  eventLoopLag: collector([
    'nodejs_eventloop_lag_seconds', 'nodejs_eventloop_lag_min_seconds', 'nodejs_eventloop_lag_max_seconds', 'nodejs_eventloop_lag_mean_seconds',
    'nodejs_eventloop_lag_stddev_seconds', 'nodejs_eventloop_lag_p50_seconds', 'nodejs_eventloop_lag_p90_seconds', 'nodejs_eventloop_lag_p99_seconds'
  ], () => import('prom-client/lib/metrics/eventLoopLag.js')),
  processResources: collector(['nodejs_active_resources', 'nodejs_active_resources_total'], () => import('prom-client/lib/metrics/processResources.js')),
  processHandles: collector(['nodejs_active_handles', 'nodejs_active_handles_total'], () => import('prom-client/lib/metrics/processHandles.js')),
  processRequests: collector(['nodejs_active_requests', 'nodejs_active_requests_total'], () => import('prom-client/lib/metrics/processRequests.js')),
  heapSizeAndUsed: collector(['nodejs_heap_size_total_bytes', 'nodejs_heap_size_used_bytes', 'nodejs_external_memory_bytes'], () => import('prom-client/lib/metrics/heapSizeAndUsed.js')),
  heapSpacesSizeAndUsed: collector(['nodejs_heap_space_size_total_bytes', 'nodejs_heap_space_size_used_bytes', 'nodejs_heap_space_size_available_bytes'], () => import('prom-client/lib/metrics/heapSpacesSizeAndUsed.js')),
  version: collector(['nodejs_version_info'], () => import('prom-client/lib/metrics/version.js')),
  gc: collector(['nodejs_gc_duration_seconds'], () => import('prom-client/lib/metrics/gc.js'))
}

/** The name of a default metric of prom-client, without a prefix. */
export type DefaultMetricName = (typeof collectors)[keyof typeof collectors]['metrics'][number]

export const DEFAULT_METRICS: readonly DefaultMetricName[] = Object.values(collectors).flatMap(({ metrics }) => [...metrics])
