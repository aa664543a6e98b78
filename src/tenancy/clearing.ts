import { catalogue } from '../catalogue.js'
import type { Pages } from '../exposition/index.js'
import { shadowMethod } from '../instrumentation/index.js'
import { Histogram, isFamily, type Family, type RegistryLike } from '../metrics/index.js'

/** A metric as a registry holds it. */
export interface Held {
  name: string
}

const known = new WeakMap<RegistryLike, Clearing>()

/**
 * Gives back the metrics that `registry.clear()` removes while an application uses the registry. The next page puts
 * them back: this package's metrics, which start from zero at the `clear()`, and the runtime metrics that came with
 * them. If another metric took a name meanwhile, it keeps the name. So the users' code after a `clear()` finds the
 * registry empty, as usual.
 */
export class Clearing {
  readonly #registry: RegistryLike
  /** How many applications use the registry. */
  #applications = 0
  /** The prefixes of the applications, closed ones included. */
  readonly #prefixes = new Set<string>()
  /** The name under which the registry holds each runtime metric. */
  readonly #runtime = new WeakMap<object, string>()
  /** The removed metrics, by the name under which the registry held them. */
  readonly #missing = new Map<string, Held>()
  #restore = () => {}

  private constructor (registry: RegistryLike) {
    this.#registry = registry
  }

  /** The clearing of a registry. */
  static of (registry: RegistryLike): Clearing {
    const held = known.get(registry)
    if (held !== undefined) return held
    const made = new Clearing(registry)
    known.set(registry, made)
    return made
  }

  /** An application uses the registry from now on. @returns a function to call when the application ends */
  begin (prefix: string): () => void {
    this.#prefixes.add(prefix)
    if (this.#applications++ === 0) this.#watch()
    let ended = false
    return () => {
      if (ended) return
      ended = true
      if (--this.#applications > 0) return
      this.#restore()
      this.#missing.clear()
    }
  }

  /** Remembers the metrics of prom-client that came with ours. */
  keep (runtime: readonly Held[]): void {
    for (const metric of runtime) this.#runtime.set(metric, metric.name)
  }

  /** The pages of the registry. Each page first puts back the metrics that are missing. */
  mended (pages: Pages): Pages {
    const mend = () => { this.#mend() }
    return {
      refuses: (request) => pages.refuses(request),
      scrape (request) {
        mend()
        return pages.scrape(request)
      },
      async text () {
        mend()
        return await pages.text()
      },
      async look (look) {
        mend()
        return await pages.look(look)
      }
    }
  }

  #watch (): void {
    // A registry that takes no new property keeps its `clear`.
    if (!Object.isExtensible(this.#registry)) return
    const registry = this.#registry
    const cleared = (before: readonly unknown[]) => { this.#cleared(before) }
    this.#restore = shadowMethod(registry, 'clear', (clear) => function (...args) {
      const before = registry.getMetricsAsArray()
      const result = clear.apply(this, args)
      cleared(before)
      return result
    })
  }

  #cleared (before: readonly unknown[]): void {
    if (this.#applications === 0) return
    for (const metric of before as Held[]) {
      const ours = this.#ourName(metric)
      const name = ours ?? this.#runtime.get(metric)
      if (name === undefined) continue
      if (ours !== undefined) startAnew(metric as unknown as Family)
      this.#missing.set(name, metric)
    }
  }

  #mend (): void {
    for (const [name, metric] of this.#missing) {
      if (this.#registry.getSingleMetric(name) !== undefined) continue
      metric.name = name
      this.#registry.registerMetric(metric as never)
    }
    this.#missing.clear()
  }

  /**
   * The name of a metric in the catalogue, with its prefix. An OpenMetrics registry takes `_total` off a counter's
   * name.
   */
  #ourName (metric: Held): string | undefined {
    if (!isFamily(metric)) return undefined
    const names = [metric.name, `${metric.name}_total`]
    return names.find((name) => [...this.#prefixes].some((prefix) => name.startsWith(prefix) && Object.hasOwn(catalogue, name.slice(prefix.length))))
  }
}

/** Sets a family back to its first state: a histogram without labels has its series, at zero. */
function startAnew (family: Family): void {
  family.reset()
  if (family instanceof Histogram && family.labelNames.length === 0) family.zero()
}

/** The clearings of all registries on a page. */
export class ClearingOfAll {
  readonly #each: readonly Clearing[]

  constructor (registries: readonly RegistryLike[]) {
    this.#each = registries.map((registry) => Clearing.of(registry))
  }

  /** An application uses the registries from now on. @returns a function to call when the application ends */
  begin (prefix: string): () => void {
    const ends = this.#each.map((clearing) => clearing.begin(prefix))
    return () => { for (const end of ends) end() }
  }

  /** The pages of the registries. Each page first puts back the metrics that are missing. */
  mended (pages: Pages): Pages {
    return this.#each.reduce((mended, clearing) => clearing.mended(mended), pages)
  }
}
