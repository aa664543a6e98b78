import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Trouble } from '../trouble.js'
import { OTHER } from './routes.js'

/** Gives a label's value for a request that has ended; what is not a string or number is an empty value. */
export type LabelResolver = (request: FastifyRequest, reply: FastifyReply) => string | number | undefined | null

/** Values one label may take; the next new one becomes `_OTHER`. */
export const MAX_LABEL_VALUES = 100
/** Characters of a value; a longer one becomes `_OTHER`, for clients may send many of kilobytes. */
export const MAX_LABEL_LENGTH = 128
/** The value where the resolver threw. */
export const FAILED = '_ERROR'

const NONE: readonly string[] = []

/** The labels that a user adds, bounded. */
export class UserLabels {
  readonly names: readonly string[]
  readonly #resolvers: ReadonlyArray<{ name: string, resolve: LabelResolver, seen: Set<string> }>
  readonly #trouble: Trouble
  readonly #full: (name: string) => void
  readonly #told = new Set<string>()

  /** @param full told once of each label that reaches its number of values */
  constructor (resolvers: Readonly<Record<string, LabelResolver>>, trouble: Trouble, full: (name: string) => void) {
    this.names = Object.keys(resolvers)
    this.#resolvers = Object.entries(resolvers).map(([name, resolve]) => ({ name, resolve, seen: new Set() }))
    this.#trouble = trouble
    this.#full = full
  }

  /** A value for each name, in order; empty ones where the request never came to Fastify. */
  of (request: FastifyRequest | undefined, reply: FastifyReply | undefined): readonly string[] {
    if (this.#resolvers.length === 0) return NONE
    return this.#resolvers.map(({ name, resolve, seen }) => {
      if (request === undefined || reply === undefined) return ''
      try {
        const answer = resolve(request, reply)
        if (typeof answer !== 'string' && typeof answer !== 'number') return ''
        const value = String(answer)
        if (value.length > MAX_LABEL_LENGTH) return OTHER
        if (seen.has(value)) return value
        if (seen.size >= MAX_LABEL_VALUES) {
          if (!this.#told.has(name)) this.#full(name)
          this.#told.add(name)
          return OTHER
        }
        seen.add(value)
        return value
      } catch (error) {
        this.#trouble.report(`label ${name}`, error)
        return FAILED
      }
    })
  }
}
