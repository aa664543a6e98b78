import { isDeepStrictEqual } from 'node:util'
import { metric, type Scope } from '../catalogue.js'
import { QueryExemplars, OpenList, SCOPE_OPTIONS, readScope } from '../instrumentation/index.js'
import { DEFAULT_MAX_SERIES, defaultRegistry, type Counter, type CounterChild, type HistogramChild, type Labels } from '../metrics/index.js'
import { invalidOption } from '../validation/errors.js'
import { readKnown } from '../validation/given.js'
import { databaseSpellings } from '../validation/spellings.js'
import { oldestAge, type Activity } from './activity.js'
import type { Gauges } from './gauges.js'
import { operations, type Operation } from './operation.js'

/** What every database adapter takes. */
export interface DatabaseScope extends Scope {
  /** The connection's name, the label `alias`. Pools of one alias are summed. Default: 'default'. */
  alias?: string | undefined
  /** Upper bounds of the db_*_seconds histograms, in seconds. Default: .001 .005 .01 .05 .1 .5 1 5 10. */
  buckets?: readonly number[] | undefined
}

/** An address, or what libpq and ADO write: 'host=db password=...'. */
const MAY_HOLD_PASSWORD = /:\/\/|\b(?:password|pwd)\s*=/i

const OPTIONS = ['alias', 'buckets', ...SCOPE_OPTIONS] as const satisfies ReadonlyArray<keyof DatabaseScope>

/**
 * The options of a database adapter, checked.
 * @param owner the public function they were given to
 * @throws MetricsError FP_ERR_INVALID_OPTION for an option that is unknown or of no use
 */
export function readDatabaseScope (owner: string, given: unknown = {}): DatabaseScope {
  const options = readKnown(owner, given, OPTIONS, databaseSpellings)
  const { alias, buckets } = options
  if (alias !== undefined && (typeof alias !== 'string' || alias === '')) throw invalidOption(owner, 'alias', 'a name', alias)
  // It becomes a label.
  if (alias !== undefined && MAY_HOLD_PASSWORD.test(alias)) throw invalidOption(owner, 'alias', 'a name, and no address or connection string', alias)
  if (buckets !== undefined && !areBuckets(buckets)) throw invalidOption(owner, 'buckets', 'an array of growing numbers', buckets)
  return { alias, buckets, ...readScope(owner, options) }
}

/**
 * The names of the options that were given and differ from those in force for what is observed already.
 * @param given as readDatabaseScope gave it
 */
export function differingOptions (given: DatabaseScope, inForce: DatabaseScope): string[] {
  return OPTIONS.filter((name) => {
    const [asked, there] = [given[name], inForce[name] ?? DEFAULTS[name]]
    return asked !== undefined && asked !== there && !(typeof asked === 'object' && name !== 'registry' && isDeepStrictEqual(asked, there))
  })
}

/**
 * Says that a call for what is observed already does nothing, where options of its differ from those in force: as the process
 * warning FP_WARN_OBSERVED_ALREADY, with their names alone.
 * @param owner the public function that was called
 * @param what it was called for, 'a pool'
 * @returns whether there was something to say
 */
export function warnOfOtherOptions (owner: string, what: string, differing: readonly string[]): boolean {
  if (differing.length === 0) return false
  process.emitWarning(`fastify-prometheus: ${owner} was called for ${what} that is observed already, with other options (${differing.join(', ')}): ` +
    'the first call counts, and this one does nothing; undo the first before, or leave one of them out', { code: 'FP_WARN_OBSERVED_ALREADY' })
  return true
}

const DEFAULTS: DatabaseScope = { alias: 'default', registry: defaultRegistry, prefix: '', maxSeries: DEFAULT_MAX_SERIES, nativeHistograms: false, exemplars: true }

function areBuckets (value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.length > 0 && [...value].every((bound, i, bounds) => {
    return typeof bound === 'number' && (i === 0 ? Number.isFinite(bound) : bound > bounds[i - 1])
  })
}

/** The numbers of one database connection: what an adapter writes to. Two of one alias share theirs. */
export class DatabaseMetrics {
  /** Queries under way. An adapter adds one when it starts and ends it when it ends, here and below. */
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
   * @param connections whether connections are observed as well as queries, so that their counters show zero from now on
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
    if (connections) for (const counter of [this.#opened, this.#closed, this.#timeouts]) counter.inc(0)
  }

  /** Shows the queries under way at each scrape. */
  showQueries (gauges: Gauges): void {
    gauges.sum('db_queries_in_flight', () => this.queries.size)
    gauges.age('db_query_oldest_seconds', () => oldestAge(this.queries))
  }

  /** Shows the age of the oldest wait and of the longest use at each scrape. */
  showPool (gauges: Gauges): void {
    gauges.age('db_pool_oldest_pending_seconds', () => oldestAge(this.waits))
    gauges.age('db_connection_oldest_use_seconds', () => oldestAge(this.uses))
  }

  /** The labels for the exemplar of a query that starts here, in the async context of whoever makes it. Never throws. */
  exemplar (): Labels | undefined {
    return this.#exemplars.here()
  }

  /** A query ended, well or not. @param exemplar from exemplar(), when it started */
  query (operation: Operation, seconds: number, exemplar?: Labels): void {
    this.#queries[operation].observe(seconds, exemplar)
  }

  /** @param type from errorTypeOf */
  queryFailed (type: string): void {
    this.#queryErrors.inc({ ...this.#labels, type })
  }

  /** Rows were returned or changed. */
  rows (operation: Operation, count: number): void {
    this.#rows[operation].inc(count)
  }

  /** @param seconds how long it took, where it is known */
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

  /** A connection was got from the pool after so many seconds, or not in the time there was. */
  acquired (seconds: number): void {
    this.#acquired.observe(seconds)
  }

  /** The pool was exhausted for as long as a caller would wait. */
  acquireTimedOut (): void {
    this.#timeouts.inc()
  }
}

function ofEach<V> (make: (operation: Operation) => V): Record<Operation, V> {
  return Object.fromEntries(operations.map((operation) => [operation, make(operation)])) as Record<Operation, V>
}
