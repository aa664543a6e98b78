import { overlayMethod } from '../../src/adapter.js'
import type { Cluster, Pool } from './driver.js'

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
