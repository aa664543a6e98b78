import { BigValueTextMode } from '@grafana/grafana-foundation-sdk/common'
import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard'
import { dashboardOf } from './frame.js'
import { bars, lines, stat } from './panels.js'
import { PROCESS, PROCESS_LEGEND, counts, max, mean, orNone, quantile, rate, rateOf, series, sum, sums } from './queries.js'
import { table } from './tables.js'

const SCRAPE = 'metrics_exposition_duration_seconds'

export function runtime (): Dashboard {
  return dashboardOf({
    uid: 'fastify-prometheus-runtime',
    description: 'Is it the process: CPU, memory, event loop, garbage collection, handles; and what a scrape of it costs.',
    rows: [
      { title: 'Processes', panels: [versions, restarts, youngest, descriptorsNow, builds, processes] },
      { title: 'CPU and event loop', panels: [cpu, utilisation, lag, lagQuantiles] },
      { title: 'Memory', panels: [resident, heap, external, spaces, old] },
      { title: 'Garbage collection', panels: [gcShare, gcPauses, gcRuns] },
      { title: 'Handles', panels: [resources, handles, descriptors] },
      { title: 'Log', panels: [logLines] },
      { title: 'Exposition', panels: [scrapeTime, scrapeSize, outcomes, seriesByMetric, dropped] }
    ]
  })
}

/** Of the time of the event loop, how much it ran code. */
const UTILISATION = sum(rate('nodejs_eventloop_time_seconds_total', 'state="active"'), PROCESS)

/** A gauge that each process has for itself. */
function gauge (metric: string, ...where: string[]): string {
  return max(series(metric, ...where), PROCESS)
}

const versions = stat({
  title: 'Node',
  description: 'Processes by the version of Node that they run. Two versions are a deployment under way, or one that stopped halfway.',
  unit: 'locale',
  width: 6,
  queries: [[`count by (version) (${series('nodejs_version_info')})`, '{{version}}']],
  noValue: 'no process'
}).textMode(BigValueTextMode.ValueAndName)

const restarts = stat({
  title: 'Restarts',
  description: 'Processes that began anew at the same address in the time shown: crashes, mostly. A new pod is not among them. The red lines say when.',
  unit: 'locale',
  width: 6,
  queries: [[sum(`changes(${series('process_start_time_seconds')}[$__range])`)]],
  limits: { yellow: 1, red: 3 },
  noValue: 'no process'
})

const youngest = stat({
  title: 'Youngest process',
  description: 'For how long the process runs that was started last, a new pod too. Minutes, and no deployment: something restarts them.',
  unit: 's',
  width: 6,
  queries: [[`time() - ${max(series('process_start_time_seconds'))}`]],
  limits: { yellow: 600, red: 60 },
  noValue: 'no process'
})

const descriptorsNow = stat({
  title: 'File descriptors',
  description: 'Open, of those the process may have, where it is worst. At 100 % no connection can be accepted or made. Linux only.',
  unit: 'percentunit',
  width: 6,
  queries: [[max(`${series('process_open_fds')} / (${series('process_max_fds')} > 0)`)]],
  limits: { yellow: 0.7, red: 0.9 },
  noValue: 'Linux only'
}).decimals(1)

const builds = table({
  title: 'Versions of the service',
  description: 'Now, by version and commit. Two are a deployment under way, or one that stopped halfway. The green lines say when one came.',
  keys: { version: 'Version', commit: 'Commit' },
  sortBy: 'Oldest began',
  ascending: true,
  noValue: 'no process',
  height: 5,
  widths: { Commit: 360 },
  columns: [
    { title: 'Processes', unit: 'locale', expr: sum(series('app_build_info'), 'version, commit') },
    { title: 'Oldest began', unit: 's', expr: `time() - min by (version, commit) (${series('process_start_time_seconds')} * on (namespace, job, pod, instance) group_right () ${series('app_build_info')})` }
  ]
})

const processes = table({
  title: 'Processes',
  description: 'Now, each process. One that differs from the others is where to look: more load, a leak, or an older version.',
  keys: { pod: 'Pod', instance: 'Instance' },
  sortBy: 'CPU',
  noValue: 'no process',
  height: 8,
  columns: [
    { title: 'Uptime', unit: 's', expr: `time() - ${gauge('process_start_time_seconds')}` },
    { title: 'Requests', unit: 'reqps', expr: rateOf('http_requests_received_total', { by: PROCESS }) },
    { title: 'In flight', unit: 'locale', expr: sum(series('http_requests_in_flight'), PROCESS) },
    { title: 'CPU', unit: 'percentunit', expr: sum(rate('process_cpu_seconds_total'), PROCESS) },
    { title: 'Resident', unit: 'bytes', expr: gauge('process_resident_memory_bytes') },
    { title: 'Heap used', unit: 'bytes', expr: gauge('nodejs_heap_size_used_bytes') },
    { title: 'Event loop', unit: 'percentunit', expr: UTILISATION },
    { title: 'Event loop p99', unit: 's', expr: gauge('nodejs_eventloop_lag_p99_seconds') },
    { title: 'Open files', unit: 'locale', expr: gauge('process_open_fds') }
  ]
})

const cpu = lines({
  title: 'CPU',
  description: 'Of one core, in user and system mode. JavaScript runs on one thread, so near 100 % is the limit; above it, garbage collection and other threads take the rest. Much in system mode is sockets and files.',
  unit: 'percentunit',
  width: 6,
  atLeast: 1,
  queries: [
    [sum(rate('process_cpu_user_seconds_total'), PROCESS), `user ${PROCESS_LEGEND}`],
    [sum(rate('process_cpu_system_seconds_total'), PROCESS), `system ${PROCESS_LEGEND}`]
  ],
  noValue: 'no process'
})

const utilisation = lines({
  title: 'Event loop utilisation',
  description: 'Share of the time in which the event loop ran code instead of waiting for events. Near 100 % while CPU is lower: the process gets less CPU than it wants, or a synchronous call waits. It says what load is left better than CPU does.',
  unit: 'percentunit',
  width: 6,
  queries: [[UTILISATION, PROCESS_LEGEND]],
  noValue: 'no process',
  runbook: 'event-loop-lag'
}).max(1)

const lag = lines({
  title: 'Event loop lag p99',
  description: 'How late timers were since the scrape before. The timer that measures is 10 ms long, so an idle process has 10 ms. Above 100 ms something blocks: a large JSON, a regular expression, a synchronous call.',
  unit: 's',
  width: 6,
  queries: [[gauge('nodejs_eventloop_lag_p99_seconds'), PROCESS_LEGEND]],
  noValue: 'no process',
  runbook: 'event-loop-lag'
})

const lagQuantiles = lines({
  title: 'Event loop lag',
  description: 'Of the worst process: median, p90 and the longest since the scrape before; 10 ms of each are the timer. A high maximum and a low median are single long tasks; a high median is too much work.',
  unit: 's',
  width: 6,
  queries: [
    [max(series('nodejs_eventloop_lag_p50_seconds')), 'p50'],
    [max(series('nodejs_eventloop_lag_p90_seconds')), 'p90'],
    [max(series('nodejs_eventloop_lag_max_seconds')), 'longest']
  ],
  noValue: 'no process',
  runbook: 'event-loop-lag'
})

const resident = lines({
  title: 'Resident memory',
  description: 'What the kernel counts, and what it kills a container for. It grows in the first minutes; if it goes on for days it is a leak.',
  unit: 'bytes',
  queries: [[gauge('process_resident_memory_bytes'), PROCESS_LEGEND]],
  noValue: 'no process'
})

const heap = lines({
  title: 'Heap of V8',
  description: 'Used, and taken from the system. Its lowest points after garbage collections are what is really needed: they should not rise.',
  unit: 'bytes',
  queries: [
    [gauge('nodejs_heap_size_used_bytes'), `used ${PROCESS_LEGEND}`],
    [gauge('nodejs_heap_size_total_bytes'), `total ${PROCESS_LEGEND}`]
  ],
  noValue: 'no process'
})

const external = lines({
  title: 'External memory',
  description: 'Buffers and what else is bound to JavaScript objects outside of the heap. It grows with bodies that are kept in memory, and streams that nobody reads.',
  unit: 'bytes',
  queries: [[gauge('nodejs_external_memory_bytes'), PROCESS_LEGEND]],
  noValue: 'no process'
})

const spaces = lines({
  title: 'Heap by space',
  description: 'Used, all chosen processes together. "new" is short-lived; "old" is what survived; "large_object" are arrays and strings of more than half a megabyte.',
  unit: 'bytes',
  width: 12,
  stacked: true,
  queries: [[sum(series('nodejs_heap_space_size_used_bytes'), 'space'), '{{space}}']],
  noValue: 'no process'
})

const old = lines({
  title: 'Old space by process',
  description: 'What survived garbage collections. It falls at each major one; if it does not fall to where it was before, hour after hour, that process leaks.',
  unit: 'bytes',
  width: 12,
  queries: [[gauge('nodejs_heap_space_size_used_bytes', 'space="old"'), PROCESS_LEGEND]],
  noValue: 'no process'
})

const gcShare = lines({
  title: 'Time in garbage collection',
  description: 'Share of a process\'s time, by kind, the chosen processes\' worst. Above 10 % too much is allocated, or the heap is nearly full. prom-client counts one pause of those that it is told of at once, so it is at least this.',
  unit: 'percentunit',
  atLeast: 0.1,
  queries: [[max(sums('nodejs_gc_duration_seconds', { by: `kind, ${PROCESS}` }), 'kind'), '{{kind}}']],
  noValue: 'no collections'
})

const gcPauses = lines({
  title: 'Pauses p99',
  description: 'One in a hundred garbage collections takes longer, by kind; as fine as the buckets, which are 1 ms, 10 ms, 100 ms, 1 s. Every request waits for a major one.',
  unit: 's',
  queries: [[quantile(0.99, 'nodejs_gc_duration_seconds', { by: 'kind' }), '{{kind}}']],
  noValue: 'no collections'
})

const gcRuns = lines({
  title: 'Garbage collections',
  description: 'A second, by kind, all chosen processes together. Many minor ones are normal under load, many major ones are not.',
  unit: 'cps',
  queries: [[counts('nodejs_gc_duration_seconds', { by: 'kind' }), '{{kind}}']],
  noValue: 'no collections'
})

const resources = lines({
  title: 'Active resources by type',
  description: 'What keeps the event loop alive, all chosen processes together: timers, sockets, servers. A type that grows without end is never closed.',
  unit: 'locale',
  queries: [[sum(series('nodejs_active_resources'), 'type'), '{{type}}']],
  noValue: 'no process'
})

const handles = lines({
  title: 'Active handles by type',
  description: 'Sockets, servers and child processes, all chosen processes together. Sockets follow the clients and the pools.',
  unit: 'locale',
  queries: [[sum(series('nodejs_active_handles'), 'type'), '{{type}}'], [sum(series('nodejs_active_requests_total')), 'requests to the system']],
  noValue: 'no process'
})

const descriptors = lines({
  title: 'File descriptors',
  description: 'Open ones by process, and the lowest limit. One that grows without end is a socket or a file that is never closed. Linux only.',
  unit: 'locale',
  queries: [
    [gauge('process_open_fds'), PROCESS_LEGEND],
    [`min(${series('process_max_fds')})`, 'limit']
  ],
  noValue: 'no process'
}).overrideByName('limit', [{ id: 'custom.lineStyle', value: { fill: 'dash', dash: [8, 8] } }, { id: 'custom.fillOpacity', value: 0 }, { id: 'custom.axisPlacement', value: 'right' }])

const logLines = lines({
  title: 'Log lines by level',
  description: 'Lines that the logger wrote, a second; where log_messages_total is switched on. Errors that rise without 5xx are failures that no request sees: jobs, retries, what is swallowed.',
  unit: 'cps',
  width: 24,
  queries: [[rateOf('log_messages_total', { by: 'level' }), '{{level}}']],
  noValue: 'switched off'
})

const scrapeTime = lines({
  title: 'Time to serve a scrape',
  description: 'From its request to its last byte, and how long Prometheus saw it take. It is made in slices, so a long one does not block; near the timeout of the scrape it is lost.',
  unit: 's',
  queries: [
    [quantile(0.5, SCRAPE), 'p50'],
    [quantile(0.99, SCRAPE), 'p99'],
    [max(series('scrape_duration_seconds')), 'longest, as Prometheus saw it']
  ],
  noValue: 'no scrapes',
  runbook: 'target-down'
})

const scrapeSize = lines({
  title: 'Size of a scrape',
  description: 'Mean size of the page as it was sent, compressed where the scraper takes that, by process. It grows with the series.',
  unit: 'bytes',
  queries: [[mean('metrics_exposition_size_bytes', { by: PROCESS }), PROCESS_LEGEND]],
  noValue: 'no scrapes'
})

const outcomes = lines({
  title: 'Scrapes by outcome',
  description: 'Scrapes a second, by format and outcome. All but served are bad: aborted and timeout are scrapers that did not wait, refused are more at once than maxScrapes.',
  unit: 'cps',
  queries: [[rateOf('metrics_expositions_total', { by: 'format, outcome' }), '{{outcome}} {{format}}']],
  noValue: 'no scrapes',
  runbook: 'target-down'
})

const seriesByMetric = bars({
  title: 'Label sets by metric',
  description: 'The five metrics that have most, in the process where they have most, of those with 100 or a tenth of their maxSeries. Prometheus keeps one series for each, and one more for each bucket of a histogram. Thousands are a label with too many values.',
  unit: 'locale',
  width: 12,
  limits: { yellow: 1000, red: 5000 },
  queries: [[orNone(`topk(5, ${max(series('metrics_series'), 'metric')})`, 'metric', sum(series('up'))), '{{metric}}']],
  noValue: 'no target',
  runbook: 'series-dropped'
})

const dropped = lines({
  title: 'Label sets dropped, by metric',
  description: 'Writes a second that went to the __overflow__ series, because the metric has maxSeries label sets. Any is bad: what they counted cannot be told apart any more.',
  unit: 'cps',
  width: 12,
  queries: [[orNone(`topk(10, ${rateOf('metrics_series_dropped_total', { by: 'metric' })})`, 'metric', sum(series('up'))), '{{metric}}']],
  noValue: 'no target',
  runbook: 'series-dropped'
})
