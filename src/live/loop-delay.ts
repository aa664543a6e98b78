import { monitorEventLoopDelay, type IntervalHistogram } from 'node:perf_hooks'

const NANOSECOND = 1e-9

/**
 * By how much the event loop was late since the last reading. Node's histogram does not see a delay that begins before its
 * first look at the clock after it was emptied. So there are two, and only one of them is emptied at each reading: the
 * other one has seen it, if it was the longest since the reading before.
 */
export class LoopDelay {
  /** Emptied at the last reading. */
  #fresh: IntervalHistogram
  /** Emptied at the reading before that. */
  #older: IntervalHistogram
  /** The longest delay that the older one had seen at the last reading, in nanoseconds. */
  #before = 0

  readonly resolution: number

  /**
   * @param resolution milliseconds between two looks at the clock, by Node's own timer, without JavaScript: a delay may be
   * longer by so much than what is seen of it. Each look wakes the process: 50 a second cost a tenth of a percent of a core.
   */
  constructor (resolution: number) {
    this.resolution = resolution
    this.#fresh = monitorEventLoopDelay({ resolution })
    this.#older = monitorEventLoopDelay({ resolution })
    this.#fresh.enable()
    this.#older.enable()
  }

  /** In seconds; NaN where nothing was measured. Begins anew. */
  read (): { readonly longest: number, readonly p99: number } {
    const [fresh, older] = [this.#fresh, this.#older]
    const seen = [...fresh.count > 0 ? [fresh.max] : [], ...older.max > this.#before ? [older.max] : []]
    const p99 = fresh.count > 0 ? fresh.percentile(99) : NaN
    this.#before = fresh.count > 0 ? fresh.max : 0
    older.reset()
    this.#fresh = older
    this.#older = fresh
    return { longest: seen.length === 0 ? NaN : this.#late(Math.max(...seen)), p99: this.#late(p99) }
  }

  end (): void {
    this.#fresh.disable()
    this.#older.disable()
  }

  /** Without the time that the timer itself waits. */
  #late (nanoseconds: number): number {
    return Math.max(0, nanoseconds * NANOSECOND - this.resolution / 1000)
  }
}
