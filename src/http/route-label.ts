import type { FastifyRequest } from 'fastify'
import { BoundedValues, once } from './bounded-values.js'

/**
 * Gives the route label of a request that no route names: a request that matched no route, or a wildcard (a mounted
 * Express application, a proxy, static files). It is called once, when the request comes in. A label that is no string,
 * or empty, leaves the route's own label as it is.
 */
export type RouteNamer = (request: FastifyRequest) => string | undefined | null

/** The route labels that a user's function gives, bounded. */
export class RouteLabels {
  readonly #name: RouteNamer
  /** Wildcards and unmatched requests have a separate bound each: any client may ask for paths that do not exist. */
  readonly #matched: BoundedValues
  readonly #unmatched: BoundedValues
  readonly #failed: (error: unknown) => void

  /**
   * @param failed called with an error that the function throws
   * @param full called once, when the function gives more labels than there may be
   */
  constructor (name: RouteNamer, failed: (error: unknown) => void, full: () => void) {
    const told = once(full)
    this.#name = name
    this.#matched = new BoundedValues(told)
    this.#unmatched = new BoundedValues(told)
    this.#failed = failed
  }

  /** The label; undefined when the function gives none. @param matched whether a wildcard matched */
  of (request: FastifyRequest, matched: boolean): string | undefined {
    try {
      const label: unknown = this.#name(request)
      if (typeof label !== 'string' || label === '') return undefined
      return (matched ? this.#matched : this.#unmatched).of(label)
    } catch (error) {
      this.#failed(error)
      return undefined
    }
  }
}
