import type { FastifyRequest } from 'fastify'
import { BoundedValues, once } from './bounded-values.js'

/**
 * Gives the route label of a request that no route names: one that matched none, or a wildcard (a mounted Express application, a proxy, static files).
 * It is called once, when the request comes. What is no string, or empty, leaves the label as it is.
 */
export type RouteNamer = (request: FastifyRequest) => string | undefined | null

/** The route labels that a user's function gives, bounded. */
export class RouteLabels {
  readonly #name: RouteNamer
  /** Of wildcards, and of what matched no route, each with room of its own: anybody may ask for paths that are not there. */
  readonly #matched: BoundedValues
  readonly #unmatched: BoundedValues
  readonly #failed: (error: unknown) => void

  /**
   * @param failed told of what it throws
   * @param full told once, when it gives more than there may be
   */
  constructor (name: RouteNamer, failed: (error: unknown) => void, full: () => void) {
    const told = once(full)
    this.#name = name
    this.#matched = new BoundedValues(told)
    this.#unmatched = new BoundedValues(told)
    this.#failed = failed
  }

  /** The label; undefined where the function gives none. @param matched whether a wildcard matched */
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
