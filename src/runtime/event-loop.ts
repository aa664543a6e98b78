import { performance } from 'node:perf_hooks'
import { metric, type Scope } from '../catalogue.js'

const SHOWN = Symbol.for('fastify-prometheus.event-loop')
const MILLISECOND = 1e-3

/**
 * Shows how long the event loop of this thread has been active and idle, read at each scrape. These are counters, so
 * each scraper has its own rate, and those of several threads and processes add up. Shown once in a registry, for as
 * long as the registry is there.
 */
export function showEventLoop (scope: Scope): void {
  // Missing in some runtimes other than Node.
  if (typeof (performance as Partial<typeof performance>).eventLoopUtilization !== 'function') return
  const family = metric('nodejs_eventloop_time_seconds_total', scope)
  if (SHOWN in family) return
  Object.defineProperty(family, SHOWN, { value: true })
  family.addCallback((family) => {
    const { active, idle } = performance.eventLoopUtilization()
    // Before the loop has begun, and where it is not measured, both are 0.
    if (!(active + idle > 0)) return
    family.inc({ state: 'active' }, active * MILLISECOND)
    family.inc({ state: 'idle' }, idle * MILLISECOND)
  })
}
