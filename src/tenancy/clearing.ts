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
 * What `registry.clear()` takes out while an application stands on the registry, and the next page gives back: this package's metrics, which start
 * from zero at the `clear()`, and the runtime metrics that came with them. A name that somebody else took meanwhile stays theirs, so what follows
 * a `clear()` in users' code finds the registry empty, as ever.
 */
export class Clearing {
  readonly #registry: RegistryLike
  /** How many applications stand on the registry. */
  #applications = 0
  /** Their prefixes, those of closed ones too. */
  readonly #prefixes = new Set<string>()
  /** By metric, the name under which the registry holds it. */
  readonly #runtime = new WeakMap<object, string>()
  /** By the name under which the registry held it. */
  readonly #missing = new Map<string, Held>()
  #restore = () => {}

  private constructor (registry: RegistryLike) {
    this.#registry = registry
  }

  /** The one of a registry. */
  static of (registry: RegistryLike): Clearing {
    const held = known.get(registry)
    if (held !== undefined) return held
    const made = new Clearing(registry)
    known.set(registry, made)
    return made
  }

  /** An application stands on the registry, until the function that this gives back is called. */
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

  /** Metrics of prom-client came with ours. */
  keep (runtime: readonly Held[]): void {
    for (const metric of runtime) this.#runtime.set(metric, metric.name)
  }

  /** The pages of the registry, each with what is missing put back before. */
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
      }
    }
  }

  #watch (): void {
    // A registry that lets nobody put a property on it keeps its `clear`.
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

  /** The name under which a metric is in the catalogue, with its prefix: a registry of OpenMetrics takes `_total` off a counter's own. */
  #ourName (metric: Held): string | undefined {
    if (!isFamily(metric)) return undefined
    const names = [metric.name, `${metric.name}_total`]
    return names.find((name) => [...this.#prefixes].some((prefix) => name.startsWith(prefix) && Object.hasOwn(catalogue, name.slice(prefix.length))))
  }
}

/** As when it was made: a histogram without labels has its series, at zero. */
function startAnew (family: Family): void {
  family.reset()
  if (family instanceof Histogram && family.labelNames.length === 0) family.zero()
}

/** Those of all registries on a page. */
export class ClearingOfAll {
  readonly #each: readonly Clearing[]

  constructor (registries: readonly RegistryLike[]) {
    this.#each = registries.map((registry) => Clearing.of(registry))
  }

  /** An application stands on the registries, until the function that this gives back is called. */
  begin (prefix: string): () => void {
    const ends = this.#each.map((clearing) => clearing.begin(prefix))
    return () => { for (const end of ends) end() }
  }

  /** The pages of the registries, each with what is missing put back before. */
  mended (pages: Pages): Pages {
    return this.#each.reduce((mended, clearing) => clearing.mended(mended), pages)
  }
}
