import type { Pool } from './driver.js'
import type { Recorder } from './recorder.js'

/**
 * Shows a pool's connections, waits, uses and queries at each scrape, until the pool has ended or is garbage.
 * @returns a function that ends that
 */
export function showPool (pool: WeakRef<Pool>, recorder: Recorder): () => void {
  const ofPool = (read: (pool: Pool) => number) => () => {
    const shown = pool.deref()
    return shown === undefined ? 0 : read(shown)
  }
  const isThere = () => {
    const shown = pool.deref()
    return shown !== undefined && shown.ended !== true
  }
  return recorder.show(isThere, {
    idle: ofPool(({ idleCount }) => idleCount),
    used: ofPool(({ idleCount, totalCount }) => totalCount - idleCount),
    max: ofPool(({ options }) => options?.max ?? 0),
    pending: ofPool(({ waitingCount }) => waitingCount)
  })
}
