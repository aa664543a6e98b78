import { metric, type Scope } from '../catalogue.js'
import { QueryExemplars, OpenList, SCOPE_DEFAULTS, SCOPE_OPTIONS, readScope } from '../instrumentation/index.js'
import type { Counter, CounterChild, HistogramChild, Labels } from '../metrics/index.js'
import { invalidOption } from '../validation/errors.js'
import { readBuckets, readKnown } from '../validation/given.js'
import { databaseSpellings } from '../validation/spellings.js'
import { oldestAge, type Activity } from './activity.js'
import type { Gauges } from './gauges.js'
import { operations, type Operation } from './operation.js'

/** The options that every database adapter takes. */
export interface DatabaseScope extends Scope {
  /** The connection's name, the label `alias`. Pools of one alias are summed. Default: 'default'. */
  alias?: string | undefined
  /** Upper bounds of the db_*_seconds histograms, in seconds. Default: .001 .005 .01 .05 .1 .5 1 5 10. */
  buckets?: readonly number[] | undefined
}

/** An address, or a connection string of libpq or ADO: 'host=db password=...'. */
const MAY_HOLD_PASSWORD = /:\/\/|\b(?:password|pwd)\s*=/i

/**
 * Checks the options of a database adapter.
 * @param owner the public function that the options were passed to
 * @param own the names of more options, which the adapter checks itself
 * @throws MetricsError FP_ERR_INVALID_OPTION for an option that is unknown or has a wrong value
 */
export function readDatabaseScope<N extends string = never> (owner: string, given: unknown = {}, own: readonly N[] = []): DatabaseScope & { readonly [K in N]?: unknown } {
  const options = readKnown(owner, given, ['alias', 'buckets', ...own, ...SCOPE_OPTIONS], databaseSpellings)
  const { alias, buckets } = options
  if (alias !== undefined && (typeof alias !== 'string' || alias === '')) throw invalidOption(owner, 'alias', 'a name', alias)
  // The alias becomes a label.
  if (alias !== undefined && MAY_HOLD_PASSWORD.test(alias)) throw invalidOption(owner, 'alias', 'a name, and no address or connection string', alias)
  const more = Object.fromEntries(own.map((name) => [name, options[name]])) as { readonly [K in N]?: unknown }
  return { ...more, alias, buckets: readBuckets(owner, buckets), ...readScope(owner, options) }
}

/** What an option of a database adapter is that was not given. */
export const DATABASE_DEFAULTS: DatabaseScope = { alias: 'default', ...SCOPE_DEFAULTS }

/** The metrics of one database connection, to which an adapter writes. Connections of one alias share their series. */
export class DatabaseMetrics {
  /**
   * Queries under way. An adapter adds an activity when it begins, and calls its end() when it ends. The same holds for
   * `waits` and `uses`.
   */
  readonly queries = new OpenList<Activity>()
  /** Requests that wait for a connection of the pool. */
  readonly waits = new OpenList<Activity>()
  /** Connections that are out of the pool. */
  readonly uses = new OpenList<Activity>()
  readonly #labels: { alias: string, vendor: string }
  readonly #exemplars: QueryExemplars
  readonly #queries: Record<Operation, HistogramChild>
  readonly #rows: Record<Operation, CounterChild>
  readonly #queryErrors: Counter<'alias' | 'vendor' | 'type'>
  readonly #connectionErrors: Counter<'alias' | 'vendor' | 'type'>
  readonly #opened: CounterChild
  readonly #closed: CounterChild
  readonly #timeouts: CounterChild
  readonly #created: HistogramChild
  readonly #used: HistogramChild
  readonly #acquired: HistogramChild

  /**
   * @param alias the connection's name
   * @param vendor the engine: 'postgresql', 'mysql', 'sqlite'
   * @param connections whether connections are observed as well as queries; if so, their counters show zero from now on
   * @throws MetricsError FP_ERR_METRIC_CONFLICT when the registry holds something else under one of the names
   */
  constructor (scope: DatabaseScope, alias: string, vendor: string, connections = true) {
    const { buckets } = scope
    const durations = metric('db_query_duration_seconds', scope, { buckets })
    const rows = metric('db_rows_total', scope)
    this.#labels = { alias, vendor }
    this.#exemplars = new QueryExemplars(scope)
    this.#queries = ofEach((operation) => durations.labels(alias, vendor, operation))
    this.#rows = ofEach((operation) => rows.labels(alias, vendor, operation))
    this.#queryErrors = metric('db_query_errors_total', scope)
    this.#connectionErrors = metric('db_connection_errors_total', scope)
    this.#opened = metric('db_connections_opened_total', scope).labels(alias, vendor)
    this.#closed = metric('db_connections_closed_total', scope).labels(alias, vendor)
    this.#timeouts = metric('db_pool_acquire_timeouts_total', scope).labels(alias, vendor)
    this.#created = metric('db_connection_create_duration_seconds', scope, { buckets }).labels(alias, vendor)
    this.#used = metric('db_connection_use_duration_seconds', scope, { buckets }).labels(alias, vendor)
    this.#acquired = metric('db_pool_acquire_duration_seconds', scope, { buckets }).labels(alias, vendor)
    if (connections) for (const counter of [this.#opened, this.#closed]) counter.inc(0)
  }

  /** Shows the queries under way at each scrape. */
  showQueries (gauges: Gauges): void {
    gauges.showSum('db_queries_in_flight', () => this.queries.size)
    gauges.showAge('db_query_oldest_seconds', () => oldestAge(this.queries))
  }

  /** Shows the age of the oldest wait and of the longest use at each scrape, and the timeouts from zero on. */
  showPool (gauges: Gauges): void {
    this.#timeouts.inc(0)
    gauges.showAge('db_pool_oldest_pending_seconds', () => oldestAge(this.waits))
    gauges.showAge('db_connection_oldest_use_seconds', () => oldestAge(this.uses))
  }

  /** The labels for the exemplar of a query that starts now, in the async context of its caller. Never throws. */
  exemplar (): Labels | undefined {
    return this.#exemplars.here()
  }

  /** A query has ended, with a result or an error. @param exemplar from exemplar(), when the query started */
  query (operation: Operation, seconds: number, exemplar?: Labels): void {
    this.#queries[operation].observe(seconds, exemplar)
  }

  /** @param type from errorTypeOf */
  queryFailed (type: string): void {
    this.#queryErrors.inc({ ...this.#labels, type })
  }

  /** Rows were returned or changed. */
  countRows (operation: Operation, count: number): void {
    this.#rows[operation].inc(count)
  }

  /** @param seconds how long the connection took to open, if that is known */
  connectionOpened (seconds?: number): void {
    this.#opened.inc()
    if (seconds !== undefined) this.#created.observe(seconds)
  }

  connectionClosed (): void {
    this.#closed.inc()
  }

  /** A connection could not be made, or was lost while idle. @param type from errorTypeOf */
  connectionFailed (type: string): void {
    this.#connectionErrors.inc({ ...this.#labels, type })
  }

  /** A connection went back to its pool after so many seconds. */
  connectionUsed (seconds: number): void {
    this.#used.observe(seconds)
  }

  /** A request got a connection from the pool after so many seconds, or none before its timeout. */
  acquired (seconds: number): void {
    this.#acquired.observe(seconds)
  }

  /** A request waited until its timeout because the pool was exhausted. */
  acquireTimedOut (): void {
    this.#timeouts.inc()
  }
}

function ofEach<V> (make: (operation: Operation) => V): Record<Operation, V> {
  return Object.fromEntries(operations.map((operation) => [operation, make(operation)])) as Record<Operation, V>
}
