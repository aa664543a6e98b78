/** The label of what is not named: a host beyond the list or the limit, a method that is not of HTTP's own. */
export const OTHER = '_OTHER'
/** The most characters of a host that is named: no name of DNS is longer. */
const MAX_LENGTH = 253
/** The most origins that are remembered. Those beyond are read at each request. */
const MAX_ORIGINS = 1000

const ADDRESS = /^(?:\d+(?:\.\d+){3}|\[.*\])(?::\d+)?$/

/** The label of each origin, of which there are few whatever the application asks. */
export class Hosts<V> {
  readonly #listed: ReadonlySet<string> | undefined
  readonly #wildcards: readonly string[]
  readonly #max: number
  readonly #make: (host: string) => V
  readonly #full: () => void
  readonly #byLabel = new Map<string, V>()
  readonly #byOrigin = new Map<string, V>()
  #isFull = false
  /** Addresses have a second name only where the application lists hosts. */
  #addresses: Set<string> | undefined

  /**
   * @param listed the only hosts that are named, from readOutgoingScope; undefined for the first `max` of all
   * @param make called once for each label
   * @param full called once, when a host is not named because there are `max`
   */
  constructor (listed: readonly string[] | undefined, max: number, make: (host: string) => V, full: () => void) {
    this.#listed = listed === undefined ? undefined : new Set(listed)
    this.#wildcards = (listed ?? []).filter((host) => host.startsWith('*.'))
    this.#max = max
    this.#make = make
    this.#full = full
    if (listed !== undefined) this.#addresses = new Set()
  }

  /** What was made for each label so far. */
  values (): IterableIterator<V> {
    return this.#byLabel.values()
  }

  /**
   * @param origin scheme, host and port: 'https://api.example.com:8443'
   * @param header the request's Host header, if it has one. Anybody may have written it, so it names an address only if
   * it is a listed host
   */
  of (origin: string, header?: unknown): V {
    const known = this.#byOrigin.get(origin)
    if (known === undefined) return this.#learn(origin, header)
    return this.#addresses?.has(origin) === true ? this.#ofHeader(origin, header) ?? known : known
  }

  #learn (origin: string, header: unknown): V {
    const host = hostOf(origin)
    const isAddress = this.#addresses !== undefined && ADDRESS.test(host)
    const value = this.#labelled(this.#labelOf(host))
    if (this.#byOrigin.size < MAX_ORIGINS) {
      this.#byOrigin.set(origin, value)
      if (isAddress) this.#addresses?.add(origin)
    }
    return isAddress ? this.#ofHeader(origin, header) ?? value : value
  }

  #ofHeader (origin: string, header: unknown): V | undefined {
    if (typeof header !== 'string') return undefined
    const label = this.#listedAs(hostOf(`${origin.slice(0, origin.indexOf(':'))}://${header}`))
    return label === undefined ? undefined : this.#labelled(label)
  }

  #labelOf (host: string): string {
    if (this.#listed !== undefined) return this.#listedAs(host) ?? OTHER
    if (host === OTHER || this.#byLabel.has(host)) return host
    if (this.#byLabel.size - (this.#byLabel.has(OTHER) ? 1 : 0) < this.#max) return host
    if (!this.#isFull) {
      this.#isFull = true
      this.#full()
    }
    return OTHER
  }

  #listedAs (host: string): string | undefined {
    if (this.#listed?.has(host) === true) return host
    return this.#wildcards.find((wildcard) => host.endsWith(wildcard.slice(1)))
  }

  #labelled (label: string): V {
    let value = this.#byLabel.get(label)
    if (value === undefined) this.#byLabel.set(label, value = this.#make(label))
    return value
  }
}

/** The host of an origin, with the port if that is not the scheme's own; `_OTHER` for what cannot be read. */
function hostOf (origin: string): string {
  try {
    const { host } = new URL(origin)
    return host === '' || host.length > MAX_LENGTH ? OTHER : host
  } catch {
    return OTHER
  }
}
