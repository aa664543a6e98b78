import { shadowMethod } from '../../src/instrumentation/index.js'

/** What PostgresDriver and CockroachDriver have. */
interface PooledDriver<P extends object> {
  master?: P | undefined
  slaves?: readonly P[]
  /** The module `pg`, or `pg.native`. */
  postgres: { Pool: new (...args: unknown[]) => P }
  readonly options: { readonly replication?: { readonly slaves?: readonly unknown[] } }
}

/**
 * Instruments a pool.
 * @param replica which one it is of: 0 for the first, undefined for the primary
 * @returns puts it back
 */
export type InstrumentPool<P> = (pool: P, replica: number | undefined) => () => void

/** The pools of a driver: those it has, and those it makes at each initialize, met before their first connection. */
export class Pools<P extends object> {
  readonly #driver: PooledDriver<P>
  readonly #instrument: InstrumentPool<P>
  readonly #failed: (error: unknown) => void
  readonly #undos = new Map<P, () => void>()
  readonly #restore: () => void
  #active = true

  /** @param failed is told what `instrument` throws */
  constructor (driver: object, instrument: InstrumentPool<P>, failed: (error: unknown) => void) {
    this.#driver = driver as PooledDriver<P>
    this.#instrument = instrument
    this.#failed = failed
    const making = this.#making.bind(this)
    this.#restore = shadowMethod(driver, 'createPool', (createPool) => function (...args) {
      return making(args[1], () => createPool.apply(this, args))
    })
    this.instrumentMade()
  }

  /** Instruments the pools that the driver has now. */
  instrumentMade (): void {
    const { master, slaves } = this.#driver
    if (master !== undefined) this.#met(master, undefined)
    slaves?.forEach((pool, replica) => { this.#met(pool, replica) })
  }

  undo (): void {
    this.#active = false
    this.#restore()
    for (const undo of this.#undos.values()) undo()
    this.#undos.clear()
  }

  #met (pool: P, replica: number | undefined): void {
    if (!this.#active || this.#undos.has(pool)) return
    try {
      for (const made of this.#undos.keys()) if ((made as { ended?: boolean }).ended === true) this.#undos.delete(made)
      this.#undos.set(pool, this.#instrument(pool, replica))
    } catch (error) {
      this.#failed(error)
    }
  }

  /** createPool makes its pool, and asks it for a connection, before it first waits (typeorm/driver/postgres/PostgresDriver.js). */
  #making<R> (credentials: unknown, createPool: () => R): R {
    if (!this.#active) return createPool()
    const driver = this.#driver
    const { postgres } = driver
    const replica = driver.options.replication?.slaves?.indexOf(credentials) ?? -1
    const met = (pool: P): void => { this.#met(pool, replica < 0 ? undefined : replica) }
    // A proxy, so that the pool's class stays what it is.
    const Pool = new Proxy(postgres.Pool, {
      construct (target, args, newTarget) {
        const pool = Reflect.construct(target, args, newTarget === Pool ? target : newTarget) as P
        met(pool)
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
