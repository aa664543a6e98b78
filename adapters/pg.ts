import { differingOptions, readDatabaseScope, warnOfOtherOptions, type DatabaseScope } from '../src/database/metrics.js'
import { witnessed } from '../src/instrumentation/index.js'
import { MetricsError } from '../src/validation/errors.js'
import { holds } from '../src/validation/given.js'
import type { ClientClass, Pool } from './pg/driver.js'
import { showClients } from './pg/gauges.js'
import { instrument, observationOf, observedClient } from './pg/instrument.js'
import { describeTarget } from './pg/mistaken.js'
import { Recorder } from './pg/recorder.js'

/** A pool of pg or pg-pool, known by its shape; pg-promise's `db.$pool` is one. */
export interface PgPoolLike {
  readonly totalCount: number
  readonly idleCount: number
  readonly waitingCount: number
  connect (): Promise<unknown>
  end (): Promise<unknown>
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
 * @returns a function that puts the pool back as it was. The first call for a pool counts: a later one without options, or with
 * the same, returns the same function; one with others warns (FP_WARN_OBSERVED_ALREADY) and returns one that does nothing
 * @throws MetricsError FP_ERR_INVALID_TARGET when it is not a pool, FP_ERR_INVALID_OPTION, FP_ERR_METRIC_CONFLICT
 */
export function instrumentPool (pool: PgPoolLike, options: PgOptions = {}): () => void {
  const scope = readDatabaseScope('instrumentPool', options)
  if (!isPool(pool)) {
    const advice = 'for TypeORM give instrumentPg(pg) as the option \'driver\', for @fastify/postgres pass fastify.pg.pool'
    throw new MetricsError('FP_ERR_INVALID_TARGET', `instrumentPool expects a Pool of pg, got ${describeTarget(pool, advice)}`)
  }
  const observation = observationOf(pool)
  if (observation === undefined) return instrument(pool, scope)
  return warnOfOtherOptions('instrumentPool', 'a pool', differingOptions(scope, observation.scope)) ? () => {} : observation.undo
}

const SCOPE = Symbol.for('fastify-prometheus.pg.module')

/**
 * The pg module with a Pool and a Client that are observed from their first connection on, for whatever makes its own: TypeORM's
 * option `driver`, @fastify/postgres' option `pg`, Sequelize's `dialectModule`. The module itself is left as it is;
 * `instrumentPool(pool)` gives the undo of one pool. `native` is there too.
 * @throws MetricsError FP_ERR_INVALID_TARGET when it is not pg, FP_ERR_INVALID_OPTION, FP_ERR_METRIC_CONFLICT
 */
export function instrumentPg<T extends PgLike> (pg: T, options: PgOptions = {}): T {
  const scope = readDatabaseScope('instrumentPg', options)
  if (!isModule(pg)) {
    throw new MetricsError('FP_ERR_INVALID_TARGET', `instrumentPg expects the module pg (import pg from 'pg'), got ${describeTarget(pg)}`)
  }
  const { [SCOPE]: inForce } = pg as { [SCOPE]?: DatabaseScope }
  if (inForce !== undefined) {
    warnOfOtherOptions('instrumentPg', 'a module', differingOptions(scope, inForce))
    return pg
  }
  // Made now, so that a registry where the metrics have no place says so here and not when a pool is made.
  const recorder = new Recorder(scope)
  showClients(scope, recorder)
  return observedModule(pg, scope, recorder)
}

function observedModule<T extends PgLike> (pg: T, scope: DatabaseScope, recorder: Recorder): T {
  const Pool = witnessed(pg.Pool, (pool) => {
    try {
      if (isPool(pool) && observationOf(pool) === undefined) instrument(pool, scope)
    } catch (error) {
      recorder.trouble.report('pg', error)
    }
  })
  const { Client } = pg as { Client?: ClientClass }
  let native: PgLike | null | undefined
  return Object.create(pg, {
    [SCOPE]: { value: scope },
    Pool: { value: Pool, enumerable: true, configurable: true, writable: true },
    ...typeof Client === 'function' && { Client: { value: observedClient(Client, recorder), enumerable: true, configurable: true, writable: true } },
    native: {
      configurable: true,
      // Read when it is asked for and not before: reading pg.native loads pg-native, and gives null where there is none.
      get () {
        const bare = (pg as { native?: PgLike | null }).native
        return (native ??= isModule(bare) ? observedModule(bare, scope, recorder) : bare)
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
