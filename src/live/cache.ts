import { Chart } from './chart.js'
import { Flow } from './flow.js'
import type { History, Step } from './history.js'
import type { LabelValues, Tap } from './intake.js'
import type { SummaryItem } from './shape.js'
import { summaryItem } from './summary.js'

/** Backends that are told apart; more are one together. */
const MOST_BACKENDS = 8
/** An operation whose duration is the waiting: BLPOP and its like. */
const WAITING = 'wait'

/** What caches answer as a matter of course: as in the alert CacheErrors (examples/prometheus/rules/recordings.js). */
export const EXPECTED = /^(WatchError|NOSCRIPT|BUSYGROUP)$/

/** What is known of a cache. */
export interface Cache {
  readonly backend: string
  readonly operations: Flow
  /** Without what is expected. */
  readonly failed: Flow
}

/** What is asked of caches. */
export class Caches {
  readonly #history: History
  readonly #caches = new Map<string, Cache>()
  readonly #allReads: Flow
  readonly #allHits: Flow
  readonly #reads: Chart
  readonly #hits: Chart
  readonly #operations: Chart
  readonly #latency: Chart
  readonly #errors: Chart

  constructor (history: History) {
    this.#history = history
    this.#allReads = history.flow(new Flow())
    this.#allHits = history.flow(new Flow())
    const chart = (id: string, title: string, unit: Chart['settings']['unit'], help: string, kind: 'line' | 'area' = 'line') =>
      new Chart(history, { id: `cache.${id}`, section: 'cache', title, unit, kind, of: 'all', help })
    this.#reads = chart('gets', 'Keys read', 'per second', 'Keys that were read, by cache, those of a read of many keys one by one.', 'area')
    this.#hits = chart('hits', 'Hits', 'ratio', 'The share of the keys read that the cache had. A read that failed is neither.')
    this.#operations = chart('operations', 'Operations', 'per second', 'Operations of all caches that ended, by operation, failed ones included.', 'area')
    this.#latency = chart('latency', 'Operation latency, p95', 'seconds', 'Duration of operations, by cache, without those that only wait.')
    this.#errors = chart('errors', 'Cache errors', 'per second', 'Operations that failed, by type.', 'area')
  }

  get taps (): Readonly<Record<string, Tap>> {
    return {
      // What was read is what was a hit or a miss.
      cache_hits_total: (labels) => {
        const { reads, hits } = this.#read(labels)
        return [reads, this.#allReads, hits, this.#allHits]
      },
      cache_misses_total: (labels) => [this.#read(labels).reads, this.#allReads],
      cache_operation_duration_seconds: (labels) => {
        const { operation = '' } = labels
        const { backend, operations } = this.#of(labels)
        const latency = operation === WAITING ? [] : [this.#latency.flow(backend, (step, own) => step.quantile(own, 0.95))]
        return [operations, this.#operations.flow(operation), ...latency]
      },
      cache_errors_total: (labels) => {
        const { type = '' } = labels
        return [this.#errors.flow(type), ...EXPECTED.test(type) ? [] : [this.#of(labels).failed]]
      }
    }
  }

  get all (): Iterable<Cache> {
    return this.#caches.values()
  }

  get charts (): Chart[] {
    return [this.#reads, this.#hits, this.#operations, this.#latency, this.#errors].filter(({ isEmpty }) => !isEmpty)
  }

  summary (minute: Step): SummaryItem[] {
    return minute.grown(this.#allReads) === undefined ? [] : [summaryItem('cache_hits', 'Cache hits', 'ratio', minute.share(this.#allHits, this.#allReads))]
  }

  #read (labels: LabelValues): { readonly reads: Flow, readonly hits: Flow } {
    const { backend } = this.#of(labels)
    const reads = this.#reads.flow(backend)
    return { reads, hits: this.#hits.flow(backend, (step, own) => step.share(own, reads)) }
  }

  #of ({ backend = '' }: LabelValues): Cache {
    const chosen = this.#caches.has(backend) || this.#caches.size < MOST_BACKENDS ? backend : 'all others'
    const known = this.#caches.get(chosen)
    if (known !== undefined) return known
    const made = { backend: chosen, operations: this.#history.flow(new Flow()), failed: this.#history.flow(new Flow()) }
    this.#caches.set(chosen, made)
    return made
  }
}
