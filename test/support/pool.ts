import pg, { type Pool, type PoolConfig } from 'pg'
import { Registry } from 'prom-client'
import { instrumentPool } from '../../adapters/pg.js'
import type { Postgres } from './postgres.js'

/** A pool whose numbers are in a registry of its own. */
export interface ObservedPool {
  readonly pool: Pool
  readonly registry: Registry
  /** Stops observing it. */
  undo (): void
}

/** Makes a pool for a PostgreSQL, and observes it; it is ended at teardown where the test has not. */
export function observedPool (t: { teardown: (fn: () => unknown) => void }, { config }: Pick<Postgres, 'config'>, options: PoolConfig = {}): ObservedPool {
  const pool = new pg.Pool({ ...config, ...options })
  const registry = new Registry()
  const undo = instrumentPool(pool, { registry })
  t.teardown(() => pool.ended || pool.end())
  return { pool, registry, undo }
}

/** What a call answers its callback. @throws Error where the call also returns something */
export function callback<T> (send: (done: (error: Error, result: T) => void) => unknown): Promise<T> {
  return new Promise((resolve, reject) => {
    if (send((error, result) => error ? reject(error) : resolve(result)) !== undefined) reject(new Error('a callback form returns undefined'))
  })
}
