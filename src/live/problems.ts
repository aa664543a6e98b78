import { counted, percent, seconds } from './words.js'
import type { Cache } from './cache.js'
import type { Connections } from './database.js'
import type { Flow } from './flow.js'
import type { Step } from './history.js'
import type { Level } from './level.js'
import type { Host } from './outgoing.js'
import type { Problem } from './shape.js'

/** Where the entries of the runbook are, each under its heading. */
export const RUNBOOK = 'https://github.com/fastify-prometheus/fastify-prometheus/blob/main/docs/runbook.md'

/** What is judged. */
export interface Facts {
  readonly requests: Flow
  readonly failed: Flow
  readonly oldestRequest: Level
  readonly databases: Iterable<Connections>
  readonly hosts: Iterable<Host>
  readonly caches: Iterable<Cache>
  readonly loop: { readonly longest: Level, readonly p99: Level, readonly utilisation: Level }
  readonly dropped: Flow
  readonly instrumentationErrors: Flow
}

/** So few events are an accident. */
const FEW = 5
/** The share of failures from which on it is a problem, and from which on it is the only one. */
const SOME_ERRORS = 0.01
const MANY_ERRORS = 0.05
/** Seconds. */
const SLOW = 0.5
const VERY_SLOW = 5
const HANGING = 60
/** Of requests to other services. */
const OUTGOING_ERRORS = 0.05
export const OUTGOING_SLOW = 2.5
const OUTGOING_HANGING = 300
const LATE = 0.1
const BLOCKED = 1
const BUSY = 0.95

/** How to see whether a database can be reached, by its vendor. */
const REACHING: Readonly<Record<string, string>> = {
  postgresql: 'From where the service runs, try pg_isready and psql with the address that the service has.',
  mysql: 'From where the service runs, try mysqladmin ping and mysql with the address that the service has.',
  mariadb: 'From where the service runs, try mariadb-admin ping and mariadb with the address that the service has.',
  sqlite: 'See whether the file is there, whether the service may write to it and its folder, and whether the disk is full.'
}

type Found = Omit<Problem, 'since' | 'runbook' | 'id'>

/**
 * What is wrong, in the order of the runbook's entries. The bounds are those of the alerts, over a shorter time: they tell
 * what is so now, and not what somebody has to get up for.
 */
export class Problems {
  /** Since when each is there, by its id and what it is about. */
  #since = new Map<string, number>()
  /** By database, in how many samples connections failed since a query succeeded. */
  readonly #unreached = new Map<string, number>()

  /**
   * Judges a sample.
   * @param minute what happened in the last minute
   * @param last what happened since the sample before
   * @param now in milliseconds since the epoch
   */
  of (facts: Facts, { minute, last }: { readonly minute: Step, readonly last: Step }, now: number): Problem[] {
    const since = new Map<string, number>()
    const problems: Problem[] = []
    const tell = (id: string, about: string, found: Found | undefined) => {
      if (found === undefined) return
      const key = `${id} ${about}`
      const began = this.#since.get(key) ?? now
      since.set(key, began)
      problems.push({ id, ...found, runbook: `${RUNBOOK}#${id}`, since: began })
    }
    for (const database of facts.databases) {
      const isDown = this.#isDown(database, minute, last)
      for (const [id, found] of ofDatabase(database, isDown, minute)) tell(id, database.alias, found)
    }
    for (const host of facts.hosts) for (const [id, found] of ofHost(host, minute)) tell(id, host.name, found)
    for (const cache of facts.caches) tell('cache-errors', cache.backend, cacheErrors(cache, minute))
    tell('http-errors', '', errors(facts, minute))
    tell('http-latency', '', latency(facts, minute))
    tell('http-requests-hanging', '', hanging(facts, minute))
    tell('event-loop-lag', '', lag(facts.loop))
    tell('series-dropped', '', growing(minute.grown(facts.dropped)?.count, (count) => `${counted(count, 'write')} went to the overflow series of a metric: it has as many label sets as maxSeries allows.`, 'Find the metric and the label with the most values: metrics_series_dropped_total names the metric.'))
    tell('instrumentation-errors', '', growing(minute.grown(facts.instrumentationErrors)?.count, (count) => `${counted(count, 'error')} of instrumentation in the last minute: numbers may be missing.`, 'Read the first error of each source in the log, a warning with its stack.'))
    this.#since = since
    return problems.sort((a, b) => Number(b.severity === 'critical') - Number(a.severity === 'critical'))
  }

  /**
   * Connections failed in two samples, and no query succeeded since. One is not enough: a failover cuts idle connections, and
   * the next query succeeds.
   */
  #isDown ({ alias, connectionErrors, queries, queryErrors }: Connections, minute: Step, last: Step): boolean {
    const succeeded = (last.grown(queries)?.count ?? 0) - (last.grown(queryErrors)?.count ?? 0)
    const isOver = succeeded > 0 || (minute.grown(connectionErrors)?.count ?? 0) === 0
    const unreached = isOver ? 0 : (this.#unreached.get(alias) ?? 0) + ((last.grown(connectionErrors)?.count ?? 0) > 0 ? 1 : 0)
    this.#unreached.set(alias, unreached)
    return unreached >= 2
  }
}

function * ofDatabase ({ alias, vendor, used, max, pending, oldestQuery, migrationsPending, connectionErrors, timeouts, queries, queryErrors, expectedErrors }: Connections, isDown: boolean, minute: Step): Generator<readonly [string, Found | undefined]> {
  const lately = minute.grown(connectionErrors)?.count ?? 0
  if (isDown) {
    yield ['database-down', { severity: 'critical', text: `The database ${alias} cannot be reached: ${counted(lately, 'connection')} failed in the last minute, and no query has succeeded since.`, first: REACHING[vendor] ?? 'From where the service runs, try to connect with the address that the service has.' }]
  } else if (lately > 0) {
    yield ['database-connection-errors', { severity: 'warning', text: `${counted(lately, 'connection')} to the database ${alias} failed or ${lately === 1 ? 'was' : 'were'} lost in the last minute.`, first: 'Look at the type of the errors, and whether one process or all of them have them.' }]
  }
  const answered = minute.grown(queries)?.count ?? 0
  const wrong = (minute.grown(queryErrors)?.count ?? 0) - (minute.grown(expectedErrors)?.count ?? 0)
  if (!isDown && wrong >= FEW && wrong / answered > SOME_ERRORS) {
    yield ['database-query-errors', { severity: 'critical', text: `${percent(wrong / answered)} of the queries of ${alias} failed in the last minute.`, first: 'Look at the type of the errors: an undefined table or column is a schema that differs from the code.' }]
  }
  const oldest = minute.now(oldestQuery) ?? 0
  if (oldest > HANGING) {
    yield ['database-queries-hanging', { severity: 'critical', text: `A query of ${alias} has been under way for ${seconds(oldest)}.`, first: 'Look who blocks whom in the database, with the SQL of the runbook.' }]
  }
  const gaveUp = minute.grown(timeouts)?.count ?? 0
  if (gaveUp > 0) {
    yield ['database-pool-acquire-timeouts', { severity: 'critical', text: `${counted(gaveUp, 'request')} for a connection of the pool ${alias} gave up in the last minute.`, first: 'If a query is old, end who blocks it; if none is, a client may never be released.' }]
  }
  const most = minute.now(max) ?? Infinity
  const [waiting, taken] = [minute.now(pending) ?? 0, minute.now(used) ?? 0]
  if (waiting > 0 && taken >= most) {
    yield ['database-pool-near-exhaustion', { severity: 'warning', text: `The pool ${alias} has ${counted(most, 'connection')}, all in use, and ${counted(waiting, 'request')} waiting for one.`, first: 'See whether a query is old: then it is a lock or a slow query, else a leak or load.' }]
  }
  const missing = minute.now(migrationsPending) ?? 0
  if (missing > 0) {
    yield ['migrations-unapplied', { severity: 'warning', text: `The database ${alias} lacks ${counted(missing, 'migration')} of the code that runs.`, first: 'Read the log of the migration, and run it.' }]
  }
}

function * ofHost ({ name, all, failed, served, oldest }: Host, minute: Step): Generator<readonly [string, Found]> {
  const [wrong, part] = [minute.grown(failed)?.count ?? 0, minute.share(failed, all) ?? 0]
  if (wrong >= FEW && part > OUTGOING_ERRORS) {
    yield ['outgoing-request-errors', { severity: 'warning', text: `${percent(part)} of the requests to ${name} failed in the last minute.`, first: 'See whether one host fails or all of them: one is them, all are the network or this service.' }]
  }
  const p95 = minute.quantile(served, 0.95) ?? 0
  if (p95 > OUTGOING_SLOW && (minute.grown(served)?.count ?? 0) >= FEW) {
    yield ['outgoing-requests-slow', { severity: 'warning', text: `One answer in twenty of ${name} took longer than ${seconds(p95)} in the last minute.`, first: 'See whether one process is slow or all of them: one is the process, all are them.' }]
  }
  const age = minute.now(oldest) ?? 0
  if (age > OUTGOING_HANGING) {
    yield ['outgoing-requests-hanging', { severity: 'warning', text: `A request to ${name} has been under way for ${seconds(age)}.`, first: 'If it is no stream: look for a call without a timeout, and for an answer whose body nobody reads.' }]
  }
}

function cacheErrors ({ backend, operations, failed }: Cache, minute: Step): Found | undefined {
  const wrong = minute.grown(failed)?.count ?? 0
  // Each part of a transaction that fails is an error.
  const part = Math.min(1, minute.share(failed, operations) ?? 1)
  if (wrong < FEW || part <= SOME_ERRORS) return undefined
  return { severity: 'warning', text: `${percent(part)} of the operations of the cache ${backend} failed in the last minute.`, first: 'Look at the type of the errors, and whether one process or all of them have them.' }
}

function errors ({ requests, failed }: Facts, minute: Step): Found | undefined {
  const all = minute.grown(requests)?.count ?? 0
  const wrong = minute.grown(failed)?.count ?? 0
  if (wrong < FEW || wrong / all < SOME_ERRORS) return undefined
  return { severity: wrong / all >= MANY_ERRORS ? 'critical' : 'warning', text: `${percent(wrong / all)} of the requests failed in the last minute: ${wrong} of ${all}.`, first: 'Did something change? If it began with a deploy, roll back first and look for the reason after.' }
}

function latency ({ requests }: Facts, minute: Step): Found | undefined {
  const p95 = minute.quantile(requests, 0.95)
  if (p95 === undefined || p95 <= SLOW || (minute.grown(requests)?.count ?? 0) < FEW) return undefined
  return { severity: p95 > VERY_SLOW ? 'critical' : 'warning', text: `One request in twenty took longer than ${seconds(p95)} in the last minute.`, first: 'See whether a query is old or connections are waited for: then it is the database.' }
}

function hanging ({ oldestRequest }: Facts, minute: Step): Found | undefined {
  const age = minute.now(oldestRequest) ?? 0
  if (age <= HANGING) return undefined
  return { severity: 'critical', text: `A request has not been answered for ${seconds(age)}.`, first: 'See whether a query is as old, or requests wait for a connection; else it is a call without a timeout.' }
}

function lag ({ longest, p99, utilisation }: Facts['loop']): Found | undefined {
  const [blocked, late, busy] = [longest.value ?? 0, p99.value ?? 0, utilisation.value ?? 0]
  const first = 'Look at CPU and garbage collection; take a CPU profile of the process.'
  if (blocked >= BLOCKED) return { severity: 'critical', text: `The event loop was blocked for ${seconds(blocked)}: nothing was answered.`, first }
  if (late > LATE) return { severity: 'warning', text: `The event loop is late by ${seconds(late)} (p99).`, first }
  if (busy > BUSY) return { severity: 'warning', text: `The event loop is busy ${percent(busy)} of the time.`, first }
  return undefined
}

function growing (count: number | undefined, text: (count: number) => string, first: string): Found | undefined {
  return count === undefined || count <= 0 ? undefined : { severity: 'warning', text: text(count), first }
}
