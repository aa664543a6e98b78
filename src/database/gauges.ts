import { metric, type Scope } from '../catalogue.js'

/**
 * The gauges of one database connection. They are read at each scrape, as long as the pool or data source that they
 * show exists.
 */
export class Gauges {
  readonly #stops: Array<() => void> = []
  readonly #scope: Scope
  readonly #labels: { readonly alias: string, readonly vendor: string }
  readonly #isThere: () => boolean
  readonly #failed: (error: unknown) => void

  /**
   * @param isThere called at each scrape; when it gives false, the gauges end
   * @param failed called with an error that a reading throws; the scrape does not see it
   */
  constructor (scope: Scope, labels: { readonly alias: string, readonly vendor: string }, isThere: () => boolean, failed: (error: unknown) => void) {
    this.#scope = scope
    this.#labels = labels
    this.#isThere = isThere
    this.#failed = failed
  }

  /** Shows the pool's connections in one state, added to those of the alias' other pools. */
  showConnections (state: 'idle' | 'used', read: () => number): void {
    const gauge = metric('db_pool_connections', this.#scope)
    const labels = { ...this.#labels, state }
    this.#stops.push(gauge.addCallback(this.#guarded(() => { gauge.inc(labels, read()) })))
  }

  /** Shows a number, added to the numbers of the alias' other pools and data sources. */
  showSum (name: 'db_pool_connections_max' | 'db_pool_pending_requests' | 'db_queries_in_flight', read: () => number): void {
    const gauge = metric(name, this.#scope)
    this.#stops.push(gauge.addCallback(this.#guarded(() => { gauge.inc(this.#labels, read()) })))
  }

  /** Shows an age in seconds. The greatest age of an alias is shown. */
  showAge (name: 'db_query_oldest_seconds' | 'db_pool_oldest_pending_seconds' | 'db_connection_oldest_use_seconds', read: () => number): void {
    const gauge = metric(name, this.#scope)
    this.#stops.push(gauge.addCallback(this.#guarded(() => { gauge.atLeast(this.#labels, read()) })))
  }

  /** Ends the gauges. */
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
