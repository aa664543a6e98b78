import type { FastifyRequest } from 'fastify'
import { OTHER } from './routes.js'
import { MAX_LABEL_LENGTH } from './user-labels.js'

/**
 * Gives the route label of a request that no route names: one that matched none, or a wildcard (a mounted Express application, a proxy, static files).
 * It is called once, when the request comes. What is no string, or empty, leaves the label as it is.
 */
export type RouteNamer = (request: FastifyRequest) => string | undefined | null

/** Labels it may give to wildcards, and as many to what matched no route; the next new one becomes `_OTHER`. */
export const MAX_ROUTE_LABELS = 100

/** The route labels that a user's function gives, bounded. */
export class RouteLabels {
  readonly #name: RouteNamer
  /** Of wildcards, and of what matched no route, each with room of its own: anybody may ask for paths that are not there. */
  readonly #seen = { matched: new Set<string>(), unmatched: new Set<string>() }
  readonly #failed: (error: unknown) => void
  readonly #full: () => void
  #told = false

  /**
   * @param failed told of what it throws
   * @param full told once, when it gives more than there may be
   */
  constructor (name: RouteNamer, failed: (error: unknown) => void, full: () => void) {
    this.#name = name
    this.#failed = failed
    this.#full = full
  }

  /** The label; undefined where the function gives none. @param matched whether a wildcard matched */
  of (request: FastifyRequest, matched: boolean): string | undefined {
    try {
      const label: unknown = this.#name(request)
      if (typeof label !== 'string' || label === '') return undefined
      if (label.length > MAX_LABEL_LENGTH) return OTHER
      const seen = matched ? this.#seen.matched : this.#seen.unmatched
      if (seen.has(label)) return label
      if (seen.size >= MAX_ROUTE_LABELS) {
        if (!this.#told) this.#full()
        this.#told = true
        return OTHER
      }
      seen.add(label)
      return label
    } catch (error) {
      this.#failed(error)
      return undefined
    }
  }
}
