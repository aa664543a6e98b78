import type { RegistryLike } from '../metrics/index.js'

/** The open applications that write to a registry under one prefix, each known by its server. */
type Tenants = Map<string, Set<WeakRef<object>>>

const BY_REGISTRY = Symbol.for('fastify-prometheus.tenants')

/** The tenants of every registry, for all copies of this package in the process. */
function byRegistry (): WeakMap<object, Tenants> {
  const shared = globalThis as { [BY_REGISTRY]?: WeakMap<object, Tenants> }
  return (shared[BY_REGISTRY] ??= new WeakMap())
}

/** One application that writes to a registry. */
export interface Tenancy {
  /**
   * Whether another open application writes to the registry under the same names. False if this application has begun
   * there before: it was told then.
   */
  readonly isShared: boolean
  /** The application is closed. */
  end (): void
}

/**
 * An application writes to a registry from now on. Another prefix makes other metrics. The scopes of one application,
 * and its several listeners, are one tenant. An application that is never closed is forgotten when it is garbage.
 * @param application the server of the application
 */
export function beginTenancy (registry: RegistryLike, prefix: string, application: object): Tenancy {
  const all = byRegistry()
  const prefixes = all.get(registry) ?? new Map<string, Set<WeakRef<object>>>()
  all.set(registry, prefixes)
  const tenants = prefixes.get(prefix) ?? new Set()
  prefixes.set(prefix, tenants)
  let others = 0
  let known = false
  for (const tenant of tenants) {
    const other = tenant.deref()
    if (other === undefined) tenants.delete(tenant)
    else if (other === application) known = true
    else others++
  }
  const tenant = new WeakRef(application)
  tenants.add(tenant)
  return { isShared: others > 0 && !known, end: () => { tenants.delete(tenant) } }
}
