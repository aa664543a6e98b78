import { MetricsError, describeTarget, holds, readDatabaseScope, type DatabaseScope } from '../src/adapter.js'
import { coreOf, type Connection } from './mysql2/driver.js'
import { observe, observed } from './mysql2/instrument.js'

/**
 * A pool, a connection or a pool cluster of mysql2, known by its shape; of 'mysql2' (callbacks) or of 'mysql2/promise'.
 */
export interface Mysql2Like {
  end (...args: never[]): unknown
}

/** Options of instrumentMysql: `alias`, `buckets`, `registry`, `prefix`, `maxSeries`, `nativeHistograms`, `exemplars`. */
export type Mysql2Options = DatabaseScope

/**
 * Observes a pool of mysql2, with the connections and statements of all who use it; or one connection; or a pool
 * cluster, each node under `<alias>-<id of the node>`. Call it where the pool is made.
 * @returns a function that restores it. The first call for a pool counts. A later call without options, or with the
 * same options, returns the same function. A later call with other options warns (FP_WARN_OBSERVED_ALREADY) and returns
 * a function that does nothing
 * @throws MetricsError FP_ERR_INVALID_TARGET, FP_ERR_INVALID_OPTION, FP_ERR_METRIC_CONFLICT
 */
export function instrumentMysql (target: Mysql2Like, options: Mysql2Options = {}): () => void {
  const scope = readDatabaseScope('instrumentMysql', options)
  const core = coreOf(target)
  if (core === undefined || isOfPool(core)) {
    const advice = core === undefined ? adviceOn(target) : 'it is a connection of a pool: pass the pool'
    throw new MetricsError('FP_ERR_INVALID_TARGET', 'instrumentMysql expects a pool, a connection or a pool cluster of mysql2, ' +
      `got ${advice === undefined ? describeTarget(target) : `an object; ${advice}`}`)
  }
  return observed.again('instrumentMysql', core, scope) ?? observe(core, scope)
}

/** Its pool is what is observed: else each of its statements would be counted twice. */
function isOfPool (core: object): boolean {
  return typeof (core as Partial<Connection>)._pool === 'object' && (core as Partial<Connection>)._pool !== null
}

function adviceOn (target: unknown): string | undefined {
  if (typeof target !== 'object' || target === null) return undefined
  const has = (name: string) => holds(() => typeof (target as Record<string, unknown>)[name] === 'function')
  if (has('then')) return 'it is a promise: await the connection first'
  if (has('getConnection') || has('addCommand')) return 'what it is made of is known of mysql2 3 only'
  return undefined
}
