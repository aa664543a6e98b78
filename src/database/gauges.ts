import { metric, type Scope } from '../catalogue.js'

/** The gauges of one database connection that are read at each scrape, for as long as what they show is there. */
export class Gauges {
  readonly #stops: Array<() => void> = []
  readonly #scope: Scope
  readonly #labels: { readonly alias: string, readonly vendor: string }
  readonly #isThere: () => boolean
  readonly #failed: (error: unknown) => void

  /**
   * @param isThere asked at each scrape; when it is false, the gauges end
   * @param failed told of what a reading throws, which the scrape does not see
   */
  constructor (scope: Scope, labels: { readonly alias: string, readonly vendor: string }, isThere: () => boolean, failed: (error: unknown) => void) {
    this.#scope = scope
    this.#labels = labels
    this.#isThere = isThere
    this.#failed = failed
  }

  /** Connections of the pool in one state, added to those of other pools of the alias. */
  connections (state: 'idle' | 'used', read: () => number): void {
    const gauge = metric('db_pool_connections', this.#scope)
    const labels = { ...this.#labels, state }
    this.#stops.push(gauge.addCallback(this.#guarded(() => { gauge.inc(labels, read()) })))
  }

  /** A number that is added to those of others of the alias. */
  sum (name: 'db_pool_connections_max' | 'db_pool_pending_requests' | 'db_queries_in_flight', read: () => number): void {
    const gauge = metric(name, this.#scope)
    this.#stops.push(gauge.addCallback(this.#guarded(() => { gauge.inc(this.#labels, read()) })))
  }

  /** An age in seconds; of those of the alias the greatest is shown. */
  age (name: 'db_query_oldest_seconds' | 'db_pool_oldest_pending_seconds' | 'db_connection_oldest_use_seconds', read: () => number): void {
    const gauge = metric(name, this.#scope)
    this.#stops.push(gauge.addCallback(this.#guarded(() => { gauge.atLeast(this.#labels, read()) })))
  }

  /** Takes them out. */
  end (): void {
    for (const stop of this.#stops.splice(0)) stop()
  }

  #guarded (show: () => void): () => void {
    return () => {
      try {
        if (this.#isThere()) show()
        else this.end()
      } catch (error) {
        this.#failed(error)
      }
    }
  }
}
