/**
 * Is told of a pool.
 * @param replica the number of the pool's replica: 0 for the first, undefined for the primary
 */
export type Seen<P> = (pool: P, replica: number | undefined) => void

/** The pools of one driver of TypeORM. */
export interface DriverPools<P> {
  /** Tells of the pools that the driver has now. */
  tellMade (seen: Seen<P>): void
  /**
   * Tells of each pool that the driver makes from now on, before its first connection.
   * @returns a function that ends that
   */
  watch (seen: Seen<P>): () => void
}

/**
 * Instruments a pool.
 * @returns a function that restores the pool
 */
export type InstrumentPool<P> = (pool: P, replica: number | undefined) => () => void

/** The pools of a driver of any kind. */
export type InstrumentedPools = Pick<Pools<object>, 'instrumentMade' | 'undo'>

/**
 * Instruments the pools that a driver has, and those that it makes at each initialize, before their first connection.
 */
export class Pools<P extends object> {
  readonly #pools: DriverPools<P>
  readonly #instrument: InstrumentPool<P>
  readonly #failed: (error: unknown) => void
  readonly #undos = new Map<P, () => void>()
  readonly #restore: () => void
  #active = true

  /** @param failed called with an error that `instrument` throws */
  constructor (pools: DriverPools<P>, instrument: InstrumentPool<P>, failed: (error: unknown) => void) {
    this.#pools = pools
    this.#instrument = instrument
    this.#failed = failed
    this.#restore = pools.watch((pool, replica) => { this.#instrumentOnce(pool, replica) })
    this.instrumentMade()
  }

  /** Instruments the pools that the driver has now. */
  instrumentMade (): void {
    this.#pools.tellMade((pool, replica) => { this.#instrumentOnce(pool, replica) })
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
      for (const made of this.#undos.keys()) if (hasEnded(made)) this.#undos.delete(made)
      this.#undos.set(pool, this.#instrument(pool, replica))
    } catch (error) {
      this.#failed(error)
    }
  }
}

/** Of pg, and of mysql2. */
function hasEnded (pool: { readonly ended?: unknown, readonly _closed?: unknown }): boolean {
  return pool.ended === true || pool._closed === true
}
