import { overlayMethod, type DatabaseRecorder, type PoolNumbers } from '../../src/adapter.js'
import { Connections } from './connections.js'
import type { Connection, Pool } from './driver.js'
import { Waits } from './waits.js'

/** Observes a pool. @returns a function that ends that */
export function observePool (pool: Pool, recorder: DatabaseRecorder): () => void {
  const connections = new Connections(recorder)
  const waits = new Waits(recorder, connections)
  waits.learn(pool)
  // For a caller whose getConnection was bound before the pool was observed.
  const acquired = (connection: Connection) => { waits.acquired(connection) }
  pool.prependListener('connection', acquired)
  pool.prependListener('acquire', acquired)
  const restores = [
    overlayMethod(pool, 'getConnection', (under) => function (...args) {
      return recorder.active ? waits.ask(pool, under.getConnection, this, args) : Reflect.apply(under.getConnection, this, args)
    }),
    showPool(new WeakRef(pool), recorder)
  ]
  return () => {
    pool.removeListener('connection', acquired)
    pool.removeListener('acquire', acquired)
    for (const restore of restores) restore()
    connections.restore()
  }
}

/** Shows a pool until it has ended. Nothing here may keep it alive: so this function knows it by the reference alone. */
function showPool (reference: WeakRef<Pool>, recorder: DatabaseRecorder): () => void {
  const ofPool = (read: (pool: Pool) => number) => () => {
    const pool = reference.deref()
    return pool === undefined ? 0 : read(pool)
  }
  const limit = reference.deref()?.config.connectionLimit ?? 0
  const numbers: PoolNumbers = {
    idle: ofPool(({ _freeConnections }) => _freeConnections.length),
    used: ofPool(({ _allConnections, _freeConnections }) => _allConnections.length - _freeConnections.length),
    pending: ofPool(({ _connectionQueue }) => _connectionQueue.length)
  }
  const isThere = () => {
    const pool = reference.deref()
    return pool !== undefined && pool._closed !== true
  }
  return recorder.show(isThere, {
    ...numbers,
    // 0 is no limit.
    ...limit > 0 && { max: () => limit }
  })
}
