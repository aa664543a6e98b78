import { performance } from 'node:perf_hooks'
import { errorTypeOf } from '../../src/error-type.js'
import type { DatabaseMetrics } from '../../src/database/metrics.js'
import { operationOf, type Operation } from '../../src/database/operation.js'
import type { Trouble } from '../../src/trouble.js'
import type { Labels } from '../../src/metrics/index.js'
import { currentUsage, type DatabaseUsage } from '../../src/usage.js'
import type { QueryEventLike, QueryResultEventLike } from './shapes.js'

interface Running {
  readonly query: string
  readonly usage: DatabaseUsage | undefined
  readonly exemplar: Labels | undefined
  readonly start: number
}

/** Queries of one runner that may run at once; what is older has ended unseen, because another subscriber threw. */
const MOST_RUNNING = 1000

/** A subscriber that measures queries, for the drivers whose connections cannot be. */
export interface QuerySubscriber {
  beforeQuery (event: QueryEventLike): void
  afterQuery (event: QueryResultEventLike): void
}

/**
 * Measures each query from TypeORM's own events, with a clock of ours: TypeORM's `executionTime` is in whole milliseconds and
 * missing on failure. An event that comes twice, because another subscriber threw, counts once.
 */
export function querySubscriber (metrics: DatabaseMetrics, trouble: Trouble): QuerySubscriber {
  const running = new WeakMap<object, Running[]>()
  return {
    beforeQuery ({ query, queryRunner }) {
      try {
        let queries = running.get(queryRunner)
        if (queries === undefined) running.set(queryRunner, queries = [])
        if (queries.length >= MOST_RUNNING) queries.shift()
        queries.push({ query, usage: currentUsage(), exemplar: metrics.exemplar(), start: performance.now() })
      } catch (error) {
        trouble.report('typeorm queries', error)
      }
    },
    afterQuery ({ query, queryRunner, success, error, rawResults }) {
      try {
        const end = performance.now()
        const queries = running.get(queryRunner) ?? []
        // The latest of that text: with several at once the sum is the same, and one that never ended does not lengthen the next.
        let at = queries.length - 1
        while (at >= 0 && queries[at]?.query !== query) at--
        const [ended] = at < 0 ? [] : queries.splice(at, 1)
        if (ended === undefined) return
        const seconds = (end - ended.start) / 1000
        const operation = operationOf(query)
        metrics.query(operation, seconds, ended.exemplar)
        if (ended.usage !== undefined) {
          ended.usage.queries += 1
          ended.usage.seconds += seconds
        }
        if (!success) return metrics.queryFailed(errorTypeOf(error))
        const rows = rowsOf(operation, rawResults)
        if (rows !== undefined) metrics.rows(operation, rows)
      } catch (trouble_) {
        trouble.report('typeorm queries', trouble_)
      }
    }
  }
}

/** Rows returned or changed, where the driver says so: an array of rows, mysql2's `affectedRows`, oracledb's `rowsAffected`. */
function rowsOf (operation: Operation, raw: unknown): number | undefined {
  // SQLite answers a change without RETURNING with no rows, and does not say how many it changed.
  if (Array.isArray(raw)) return operation === 'select' || raw.length > 0 ? raw.length : undefined
  if (typeof raw !== 'object' || raw === null) return undefined
  const { affectedRows, rowsAffected } = raw as { affectedRows?: unknown, rowsAffected?: unknown }
  const changed = affectedRows ?? rowsAffected
  return typeof changed === 'number' ? changed : undefined
}
