import { stat } from './panels.js'
import { counts, growth, max, orZero, rateOf, series, share, sum } from './queries.js'

export const CHOSEN = ['alias=~"$alias"']
export const QUERIES = 'db_query_duration_seconds'
/** By process; the fullest is the one that makes requests wait. */
export const SATURATION = `${series('db_pool_connections', ...CHOSEN, 'state="used"')} / ignoring (state) (${series('db_pool_connections_max', ...CHOSEN)} > 0)`
const where = CHOSEN

const fullest = stat({
  title: 'Fullest pool',
  description: 'Connections in use, of those the pool may have: the fullest of any process. At 100 % requests wait.',
  unit: 'percentunit',
  queries: [[max(SATURATION)]],
  limits: { yellow: 0.8, red: 0.95 },
  noValue: 'no pools',
  runbook: 'database-pool-near-exhaustion'
}).decimals(0)

const waiting = stat({
  title: 'Waiting',
  description: 'Requests for a connection that wait at this moment. More than a moment above 0 is bad.',
  unit: 'locale',
  queries: [[sum(series('db_pool_pending_requests', ...CHOSEN))]],
  limits: { yellow: 1, red: 10 },
  noValue: 'no pools',
  runbook: 'database-pool-acquire-timeouts'
})

const oldestNow = stat({
  title: 'Oldest query',
  description: 'Age of the oldest query that is under way. In a lock it grows second by second: pg_stat_activity or SHOW PROCESSLIST say on what.',
  unit: 's',
  queries: [[max(series('db_query_oldest_seconds', ...CHOSEN))]],
  limits: { yellow: 5, red: 30 },
  noValue: 'no database',
  runbook: 'database-queries-hanging'
})

const useNow = stat({
  title: 'Longest use',
  description: 'How long the connection that has been out of its pool for longest has been out. It grows while no query is old: a client that is never released.',
  unit: 's',
  queries: [[max(series('db_connection_oldest_use_seconds', ...CHOSEN))]],
  limits: { yellow: 30, red: 300 },
  noValue: 'no pools',
  runbook: 'database-pool-near-exhaustion'
})

const timeouts = stat({
  title: 'Acquire timeouts',
  description: 'Requests for a connection that gave up waiting, in the time shown. Each is a request that failed.',
  unit: 'locale',
  queries: [[sum(growth('db_pool_acquire_timeouts_total', ...CHOSEN))]],
  limits: { red: 1 },
  noValue: 'no pools',
  runbook: 'database-pool-acquire-timeouts'
}).decimals(0)

const queryErrorShare = stat({
  title: 'Failed queries',
  description: 'Share of queries that failed. A unique violation that the code expects is among them; what got no connection is not, as it was never sent: look at connection errors and acquire timeouts.',
  unit: 'percentunit',
  queries: [[share(rateOf('db_query_errors_total', { where }), counts(QUERIES, { where }))]],
  limits: { yellow: 0.001, red: 0.01 },
  noValue: 'none ended',
  runbook: 'database-query-errors'
}).decimals(2)

const connectionErrorCount = stat({
  title: 'Connect errors',
  description: 'Connections that could not be made, or were lost while idle, in the time shown. Any is bad, but for a database that was restarted on purpose.',
  unit: 'locale',
  queries: [[orZero(sum(growth('db_connection_errors_total', ...CHOSEN)), sum(series('db_queries_in_flight', ...CHOSEN)))]],
  limits: { red: 1 },
  noValue: 'no database',
  runbook: 'database-connection-errors'
}).decimals(0)

const pendingMigrations = stat({
  title: 'Migrations due',
  description: 'Migrations that the code has and the database has not. Above 0 after a deployment: it was forgotten to migrate, or that failed.',
  unit: 'locale',
  queries: [[max(series('db_migrations_pending', ...CHOSEN), 'alias'), '{{alias}}']],
  limits: { red: 1 },
  noValue: 'no migrations',
  runbook: 'migrations-unapplied'
})

/** How the database is at this moment: the first thing to look at. */
export const now = [fullest, waiting, oldestNow, useNow, timeouts, queryErrorShare, connectionErrorCount, pendingMigrations]
