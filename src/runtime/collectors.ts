type Collect = (registry: object, config: { readonly prefix: string, readonly eventLoopMonitoringPrecision: number }) => void

/** A collector of prom-client: what it registers, one after the other, and where it is. */
interface Collector<N extends string = string> {
  readonly metrics: readonly N[]
  readonly load: () => Promise<{ readonly default: Collect }>
}

/**
 * prom-client's default metrics, by their collector (prom-client/lib/defaultMetrics.js). Each file is named in full, so
 * that bundlers find it. A platform may lack some of the metrics.
 */
export const collectors = {
  processCpuTotal: {
    metrics: ['process_cpu_user_seconds_total', 'process_cpu_system_seconds_total', 'process_cpu_seconds_total'],
    load: () => import('prom-client/lib/metrics/processCpuTotal.js')
  },
  processStartTime: { metrics: ['process_start_time_seconds'], load: () => import('prom-client/lib/metrics/processStartTime.js') },
  osMemoryHeap: {
    metrics: ['process_resident_memory_bytes', 'process_virtual_memory_bytes', 'process_heap_bytes'],
    load: () => import('prom-client/lib/metrics/osMemoryHeap.js')
  },
  processOpenFileDescriptors: { metrics: ['process_open_fds'], load: () => import('prom-client/lib/metrics/processOpenFileDescriptors.js') },
  processMaxFileDescriptors: { metrics: ['process_max_fds'], load: () => import('prom-client/lib/metrics/processMaxFileDescriptors.js') },
  eventLoopLag: {
    metrics: [
      'nodejs_eventloop_lag_seconds', 'nodejs_eventloop_lag_min_seconds', 'nodejs_eventloop_lag_max_seconds', 'nodejs_eventloop_lag_mean_seconds',
      'nodejs_eventloop_lag_stddev_seconds', 'nodejs_eventloop_lag_p50_seconds', 'nodejs_eventloop_lag_p90_seconds', 'nodejs_eventloop_lag_p99_seconds'
    ],
    load: () => import('prom-client/lib/metrics/eventLoopLag.js')
  },
  processResources: { metrics: ['nodejs_active_resources', 'nodejs_active_resources_total'], load: () => import('prom-client/lib/metrics/processResources.js') },
  processHandles: { metrics: ['nodejs_active_handles', 'nodejs_active_handles_total'], load: () => import('prom-client/lib/metrics/processHandles.js') },
  processRequests: { metrics: ['nodejs_active_requests', 'nodejs_active_requests_total'], load: () => import('prom-client/lib/metrics/processRequests.js') },
  heapSizeAndUsed: {
    metrics: ['nodejs_heap_size_total_bytes', 'nodejs_heap_size_used_bytes', 'nodejs_external_memory_bytes'],
    load: () => import('prom-client/lib/metrics/heapSizeAndUsed.js')
  },
  heapSpacesSizeAndUsed: {
    metrics: ['nodejs_heap_space_size_total_bytes', 'nodejs_heap_space_size_used_bytes', 'nodejs_heap_space_size_available_bytes'],
    load: () => import('prom-client/lib/metrics/heapSpacesSizeAndUsed.js')
  },
  version: { metrics: ['nodejs_version_info'], load: () => import('prom-client/lib/metrics/version.js') },
  gc: { metrics: ['nodejs_gc_duration_seconds'], load: () => import('prom-client/lib/metrics/gc.js') }
} as const satisfies Record<string, Collector>

/** The name of a default metric of prom-client, without a prefix. */
export type DefaultMetricName = (typeof collectors)[keyof typeof collectors]['metrics'][number]

export const DEFAULT_METRICS: readonly DefaultMetricName[] = Object.values(collectors).flatMap(({ metrics }) => [...metrics])
