import type { RegistryLike } from '../metrics/index.js'

/** The open applications that write to a registry under one prefix, each known by its server. */
type Tenants = Map<string, Set<WeakRef<object>>>

const BY_REGISTRY = Symbol.for('fastify-prometheus.tenants')

/** Of every copy of this package in the process. */
function byRegistry (): WeakMap<object, Tenants> {
  const shared = globalThis as { [BY_REGISTRY]?: WeakMap<object, Tenants> }
  return (shared[BY_REGISTRY] ??= new WeakMap())
}

/** What becomes of an application that writes to a registry. */
export interface Tenancy {
  /** Whether another application, that is still open, writes there under the same names, which nobody has been told of this one. */
  readonly isShared: boolean
  /** The application is closed. */
  end (): void
}

/**
 * An application writes to a registry from now on. Another prefix makes other metrics; scopes of one application, and its several
 * listeners, are one. An application that was neither closed nor kept by anybody is forgotten when it is garbage.
 * @param application its server
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
