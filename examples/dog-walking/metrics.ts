import { Counter, Histogram } from 'prom-client'

/** The company's own numbers, made with prom-client as in any service: they are on /metrics beside all the others. */
export const walksStarted = new Counter({ name: 'walks_started', help: 'Walks that began.' })
export const walksCompleted = new Counter({ name: 'walks_completed', help: 'Walks that ended.' })
export const invalidWalks = new Counter({ name: 'invalid_walks', help: 'Forms to start or to complete a walk that were refused.' })
export const walkDistance = new Histogram({
  name: 'walk_distance',
  help: 'Distance of completed walks, in metres.',
  buckets: [0, 50, 200, 400, 800, 1600, 3200]
})
