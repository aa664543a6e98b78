import { channel } from 'node:diagnostics_channel'
import { OUTGOING_DEFAULTS, Observed, OutgoingRecorder, readOutgoingScope, type OutgoingScope } from '../src/adapter.js'
import { observeNodeHttp } from './undici/node-http.js'
import { CREATED, observeUndici } from './undici/undici.js'

/**
 * Options of instrumentOutgoing: `hosts`, `maxHosts`, `buckets`, `registry`, `prefix`, `maxSeries`, `nativeHistograms`,
 * `exemplars`.
 */
export type OutgoingOptions = OutgoingScope

const observed = new Observed<OutgoingScope>('outgoing', 'a process', OUTGOING_DEFAULTS)
/** What the observation is noted on. Each copy of this package in the process finds the same one. */
const requests = channel(CREATED)

/**
 * Observes the outgoing HTTP requests of the process: those of the global fetch and of every copy of undici, and those
 * of node:http and node:https with all that stands on them, as axios and got. Call it once, before the first request.
 * @returns a function that ends it. The first call of a process counts. A later call without options, or with the same
 * options, returns the same function. A later call with other options warns (FP_WARN_OBSERVED_ALREADY) and returns a
 * function that does nothing
 * @throws MetricsError FP_ERR_INVALID_OPTION, FP_ERR_METRIC_CONFLICT
 */
export function instrumentOutgoing (options: OutgoingOptions = {}): () => void {
  const scope = readOutgoingScope('instrumentOutgoing', options)
  return observed.again('instrumentOutgoing', requests, scope) ?? observe(scope)
}

function observe (scope: OutgoingScope): () => void {
  const recorder = new OutgoingRecorder(scope, 'undici')
  const ends = [observeUndici(recorder), observeNodeHttp(recorder)]
  return observed.add(requests, scope, () => {
    for (const end of ends) end()
    recorder.end()
  })
}
