// @ts-check
import { about } from './about.js'
import { promql } from './promql.js'

/**
 * Alerts on databases. They name causes, so that Alertmanager can leave out what follows from them.
 * @param {import('./settings.js').Settings} settings
 * @returns {import('./file.js').Group}
 */
export function databaseAlerts (settings) {
  const { by, series, observations, hanging } = promql(settings)
  const { annotations, who } = about(settings)
  const alias = by('alias')
  const ended = `sum ${alias} (${observations('db_query_duration_seconds', '1m')})`
  const sum5m = (/** @type {string} */ name) => `sum_over_time(job_alias:${name}:rate2m[5m])`
  return {
    name: 'fastify-prometheus-database',
    interval: '30s',
    rules: [
      {
        comment: 'Connections fail, and in no process a query succeeds.',
        alert: 'DatabaseDown',
        expr: `sum ${alias} (increase(${series('db_connection_errors_total')}[1m])) > 2.5
unless ${ended} - (sum ${alias} (rate(${series('db_query_errors_total')}[1m])) or 0 * ${ended}) > 1e-6
`,
        for: '30s',
        labels: { severity: 'critical' },
        annotations: annotations(`${who}: in the last minute no query of {{ $labels.alias }} succeeded, and {{ $value | printf "%.0f" }} connections failed`, 'database-down', 'database')
      },
      {
        comment: 'In one process. In each two minutes of three, so that an idle connection that was cut does not fire.',
        alert: 'DatabaseConnectionErrors',
        expr: `sum ${by('instance', 'alias')} (increase(${series('db_connection_errors_total')}[2m])) > 0`,
        for: '3m',
        labels: { severity: 'warning' },
        annotations: annotations(`${who} at {{ $labels.instance }}: connections of {{ $labels.alias }} have kept failing for three minutes`, 'database-connection-errors', 'database')
      },
      {
        comment: 'Broken constraints and transactions to try again are told to a user or repeated, and are no fault of the database.',
        alert: 'DatabaseQueryErrors',
        expr: `${sum5m('db_query_errors')} / (${sum5m('db_queries')} > 0) > 0.01
and job_alias:db_query_errors:rate2m > 0.01 * job_alias:db_queries:rate2m
and ${sum5m('db_query_errors')} * 30 > 4.5
`,
        labels: { severity: 'critical' },
        annotations: annotations(`${who}: {{ $value | humanizePercentage }} of the queries of {{ $labels.alias }} failed in the last 5 minutes`, 'database-query-errors', 'database')
      },
      {
        comment: 'A lock, or a database that does not answer: at the pace at which queries end, those under way would take more than half a minute.',
        alert: 'DatabaseQueriesHanging',
        expr: hanging(['alias'], { now: 'db_queries_in_flight', oldest: 'db_query_oldest_seconds', ended: 'db_query_duration_seconds' }),
        labels: { severity: 'critical' },
        annotations: annotations(`${who}: {{ $value }} queries of {{ $labels.alias }} are under way and do not end; the oldest began more than a minute ago`, 'database-queries-hanging', 'database')
      },
      {
        alert: 'DatabasePoolNearExhaustion',
        expr: 'instance_alias:db_pool_connections_used:ratio_avg5m > 0.9',
        labels: { severity: 'warning' },
        annotations: annotations(`${who} at {{ $labels.instance }}: on average {{ $value | humanizePercentage }} of the pool {{ $labels.alias }} were in use in the last 5 minutes`, 'database-pool-near-exhaustion', 'database')
      },
      {
        alert: 'DatabasePoolAcquireTimeouts',
        expr: `sum ${alias} (increase(${series('db_pool_acquire_timeouts_total')}[5m])) > 4.5
and sum ${alias} (increase(${series('db_pool_acquire_timeouts_total')}[2m])) > 0
`,
        for: '1m',
        labels: { severity: 'critical' },
        annotations: annotations(`${who}: {{ $value | printf "%.0f" }} requests for a connection of {{ $labels.alias }} gave up in the last 5 minutes`, 'database-pool-acquire-timeouts', 'database')
      },
      {
        comment: 'Longer than a roll-out takes.',
        alert: 'MigrationsUnapplied',
        expr: `max ${alias} (${series('db_migrations_pending')}) > 0`,
        for: '15m',
        labels: { severity: 'warning' },
        annotations: annotations(`${who}: the database {{ $labels.alias }} has lacked {{ $value }} migrations of the code that runs for 15 minutes`, 'migrations-unapplied', 'database')
      }
    ]
  }
}
