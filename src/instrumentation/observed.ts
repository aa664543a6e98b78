import { isDeepStrictEqual } from 'node:util'

/** The observation of one thing: the options in force, and the function that ends it. */
interface Observation<O> {
  readonly options: O
  readonly undo: () => void
}

/** The things of one kind that are observed. Each is observed once, whichever copy of this package does it. */
export class Observed<O extends object> {
  readonly #key: symbol
  readonly #what: string
  readonly #defaults: Partial<O>

  /**
   * @param kind names the kind on the things themselves: 'pg.pool'
   * @param what the kind in a sentence: 'a pool'
   * @param defaults what an option is that was not given
   */
  constructor (kind: string, what: string, defaults: Partial<O>) {
    this.#key = Symbol.for(`fastify-prometheus.${kind}`)
    this.#what = what
    this.#defaults = defaults
  }

  has (thing: object): boolean {
    return this.#of(thing) !== undefined
  }

  /**
   * The undo for a call about a thing that is observed already: that of the first call. If the options differ, the
   * process warning FP_WARN_OBSERVED_ALREADY names them, and the undo does nothing.
   * @param owner the public function that was called
   * @returns undefined for a thing that is not observed
   */
  again (owner: string, thing: object, options: O): (() => void) | undefined {
    const observation = this.#of(thing)
    if (observation === undefined) return undefined
    const differing = this.#differing(options, observation.options)
    if (differing.length === 0) return observation.undo
    process.emitWarning(`fastify-prometheus: ${owner} was called for ${this.#what} that is observed already, with other options (${differing.join(', ')}): ` +
      'the first call counts, and this one does nothing; undo the first before, or leave one of them out', { code: 'FP_WARN_OBSERVED_ALREADY' })
    return () => {}
  }

  /**
   * Notes on a thing that it is observed.
   * @param end ends the observation
   * @returns the undo, which ends it once
   */
  add (thing: object, options: O, end: () => void): () => void {
    let active = true
    const undo = () => {
      if (!active) return
      active = false
      end()
      Reflect.deleteProperty(thing, this.#key)
    }
    const observation: Observation<O> = { options, undo }
    Object.defineProperty(thing, this.#key, { value: observation, configurable: true })
    return undo
  }

  #of (thing: object): Observation<O> | undefined {
    return (thing as { [key: symbol]: Observation<O> | undefined })[this.#key]
  }

  /** The names of the given options that are not those in force. */
  #differing (given: O, inForce: O): string[] {
    return (Object.keys(given) as Array<keyof O & string>).filter((name) => {
      const [asked, there] = [given[name], inForce[name] ?? this.#defaults[name]]
      // Two registries are never equal: their metrics are in one or in the other.
      return asked !== undefined && asked !== there && !(typeof asked === 'object' && name !== 'registry' && isDeepStrictEqual(asked, there))
    })
  }
}
