import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard'
import { dashboardOf } from './frame.js'
import { CHOSEN, now, QUERIES, SATURATION } from './database-now.js'
import { heatmap, lines } from './panels.js'
import { buckets, counts, max, mean, orNone, quantile, rateOf, series, share, sum, sums } from './queries.js'
import { aliasVariable } from './variables.js'

/** What moves data; begin, commit and rollback have a panel of their own. */
const DATA = [...CHOSEN, 'operation!~"begin|commit|rollback"']
const where = CHOSEN

export function database (): Dashboard {
  return dashboardOf({
    uid: 'fastify-prometheus-database',
    description: 'Is it the database, or the way to it: connections, pools, queries, transactions, migrations.',
    variables: [aliasVariable()],
    rows: [
      { title: 'Now', panels: now },
      { title: 'Under way', panels: [running, oldestQuery, oldestWait, longestUse] },
      { title: 'Pools', panels: [connections, saturation, pending, acquire, acquireTimeouts, use] },
      { title: 'Connections', panels: [opened, create, connectionErrors] },
      { title: 'Queries', panels: [byOperation, p99, busy, latencies, quantiles, errors, rows, rowsPerQuery] },
      { title: 'Transactions and migrations', panels: [transactions, rolledBack, migrations] }
    ]
  })
}

const migrations = lines({
  title: 'Migrations',
  description: 'Applied and pending, in the process that has the most. Between two deployments nothing moves.',
  unit: 'locale',
  queries: [
    [max(series('db_migrations_applied', ...CHOSEN), 'alias'), '{{alias}} applied'],
    [max(series('db_migrations_pending', ...CHOSEN), 'alias'), '{{alias}} pending']
  ],
  noValue: 'no migrations',
  runbook: 'migrations-unapplied'
})

const running = lines({
  title: 'Queries in flight',
  description: 'Queries that run at this moment, all processes together. In a lock nothing ends, so all that is measured at its end stands still; this rises.',
  unit: 'locale',
  width: 6,
  queries: [[sum(series('db_queries_in_flight', ...CHOSEN), 'alias'), '{{alias}}']],
  noValue: 'no database'
})

/** An age, in the process of the alias where it is greatest. */
const age = (title: string, name: string, description: string) => lines({
  title,
  description,
  unit: 's',
  width: 6,
  queries: [[max(series(name, ...CHOSEN), 'alias'), '{{alias}}']],
  noValue: 'no pools'
})

const oldestQuery = age('Oldest query', 'db_query_oldest_seconds', 'How long the oldest query has been running, in the process where it is oldest. A straight line upwards hangs: pg_stat_activity or SHOW PROCESSLIST say on what.')

const oldestWait = age('Oldest waiter', 'db_pool_oldest_pending_seconds', 'How long the request that waits for a connection for longest has waited, that of one which is being opened too. Above a moment the pool is exhausted, or the database cannot be reached.')

const longestUse = age('Longest use', 'db_connection_oldest_use_seconds', 'How long the connection that has been out of its pool for longest has been out. A line that rises for ever while no query is old is a leak: a client that is never released.')

const connections = lines({
  title: 'Connections',
  description: 'Used and idle, of all processes together, and how many there may be, if there is a limit. The database has a limit too: the maxima of all processes must fit below it.',
  unit: 'locale',
  queries: [
    [sum(series('db_pool_connections', ...CHOSEN), 'alias, state'), '{{alias}} {{state}}'],
    [sum(series('db_pool_connections_max', ...CHOSEN), 'alias'), '{{alias}} max']
  ],
  noValue: 'no pools'
}).overrideByRegexp('.* max', [{ id: 'custom.lineStyle', value: { fill: 'dash', dash: [8, 8] } }, { id: 'custom.fillOpacity', value: 0 }])

const saturation = lines({
  title: 'Saturation',
  description: 'Connections in use, of those the pool may have; the fullest process of each alias. Not of a pool without a limit, nor of SQLite, which has none. Near 100 % for minutes: more connections, fewer or faster queries, shorter transactions.',
  unit: 'percentunit',
  queries: [[max(SATURATION, 'alias'), '{{alias}}']],
  noValue: 'no pools',
  runbook: 'database-pool-near-exhaustion'
}).max(1)

const pending = lines({
  title: 'Waiting for a connection',
  description: 'Requests for a connection that wait, all processes together. A scrape sees only a moment: the time to acquire says it all.',
  unit: 'locale',
  queries: [[sum(series('db_pool_pending_requests', ...CHOSEN), 'alias'), '{{alias}}']],
  noValue: 'no pools',
  runbook: 'database-pool-acquire-timeouts'
})

const acquire = lines({
  title: 'Time to acquire',
  description: 'From asking the pool to having a connection, a new one included. Tens of milliseconds are an exhausted pool, or connections that are made anew each time. Who still waits is in no quantile: the longest is a line of its own.',
  unit: 's',
  queries: [
    ...([0.5, 0.99] as const).map((q) => [quantile(q, 'db_pool_acquire_duration_seconds', { by: 'alias', where }), `{{alias}} p${q * 100}`] as const),
    [max(series('db_pool_oldest_pending_seconds', ...CHOSEN), 'alias'), '{{alias}} oldest waiter']
  ],
  noValue: 'no pools'
})

const acquireTimeouts = lines({
  title: 'Acquire timeouts',
  description: 'Requests for a connection that gave up waiting, a second. Any is bad: each is a request that failed.',
  unit: 'cps',
  queries: [[rateOf('db_pool_acquire_timeouts_total', { by: 'alias', where }), '{{alias}}']],
  noValue: 'no pools',
  runbook: 'database-pool-acquire-timeouts'
})

const use = lines({
  title: 'Time in use',
  description: 'How long a connection was out of its pool. Far above the time of queries: the code holds connections while it does something else. What is still out is in no quantile: the longest is a line of its own.',
  unit: 's',
  queries: [
    ...([0.5, 0.99] as const).map((q) => [quantile(q, 'db_connection_use_duration_seconds', { by: 'alias', where }), `{{alias}} p${q * 100}`] as const),
    [max(series('db_connection_oldest_use_seconds', ...CHOSEN), 'alias'), '{{alias}} longest now']
  ],
  noValue: 'no pools'
})

const opened = lines({
  title: 'Opened and closed',
  description: 'Connections a second. A steady rate is a pool that lets go of connections it needs again: its idle timeout is too short.',
  unit: 'cps',
  queries: [
    [rateOf('db_connections_opened_total', { by: 'alias', where }), '{{alias}} opened'],
    [rateOf('db_connections_closed_total', { by: 'alias', where }), '{{alias}} closed']
  ],
  noValue: 'no pools'
})

const create = lines({
  title: 'Time to connect',
  description: 'Mean time to open a connection: network, TLS, authentication. A gap is a time in which none was opened.',
  unit: 's',
  queries: [[mean('db_connection_create_duration_seconds', { by: 'alias', where }), '{{alias}}']],
  noValue: 'none opened'
})

const connectionErrors = lines({
  title: 'Connection errors by type',
  description: 'Connections that could not be made or were lost while idle, a second. ECONNREFUSED: no database there; too_many_connections: its limit is reached. "none" is the zero that says there could be some.',
  unit: 'cps',
  queries: [[orNone(rateOf('db_connection_errors_total', { by: 'alias, type', where }), 'type', sum(series('db_queries_in_flight', ...CHOSEN), 'alias')), '{{alias}} {{type}}']],
  noValue: 'no database',
  runbook: 'database-connection-errors'
})

const byOperation = lines({
  title: 'Queries by operation',
  description: 'Queries a second. Many more of them while requests are the same: N+1, or a cache that is empty.',
  unit: 'ops',
  stacked: true,
  queries: [[counts(QUERIES, { by: 'operation', where }), '{{operation}}']],
  noValue: 'no queries'
})

const p99 = lines({
  title: 'p99 by operation',
  description: 'One in a hundred takes longer; as fine as the buckets. Slow commits are a slow disk, slow updates mostly locks. What has not ended is in no quantile: the age of the oldest is a line of its own.',
  unit: 's',
  queries: [
    [quantile(0.99, QUERIES, { by: 'operation', where }), '{{operation}}'],
    [max(series('db_query_oldest_seconds', ...CHOSEN)), 'oldest under way']
  ],
  noValue: 'no queries'
})

const busy = lines({
  title: 'Queries at the same time',
  description: 'Mean number of queries that run: the seconds that queries take, a second. It says where the database spends its time, and how many connections are needed.',
  unit: 'locale',
  decimals: 2,
  stacked: true,
  queries: [[sums(QUERIES, { by: 'operation', where }), '{{operation}}']],
  noValue: 'no queries'
})

const latencies = heatmap({
  title: 'Duration of queries',
  description: 'How many queries took how long, without begin, commit and rollback. A second band, far above the first, is a query without an index or one that waits for a lock.',
  unit: 's',
  queries: [[buckets(QUERIES, ...DATA)]],
  noValue: 'no query ended'
})

const quantiles = lines({
  title: 'Quantiles',
  description: 'Of all queries but begin, commit and rollback. The dots are single queries, where Prometheus stores exemplars.',
  unit: 's',
  width: 12,
  exemplars: true,
  queries: [
    ...([0.5, 0.9, 0.99] as const).map((q) => [quantile(q, QUERIES, { where: DATA }), `p${q * 100}`] as const),
    [max(series('db_query_oldest_seconds', ...CHOSEN)), 'oldest under way']
  ],
  noValue: 'no queries'
})

const errors = lines({
  title: 'Failed queries by type',
  description: 'By SQLSTATE condition, code or class of the error, a second. deadlock_detected and query_canceled want a look at locks and timeouts. "none" is the zero that says there could be some.',
  unit: 'ops',
  queries: [[orNone(rateOf('db_query_errors_total', { by: 'alias, type', where }), 'type', counts(QUERIES, { by: 'alias', where })), '{{alias}} {{type}}']],
  noValue: 'no queries',
  runbook: 'database-query-errors'
})

const rows = lines({
  title: 'Rows by operation',
  description: 'Rows returned or changed, a second.',
  unit: 'cps',
  queries: [[rateOf('db_rows_total', { by: 'operation', where: DATA }), '{{operation}}']],
  noValue: 'no queries'
})

const rowsPerQuery = lines({
  title: 'Rows per query',
  description: 'Mean rows returned or changed by one query. Hundreds of a select: it reads more than a page shows. Growing with the data: a LIMIT is missing.',
  unit: 'locale',
  decimals: 1,
  queries: [[`${rateOf('db_rows_total', { by: 'operation', where: DATA })} / (${counts(QUERIES, { by: 'operation', where: DATA })} > 0)`, '{{operation}}']],
  noValue: 'no query ended'
})

const transactions = lines({
  title: 'Transactions',
  description: 'Begun, committed and rolled back, a second. What is begun and neither committed nor rolled back was lost with its connection.',
  unit: 'ops',
  queries: [[counts(QUERIES, { by: 'operation', where: [...CHOSEN, 'operation=~"begin|commit|rollback"'] }), '{{operation}}']],
  noValue: 'no transactions'
})

const rolledBack = lines({
  title: 'Share rolled back',
  description: 'Transactions, of those that were committed or rolled back. It rises with errors in the code between begin and commit, and with conflicts.',
  unit: 'percentunit',
  queries: [[share(
    counts(QUERIES, { by: 'alias', where: [...CHOSEN, 'operation="rollback"'] }),
    counts(QUERIES, { by: 'alias', where: [...CHOSEN, 'operation=~"commit|rollback"'] })
  ), '{{alias}}']],
  noValue: 'no transactions'
})
