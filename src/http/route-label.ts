import type { FastifyRequest } from 'fastify'
import { OTHER } from './routes.js'

/**
 * Gives the route label of a request that no route names: one that matched none, or a wildcard (a mounted Express application, a proxy, static files).
 * It is called once, when the request comes. What is no string, or empty, leaves the label as it is.
 */
export type RouteNamer = (request: FastifyRequest) => string | undefined | null

/** Labels it may give; the next new one becomes `_OTHER`. */
export const MAX_ROUTE_LABELS = 100

/** The route labels that a user's function gives, bounded. */
export class RouteLabels {
  readonly #name: RouteNamer
  readonly #seen = new Set<string>()
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

  /** The label; undefined where the function gives none. */
  of (request: FastifyRequest): string | undefined {
    try {
      const label: unknown = this.#name(request)
      if (typeof label !== 'string' || label === '') return undefined
      if (this.#seen.has(label)) return label
      if (this.#seen.size >= MAX_ROUTE_LABELS) {
        if (!this.#told) this.#full()
        this.#told = true
        return OTHER
      }
      this.#seen.add(label)
      return label
    } catch (error) {
      this.#failed(error)
      return undefined
    }
  }
}
