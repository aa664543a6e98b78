import { shadowMethod } from '../../src/instrumentation/index.js'
import type { Layer } from './layer.js'

/** A driver of TypeORM. */
interface Driver {
  /** The one runner of a database with one connection; of others undefined. */
  readonly queryRunner?: Runner
}

interface Runner {
  readonly query?: unknown
  broadcaster?: object
}

/** The query runners of a driver: each it makes, whoever asks for it, and the one it has and shares. */
export class Runners {
  readonly #driver: Driver
  readonly #queries: Layer | undefined
  readonly #events: Layer | undefined
  readonly #notObserved: () => void
  readonly #restore: () => void

  /**
   * @param queries goes over the runners
   * @param events goes over their broadcasters
   * @param notObserved called for a runner whose queries cannot be observed
   * @param failed told of what must not reach the caller
   */
  constructor (driver: object, queries: Layer | undefined, events: Layer | undefined, notObserved: () => void, failed: (error: unknown) => void) {
    this.#driver = driver as Driver
    this.#queries = queries
    this.#events = events
    this.#notObserved = notObserved
    const met = (runner: unknown): void => {
      try {
        if (typeof runner === 'object' && runner !== null) this.#met(runner)
      } catch (error) {
        failed(error)
      }
    }
    // TypeORM asks the driver for every runner: the data source's method, the entity managers and the driver itself.
    this.#restore = shadowMethod(driver, 'createQueryRunner', (createQueryRunner) => function (...args) {
      const runner = Reflect.apply(createQueryRunner, this, args)
      met(runner)
      return runner
    })
    met(this.#driver.queryRunner)
  }

  undo (): void {
    this.#restore()
    const { queryRunner: shared } = this.#driver
    if (shared !== undefined) {
      this.#queries?.off(shared)
      if (shared.broadcaster !== undefined) this.#events?.off(shared.broadcaster)
    }
    this.#queries?.remove()
    this.#events?.remove()
  }

  #met (runner: Runner): void {
    const lasts = runner === this.#driver.queryRunner
    if (this.#queries !== undefined) {
      const isObserved = typeof runner.query === 'function' && (lasts ? this.#queries.over(runner) : this.#queries.put(runner))
      if (!isObserved) this.#notObserved()
    }
    const { broadcaster } = runner
    if (this.#events === undefined || typeof broadcaster !== 'object') return
    if (lasts) this.#events.over(broadcaster)
    else runner.broadcaster = this.#events.copyUnder(broadcaster)
  }
}
