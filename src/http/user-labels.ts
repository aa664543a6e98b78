import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Trouble } from '../instrumentation/index.js'
import { BoundedValues, once } from './bounded-values.js'

export { MAX_LABEL_VALUES } from './bounded-values.js'

/** Gives a label's value for a request that has ended; a result that is no string or number is an empty value. */
export type LabelResolver = (request: FastifyRequest, reply: FastifyReply) => string | number | undefined | null

/** The value when the resolver threw. */
export const FAILED = '_ERROR'

const NONE: readonly string[] = []

/** The labels that a user adds, bounded. */
export class UserLabels {
  readonly names: readonly string[]
  readonly #resolvers: ReadonlyArray<{ name: string, resolve: LabelResolver, values: BoundedValues }>
  readonly #trouble: Trouble

  /** @param full called once for each label that has reached its number of values */
  constructor (resolvers: Readonly<Record<string, LabelResolver>>, trouble: Trouble, full: (name: string) => void) {
    this.names = Object.keys(resolvers)
    this.#resolvers = Object.entries(resolvers).map(([name, resolve]) => ({ name, resolve, values: new BoundedValues(once(() => full(name))) }))
    this.#trouble = trouble
  }

  /** A value for each name, in order; empty values for a request that never came to Fastify. */
  of (request: FastifyRequest | undefined, reply: FastifyReply | undefined): readonly string[] {
    if (this.#resolvers.length === 0) return NONE
    return this.#resolvers.map(({ name, resolve, values }) => {
      if (request === undefined || reply === undefined) return ''
      try {
        const answer = resolve(request, reply)
        if (typeof answer !== 'string' && typeof answer !== 'number') return ''
        return values.of(String(answer))
      } catch (error) {
        this.#trouble.report(`label ${name}`, error)
        return FAILED
      }
    })
  }
}
