import type { Pool } from 'pg'
import { codeOf, reasonOf } from './errors.js'

/** What the service knows about itself; it answers 200 with this whether the database does or not. */
export interface Status {
  readonly service: 'up'
  readonly uptime_seconds: number
  readonly database: 'up' | 'down'
  /** Why the database is down. */
  readonly reason?: string
  readonly walks?: { readonly in_progress: number, readonly completed: number, readonly metres: number }
  readonly walkers?: number
  readonly dogs?: number
}

const COUNTS = `
  SELECT count(*) FILTER (WHERE ended_at IS NULL)::int AS in_progress, count(ended_at)::int AS completed, coalesce(sum(distance), 0)::float AS metres,
    (SELECT count(*)::int FROM walker) AS walkers, (SELECT count(*)::int FROM dog) AS dogs
  FROM walk`

interface Counts {
  in_progress: number
  completed: number
  metres: number
  walkers: number
  dogs: number
}

export async function readStatus (pool: Pool): Promise<Status> {
  const service = { service: 'up', uptime_seconds: Math.floor(process.uptime()) } as const
  try {
    const { rows } = await pool.query<Counts>(COUNTS)
    // An aggregate without GROUP BY always gives its one row.
    const { walkers, dogs, ...walks } = rows[0] as Counts
    return { ...service, database: 'up', walks, walkers, dogs }
  } catch (error) {
    return { ...service, database: 'down', reason: codeOf(error) || reasonOf(error) }
  }
}
