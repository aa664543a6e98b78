import type { Labels } from '../metrics/index.js'
import type { Open, OpenList, OutgoingUsage } from '../instrumentation/index.js'
import type { HostMetrics } from './metrics.js'

/**
 * An outgoing request under way. It holds nothing of the client's own request, so a client may let go of that whenever
 * it wants.
 */
export class OutgoingRequest implements Open<OutgoingRequest> {
  // Only declared, so that a new request is not filled field by field before its constructor runs.
  declare list: OpenList<OutgoingRequest> | undefined
  declare older: OutgoingRequest | undefined
  declare newer: OutgoingRequest | undefined
  declare readonly host: HostMetrics
  declare readonly method: string
  /** When it began, in milliseconds of performance.now(). */
  declare readonly at: number
  declare readonly usage: OutgoingUsage | undefined
  declare readonly exemplar: Labels | undefined
  /** The status of its answer; 0 until that has come. */
  declare status: number

  constructor (host: HostMetrics, method: string, at: number, usage: OutgoingUsage | undefined, exemplar: Labels | undefined) {
    this.list = this.older = this.newer = undefined
    this.host = host
    this.method = method
    this.at = at
    this.usage = usage
    this.exemplar = exemplar
    this.status = 0
  }

  /** Whether its end was not told yet. */
  get isOpen (): boolean {
    return this.list !== undefined
  }
}
