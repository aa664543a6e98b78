import { performance } from 'node:perf_hooks'
import { metric } from '../catalogue.js'
import { QueryExemplars, Trouble, errorTypeOf, secondsSince } from '../instrumentation/index.js'
import type { Counter, CounterChild, HistogramChild, Labels } from '../metrics/index.js'
import { cacheOperations, type CacheOperation } from './operation.js'
import type { CacheScope } from './scope.js'

/**
 * Writes what is asked of one cache to its metrics. An adapter calls it when an operation has ended. No method throws:
 * an error of our own is reported as trouble, and reaches no caller. Times are in milliseconds of performance.now().
 */
export class CacheRecorder {
  /** Whether anything is observed; false after undo. */
  active = true
  readonly backend: string
  readonly #source: string
  readonly #trouble: Trouble
  readonly #exemplars: QueryExemplars
  readonly #gets: CounterChild
  readonly #hits: CounterChild
  readonly #misses: CounterChild
  readonly #errors: Counter<'backend' | 'operation' | 'type'>
  readonly #durations: Record<CacheOperation, HistogramChild>

  /**
   * @param scope from readCacheScope
   * @param source who reports trouble, the label `source` of metrics_instrumentation_errors_total
   * @throws MetricsError FP_ERR_METRIC_CONFLICT when the registry holds something else under one of the names
   */
  constructor (scope: CacheScope, source = 'cache') {
    const { backend = 'default', buckets } = scope
    const durations = metric('cache_operation_duration_seconds', scope, { buckets })
    this.backend = backend
    this.#source = source
    this.#trouble = new Trouble(scope)
    this.#exemplars = new QueryExemplars(scope)
    this.#gets = metric('cache_gets_total', scope).labels(backend)
    this.#hits = metric('cache_hits_total', scope).labels(backend)
    this.#misses = metric('cache_misses_total', scope).labels(backend)
    this.#errors = metric('cache_errors_total', scope)
    this.#durations = Object.fromEntries(cacheOperations.map((operation) => [operation, durations.labels(backend, operation)])) as Record<CacheOperation, HistogramChild>
    // A rate needs a number to begin with.
    for (const counter of [this.#gets, this.#hits, this.#misses]) counter.inc(0)
  }

  /** Reports an error of the adapter itself: it is counted, and the first is logged. */
  report (error: unknown): void {
    this.#trouble.report(this.#source, error)
  }

  /** Now. */
  now (): number {
    return performance.now()
  }

  /** The labels for the exemplar of an operation that starts now, in the async context of its caller. */
  exemplar (): Labels | undefined {
    return this.#exemplars.here()
  }

  /**
   * An operation has ended. Every read takes this path, so it makes nothing.
   * @param began when it began
   * @param hits how many keys it read that the cache had
   * @param misses how many keys it read that the cache did not have
   * @param exemplar from exemplar(), when the operation began
   */
  ended (operation: CacheOperation, began: number, hits = 0, misses = 0, exemplar?: Labels): void {
    try {
      this.#took(operation, began, exemplar)
      this.#read(hits, misses)
    } catch (error) {
      this.report(error)
    }
  }

  /**
   * An operation has failed: its keys are neither hits nor misses.
   * @param reason what was thrown
   * @param type its type, if the adapter knows a better one than the class; never text of the application
   */
  failed (operation: CacheOperation, began: number, reason: unknown, exemplar?: Labels, type?: string): void {
    try {
      this.#took(operation, began, exemplar)
      this.#failed(operation, reason, type)
    } catch (error) {
      this.report(error)
    }
  }

  /** Keys were read by an operation whose duration is observed as a whole, as that of a transaction. */
  keysRead (hits: number, misses: number): void {
    try {
      this.#read(hits, misses)
    } catch (error) {
      this.report(error)
    }
  }

  /** A part of an operation failed whose duration is observed as a whole, as that of a transaction. */
  partFailed (operation: CacheOperation, reason: unknown, type?: string): void {
    try {
      this.#failed(operation, reason, type)
    } catch (error) {
      this.report(error)
    }
  }

  /** Does something that must not throw into the application. */
  record (write: () => void): void {
    try {
      write()
    } catch (error) {
      this.report(error)
    }
  }

  #took (operation: CacheOperation, began: number, exemplar: Labels | undefined): void {
    this.#durations[operation].observe(secondsSince(began), exemplar)
  }

  #read (hits: number, misses: number): void {
    if (hits > 0) this.#hits.inc(hits)
    if (misses > 0) this.#misses.inc(misses)
    if (hits + misses > 0) this.#gets.inc(hits + misses)
  }

  #failed (operation: CacheOperation, reason: unknown, type = errorTypeOf(reason)): void {
    this.#errors.inc({ backend: this.backend, operation, type })
  }
}
