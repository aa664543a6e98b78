import { shadowMethod } from '../../src/adapter.js'
import type { Layer } from './layer.js'

/** A driver of TypeORM. */
interface Driver {
  /** The shared runner of a database with one connection; undefined for other databases. */
  readonly queryRunner?: Runner
}

interface Runner {
  readonly query?: unknown
  broadcaster?: object
}

/** The query runners of a driver: every runner that it makes, for any caller, and the runner that it has and shares. */
export class Runners {
  readonly #driver: Driver
  readonly #queries: Layer | undefined
  readonly #events: Layer | undefined
  readonly #warnNotObserved: () => void
  readonly #restore: () => void

  /**
   * @param queries the layer over the runners
   * @param events the layer over their broadcasters
   * @param warnNotObserved called for a runner whose queries cannot be observed
   * @param failed called with an error that must not reach the caller
   */
  constructor (driver: object, queries: Layer | undefined, events: Layer | undefined, warnNotObserved: () => void, failed: (error: unknown) => void) {
    this.#driver = driver as Driver
    this.#queries = queries
    this.#events = events
    this.#warnNotObserved = warnNotObserved
    const observe = (runner: unknown): void => {
      try {
        if (typeof runner === 'object' && runner !== null) this.#observe(runner)
      } catch (error) {
        failed(error)
      }
    }
    // Every runner is made by the driver: the data source, the entity managers and the driver itself call this method.
    this.#restore = shadowMethod(driver, 'createQueryRunner', (createQueryRunner) => function (...args) {
      const runner = Reflect.apply(createQueryRunner, this, args)
      observe(runner)
      return runner
    })
    observe(this.#driver.queryRunner)
  }

  undo (): void {
    this.#restore()
    const { queryRunner: shared } = this.#driver
    if (shared !== undefined) {
      this.#queries?.takeOff(shared)
      if (shared.broadcaster !== undefined) this.#events?.takeOff(shared.broadcaster)
    }
    this.#queries?.remove()
    this.#events?.remove()
  }

  #observe (runner: Runner): void {
    const lasts = runner === this.#driver.queryRunner
    if (this.#queries !== undefined) {
      const isObserved = typeof runner.query === 'function' && (lasts ? this.#queries.putOver(runner) : this.#queries.defineOn(runner))
      if (!isObserved) this.#warnNotObserved()
    }
    const { broadcaster } = runner
    if (this.#events === undefined || typeof broadcaster !== 'object') return
    if (lasts) this.#events.putOver(broadcaster)
    else runner.broadcaster = this.#events.copyUnder(broadcaster)
  }
}
