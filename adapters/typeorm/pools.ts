import { shadowMethod } from '../../src/instrumentation/index.js'

/** The parts of PostgresDriver and CockroachDriver that are used here. */
interface PooledDriver<P extends object> {
  master?: P | undefined
  slaves?: readonly P[]
  /** The module `pg`, or `pg.native`. */
  postgres: { Pool: new (...args: unknown[]) => P }
  readonly options: { readonly replication?: { readonly slaves?: readonly unknown[] } }
}

/**
 * Instruments a pool.
 * @param replica the number of the pool's replica: 0 for the first, undefined for the primary
 * @returns a function that restores the pool
 */
export type InstrumentPool<P> = (pool: P, replica: number | undefined) => () => void

/**
 * Instruments the pools that a driver has, and those that it makes at each initialize, before their first connection.
 */
export class Pools<P extends object> {
  readonly #driver: PooledDriver<P>
  readonly #instrument: InstrumentPool<P>
  readonly #failed: (error: unknown) => void
  readonly #undos = new Map<P, () => void>()
  readonly #restore: () => void
  #active = true

  /** @param failed called with an error that `instrument` throws */
  constructor (driver: object, instrument: InstrumentPool<P>, failed: (error: unknown) => void) {
    this.#driver = driver as PooledDriver<P>
    this.#instrument = instrument
    this.#failed = failed
    const observeCreatePool = this.#observeCreatePool.bind(this)
    this.#restore = shadowMethod(driver, 'createPool', (createPool) => function (...args) {
      return observeCreatePool(args[1], () => createPool.apply(this, args))
    })
    this.instrumentMade()
  }

  /** Instruments the pools that the driver has now. */
  instrumentMade (): void {
    const { master, slaves } = this.#driver
    if (master !== undefined) this.#instrumentOnce(master, undefined)
    slaves?.forEach((pool, replica) => { this.#instrumentOnce(pool, replica) })
  }

  undo (): void {
    this.#active = false
    this.#restore()
    for (const undo of this.#undos.values()) undo()
    this.#undos.clear()
  }

  #instrumentOnce (pool: P, replica: number | undefined): void {
    if (!this.#active || this.#undos.has(pool)) return
    try {
      for (const made of this.#undos.keys()) if ((made as { ended?: boolean }).ended === true) this.#undos.delete(made)
      this.#undos.set(pool, this.#instrument(pool, replica))
    } catch (error) {
      this.#failed(error)
    }
  }

  /**
   * Instruments the pool that `createPool` makes. The driver makes the pool, and asks it for a connection, before its
   * first await (typeorm/driver/postgres/PostgresDriver.js). So the replaced module is needed only until `createPool`
   * returns.
   */
  #observeCreatePool<R> (credentials: unknown, createPool: () => R): R {
    if (!this.#active) return createPool()
    const driver = this.#driver
    const { postgres } = driver
    const replica = driver.options.replication?.slaves?.indexOf(credentials) ?? -1
    const instrument = (pool: P): void => { this.#instrumentOnce(pool, replica < 0 ? undefined : replica) }
    // A proxy, so that the pool keeps its class.
    const Pool = new Proxy(postgres.Pool, {
      construct (target, args, newTarget) {
        const pool = Reflect.construct(target, args, newTarget === Pool ? target : newTarget) as P
        instrument(pool)
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
}
