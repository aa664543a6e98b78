import { overlayMethod } from '../../src/adapter.js'
import type { Cluster, Namespace, Pool } from './driver.js'

/**
 * What adds a node to a cluster. The cluster of 'mysql2/promise' calls the first by its class and not by its object, but
 * that one calls the second by its object.
 */
const ADDS = ['add', '_clearFindCaches']

/**
 * Observes the pools of a cluster, those of nodes that are added later too.
 * @param observe observes the pool of a node, and gives the undo of that; or undefined for one that is observed already
 * @param failed is told what `observe` throws for a node that is added later; for one that is there, that is thrown
 * @returns a function that ends that
 */
export function observeCluster (cluster: Cluster, observe: (pool: Pool, id: string) => (() => void) | undefined, failed: (error: unknown) => void): () => void {
  const known = new Map<Pool, () => void>()
  const undo = () => { for (const each of known.values()) each() }
  const learn = () => {
    const nodes = Object.entries(cluster._nodes)
    const pools = new Set(nodes.map(([, { pool }]) => pool))
    // The pool of a node that was removed has ended.
    for (const pool of known.keys()) if (!pools.has(pool)) known.delete(pool)
    for (const [id, { pool }] of nodes) {
      if (known.has(pool)) continue
      const end = observe(pool, id)
      if (end !== undefined) known.set(pool, end)
    }
  }
  try {
    learn()
  } catch (error) {
    undo()
    throw error
  }
  const restores = ADDS.map((name) => overlayMethod(cluster, name, (under) => function (...args) {
    const result = Reflect.apply(under[name] as (...args: unknown[]) => unknown, this, args)
    try {
      learn()
    } catch (error) {
      failed(error)
    }
    return result
  }))
  return () => {
    for (const restore of restores) restore()
    undo()
  }
}

/**
 * Tells of each time that no node of a cluster is left to give a connection, which no pool knows.
 * @param told called with an error that has the cluster's code: POOL_NOEXIST or POOL_NONEONLINE
 * @returns a function that ends that
 */
export function watchExhaustion (cluster: Pick<Cluster, 'of' | '_namespaces'>, told: (error: Error) => void): () => void {
  const restores = new Map<Namespace, () => void>()
  const watch = (namespace: Namespace) => {
    if (restores.has(namespace)) return
    restores.set(namespace, overlayMethod(namespace, '_getClusterNode', (under) => function (...args) {
      const node = Reflect.apply(under._getClusterNode, this, args) as unknown
      if (node === null) told(noNode(namespace))
      return node
    }))
  }
  for (const namespace of Object.values(cluster._namespaces)) watch(namespace)
  const restoreOf = overlayMethod(cluster, 'of', (under) => function (...args) {
    const namespace = Reflect.apply(under.of, this, args) as Namespace
    watch(namespace)
    return namespace
  })
  return () => {
    restoreOf()
    for (const restore of restores.values()) restore()
  }
}

/** As PoolNamespace.getConnection says it (mysql2/lib/pool_cluster.js). */
function noNode ({ _cluster, _pattern }: Namespace): Error {
  const code = _cluster._findNodeIds(_pattern, true).length === 0 ? 'POOL_NOEXIST' : 'POOL_NONEONLINE'
  return Object.assign(new Error('no node of the cluster is there'), { code })
}
