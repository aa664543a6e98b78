import { shadowMethod } from '../../src/adapter.js'
import type { PgPoolLike } from '../pg.js'
import type { DriverPools, Seen } from './pools.js'

/** The parts of PostgresDriver and CockroachDriver that are used here. */
interface PostgresDriver {
  readonly master?: PgPoolLike | undefined
  readonly slaves?: readonly PgPoolLike[]
  /** The module `pg`, or `pg.native`. */
  postgres: { Pool: new (...args: unknown[]) => PgPoolLike }
  readonly options: { readonly replication?: { readonly slaves?: readonly unknown[] } }
}

/** The pools of pg that a driver has. */
export class PostgresPools implements DriverPools<PgPoolLike> {
  readonly #driver: PostgresDriver

  constructor (driver: object) {
    this.#driver = driver as PostgresDriver
  }

  tellMade (seen: Seen<PgPoolLike>): void {
    const { master, slaves } = this.#driver
    if (master !== undefined) seen(master, undefined)
    slaves?.forEach((pool, replica) => { seen(pool, replica) })
  }

  watch (seen: Seen<PgPoolLike>): () => void {
    const driver = this.#driver
    return shadowMethod(driver, 'createPool', (createPool) => function (...args) {
      return whileSeen(driver, args[1], seen, () => createPool.apply(this, args))
    })
  }
}

/**
 * Tells of the pool that `createPool` makes. The driver makes the pool, and asks it for a connection, before its first
 * await (typeorm/driver/postgres/PostgresDriver.js). So the replaced module is needed only until `createPool` returns.
 */
function whileSeen<R> (driver: PostgresDriver, credentials: unknown, seen: Seen<PgPoolLike>, createPool: () => R): R {
  const { postgres } = driver
  const replica = driver.options.replication?.slaves?.indexOf(credentials) ?? -1
  // A proxy, so that the pool keeps its class.
  const Pool = new Proxy(postgres.Pool, {
    construct (target, args, newTarget) {
      const pool = Reflect.construct(target, args, newTarget === Pool ? target : newTarget) as PgPoolLike
      seen(pool, replica < 0 ? undefined : replica)
      return pool
    }
  })
  driver.postgres = Object.create(postgres, { Pool: { value: Pool } }) as typeof postgres
  try {
    return createPool()
  } finally {
    driver.postgres = postgres
  }
}
