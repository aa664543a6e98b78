import { DATABASE_DEFAULTS, type DatabaseScope, describeTarget, holds, MetricsError, Observed, readDatabaseScope, witnessed } from '../src/adapter.js'
import type { ClientClass, Pool } from './pg/driver.js'
import { instrument, observedClient, observedPools } from './pg/instrument.js'
import { Recorder } from './pg/recorder.js'

/** A pool of pg or pg-pool, known by its shape; pg-promise's `db.$pool` is one. */
export interface PgPoolLike {
  readonly totalCount: number
  readonly idleCount: number
  readonly waitingCount: number
  connect (): Promise<unknown>
  end (): Promise<unknown>
}

/** The module pg, known by its shape: `import pg from 'pg'`. */
export interface PgLike {
  readonly Pool: new (...args: never[]) => PgPoolLike
}

/**
 * Options of instrumentPool and instrumentPg, each of them optional: `alias`, `buckets`, `registry`, `prefix`,
 * `maxSeries`, `nativeHistograms`, `exemplars`.
 */
export type PgOptions = DatabaseScope

/**
 * Observes a pool of pg: its connections, waits, queries, errors and rows, with the queries of clients checked out of
 * it. Call it where the pool is made: a `connect` that was bound before (as `fastify.pg.connect` is) does not record
 * its waits.
 * @returns a function that restores the pool. The first call for a pool counts. A later call without options, or with
 * the same options, returns the same function. A later call with other options warns (FP_WARN_OBSERVED_ALREADY) and
 * returns a function that does nothing
 * @throws MetricsError FP_ERR_INVALID_TARGET when the argument is not a pool, FP_ERR_INVALID_OPTION,
 * FP_ERR_METRIC_CONFLICT
 */
export function instrumentPool (pool: PgPoolLike, options: PgOptions = {}): () => void {
  const scope = readDatabaseScope('instrumentPool', options)
  if (!isPool(pool)) {
    const advice = 'for TypeORM give instrumentPg(pg) as the option \'driver\', for @fastify/postgres pass fastify.pg.pool'
    throw new MetricsError('FP_ERR_INVALID_TARGET', `instrumentPool expects a Pool of pg, got ${describeTarget(pool, advice)}`)
  }
  return observedPools.again('instrumentPool', pool, scope) ?? instrument(pool, scope)
}

const observedModules = new Observed<DatabaseScope>('pg.module', 'a module', DATABASE_DEFAULTS)

/**
 * Gives the module pg with a Pool and a Client that are observed from their first connection on. It is for libraries
 * that make their own pools: TypeORM's option `driver`, @fastify/postgres' option `pg`, Sequelize's `dialectModule`.
 * The module itself is not changed; `instrumentPool(pool)` gives the undo of one pool. `native` is observed too.
 * @throws MetricsError FP_ERR_INVALID_TARGET when the argument is not pg, FP_ERR_INVALID_OPTION, FP_ERR_METRIC_CONFLICT
 */
export function instrumentPg<T extends PgLike> (pg: T, options: PgOptions = {}): T {
  const scope = readDatabaseScope('instrumentPg', options)
  if (!isModule(pg)) {
    throw new MetricsError('FP_ERR_INVALID_TARGET', `instrumentPg expects the module pg (import pg from 'pg'), got ${describeTarget(pg)}`)
  }
  if (observedModules.again('instrumentPg', pg, scope) !== undefined) return pg
  // Made now, so that a conflict in the registry is thrown here and not when a pool is made.
  const recorder = new Recorder(scope)
  recorder.show(() => true)
  return observedModule(pg, scope, recorder)
}

function observedModule<T extends PgLike> (pg: T, scope: DatabaseScope, recorder: Recorder): T {
  const Pool = witnessed(pg.Pool, (pool) => {
    try {
      if (isPool(pool) && !observedPools.has(pool)) instrument(pool, scope)
    } catch (error) {
      recorder.report(error)
    }
  })
  const { Client } = pg as { Client?: ClientClass }
  let native: PgLike | null | undefined
  const observed = Object.create(pg, {
    Pool: { value: Pool, enumerable: true, configurable: true, writable: true },
    ...typeof Client === 'function' && { Client: { value: observedClient(Client, recorder), enumerable: true, configurable: true, writable: true } },
    native: {
      configurable: true,
      // Read only on access: reading pg.native loads pg-native, and gives null when pg-native is not installed.
      get () {
        const bare = (pg as { native?: PgLike | null }).native
        return (native ??= isModule(bare) ? observedModule(bare, scope, recorder) : bare)
      }
    }
  }) as T
  observedModules.add(observed, scope, () => {})
  return observed
}

function isModule (value: unknown): value is PgLike {
  return typeof value === 'object' && value !== null && holds(() => typeof (value as Partial<PgLike>).Pool === 'function')
}

function isPool (value: unknown): value is PgPoolLike & Pool {
  if (typeof value !== 'object' || value === null) return false
  const pool = value as Partial<Record<keyof Pool, unknown>>
  return holds(() => typeof pool.connect === 'function' && typeof pool.on === 'function' &&
    typeof pool.Client === 'function' && typeof pool.totalCount === 'number')
}
