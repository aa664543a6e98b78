import type { FastifyInstance } from 'fastify'
import type { Scope } from '../catalogue.js'
import type { Trouble } from '../instrumentation/index.js'
import type { RegistryLike } from '../metrics/index.js'
import { MetricsError, invalidOption } from '../validation/errors.js'
import { entriesOf, holds, isRecord, readGiven, refuseUnknown } from '../validation/given.js'

/** Where the metrics of the plugin go: the options that every adapter takes. */
export interface ObserverScope {
  readonly registry: RegistryLike
  readonly prefix: string
  readonly maxSeries?: number | undefined
  readonly nativeHistograms?: Scope['nativeHistograms']
  /** False if the plugin's option is false. A function of the plugin's is of requests, and no adapter has it. */
  readonly exemplars?: false | undefined
}

/**
 * Begins to observe something, and gives back the undo: `(scope) => instrumentPool(pool, scope)`.
 * @param fastify the application that the plugin was registered with
 */
export type Observer = (scope: ObserverScope, fastify: FastifyInstance) => () => void

/** An observer of what another plugin makes: `{ onReady: (scope, { pg }) => instrumentPool(pg.pool, scope) }`. */
export interface ObserverAtReady {
  onReady: Observer
}

const EXPECTED = 'a function that is given the scope and returns the undo, or { onReady } with such a function'

/** Checks the option `observe`. @throws MetricsError FP_ERR_INVALID_OPTION */
export function readObserve (owner: string, given: unknown = []): Array<Observer | ObserverAtReady> {
  if (!holds(() => Array.isArray(given))) throw invalidOption(owner, 'observe', 'an array of functions', given)
  return entriesOf(owner, 'observe', given as object).map(([i, each]) => {
    if (typeof each === 'function') return each as Observer
    if (!isRecord(each)) throw invalidOption(owner, `observe[${i}]`, EXPECTED, each)
    const { values: { onReady }, unknown } = readGiven(owner, `observe[${i}].`, each, ['onReady'])
    refuseUnknown(owner, `observe[${i}].`, each, unknown, `left out: give ${EXPECTED}`, new Map())
    if (typeof onReady !== 'function') throw invalidOption(owner, `observe[${i}].onReady`, 'a function that is given the scope and returns the undo', onReady)
    return { onReady: onReady as Observer }
  })
}

/** What the application has the plugin observe. */
export class Observers {
  readonly #fastify: FastifyInstance
  readonly #scope: ObserverScope
  readonly #observers: ReadonlyArray<Observer | ObserverAtReady>
  readonly #trouble: Trouble
  readonly #undos: Array<() => void> = []

  constructor (fastify: FastifyInstance, { registry, prefix, maxSeries, nativeHistograms, exemplars }: ObserverScope, observers: ReadonlyArray<Observer | ObserverAtReady>, trouble: Trouble) {
    this.#fastify = fastify
    this.#scope = Object.freeze({ registry, prefix, maxSeries, nativeHistograms, exemplars })
    this.#observers = observers
    this.#trouble = trouble
  }

  /** The plugin is registered. @throws what an observer throws; what the others have begun is undone then */
  begin (): void {
    for (const [i, each] of this.#observers.entries()) if (typeof each === 'function') this.#observe(`observe[${i}]`, each)
  }

  /** All plugins are loaded. @throws what an observer throws; what the others have begun is undone then */
  ready (): void {
    for (const [i, each] of this.#observers.entries()) if (typeof each !== 'function') this.#observe(`observe[${i}].onReady`, each.onReady)
  }

  /** Undoes all, the last first. */
  end (): void {
    for (const undo of this.#undos.splice(0).reverse()) {
      try {
        undo()
      } catch (error) {
        this.#trouble.report('observe', error)
      }
    }
  }

  #observe (option: string, observer: Observer): void {
    try {
      const undo: unknown = observer(this.#scope, this.#fastify)
      if (typeof undo !== 'function') throw invalidOption('metricsPlugin', option, 'a function that returns the undo which an adapter gave', undo)
      this.#undos.push(undo as () => void)
    } catch (error) {
      this.end()
      throw error instanceof MetricsError && !error.message.includes(`'${option}'`) ? within(option, error) : error
    }
  }
}

/** An adapter's error, with the option that it comes from. */
function within (option: string, error: MetricsError): MetricsError {
  return new MetricsError(error.code, `metricsPlugin option '${option}': ${error.message.slice(error.code.length + 2)}`)
}
