import { MetricsError } from '../src/errors.js'
import { holds } from '../src/given.js'
import { readDatabaseScope, type DatabaseScope } from '../src/database/metrics.js'
import type { Pool } from './pg/driver.js'
import { instrument } from './pg/instrument.js'
import { describeTarget } from './pg/mistaken.js'
import { Recorder } from './pg/recorder.js'

/** A pool of pg or pg-pool, known by its shape. */
export interface PgPoolLike {
  readonly totalCount: number
  readonly idleCount: number
  readonly waitingCount: number
  connect (): Promise<unknown>
  query (text: string): Promise<unknown>
  end (): Promise<void>
}

/** The pg module, known by its shape: what `import pg from 'pg'` gives. */
export interface PgLike {
  readonly Pool: new (...args: never[]) => PgPoolLike
}

/** Options of instrumentPool and instrumentPg, none of them needed: `alias`, `buckets`, `registry`, `prefix`, `maxSeries`, `nativeHistograms`, `exemplars`. */
export type PgOptions = DatabaseScope

/**
 * Observes a pool of pg: its connections, waits, queries, errors and rows, those of clients checked out of it included. Call it
 * where the pool is made: a `connect` that was bound before (as `fastify.pg.connect` is) keeps its waits to itself.
 * @returns a function that puts the pool back as it was; a second call for the same pool changes nothing and returns the same
 * @throws MetricsError FP_ERR_INVALID_TARGET when it is not a pool, FP_ERR_INVALID_OPTION, FP_ERR_METRIC_CONFLICT
 */
export function instrumentPool (pool: PgPoolLike, options: PgOptions = {}): () => void {
  const scope = readDatabaseScope('instrumentPool', options)
  if (!isPool(pool)) {
    const advice = 'for TypeORM give instrumentPg(pg) as the option \'driver\', for @fastify/postgres pass fastify.pg.pool'
    throw new MetricsError('FP_ERR_INVALID_TARGET', `instrumentPool expects a Pool of pg, got ${describeTarget(pool, advice)}`)
  }
  return instrument(pool, scope)
}

/**
 * The pg module with a Pool that is observed from its first connection on, for whatever makes pools of its own: TypeORM's option
 * `driver`, @fastify/postgres' option `pg`. The module itself is left as it is; `instrumentPool(pool)` gives the undo of one pool.
 * `native` is there too. A `Client` made without a pool is not observed.
 * @throws MetricsError FP_ERR_INVALID_TARGET when it is not pg, FP_ERR_INVALID_OPTION, FP_ERR_METRIC_CONFLICT
 */
export function instrumentPg<T extends PgLike> (pg: T, options: PgOptions = {}): T {
  const scope = readDatabaseScope('instrumentPg', options)
  if (!isModule(pg)) {
    throw new MetricsError('FP_ERR_INVALID_TARGET', `instrumentPg expects the module pg (import pg from 'pg'), got ${describeTarget(pg)}`)
  }
  // Made now, so that a registry where the metrics have no place says so here and not when a pool is made.
  return withPool(pg, scope, new Recorder(scope))
}

function withPool<T extends PgLike> (pg: T, scope: DatabaseScope, recorder: Recorder): T {
  const Base = pg.Pool
  // Its name here is what stack traces show of it, and pg's own.
  class BoundPool extends Base {
    constructor (...args: never[]) {
      super(...args)
      try {
        if (isPool(this)) instrument(this, scope)
      } catch (error) {
        recorder.trouble.report('pg', error)
      }
    }
  }
  Object.defineProperty(BoundPool, 'name', { value: Base.name, configurable: true })
  let native: PgLike | null | undefined
  return Object.create(pg, {
    Pool: { value: BoundPool, enumerable: true, configurable: true, writable: true },
    native: {
      configurable: true,
      // Read when it is asked for and not before: reading pg.native loads pg-native, and gives null where there is none.
      get () {
        const bare = (pg as { native?: PgLike | null }).native
        return (native ??= isModule(bare) ? withPool(bare, scope, recorder) : bare)
      }
    }
  })
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
