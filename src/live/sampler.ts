import { performance } from 'node:perf_hooks'

/** Milliseconds between two samples, at least: while somebody looks, and while nobody does. */
export const WATCHED = 2000
export const UNWATCHED = 10_000
/** The same where several processes answer as one: each of them asks all others, and is asked at most once a second. */
export const UNWATCHED_TOGETHER = 15_000
const UNWATCHED_EACH = 1000
const LONGEST = 60_000
/** The share of a core that sampling may take: while somebody looks, and while nobody does. */
export const WATCHED_SHARE = 0.05
export const UNWATCHED_SHARE = 0.0008
/** The first samples say what it costs to compile this code. */
const WARMING = 3
/** The cheapest of so many samples says what one costs: what else the process did meanwhile is none of it. */
const COSTS = 10
/** Node's own, taken when this module is loaded: under a test's fake clock in their place nobody would ever look. */
const { setTimeout, clearTimeout } = globalThis

/** Takes samples, seldom enough to cost nearly nothing. */
export class Sampler {
  readonly #take: () => Promise<void>
  readonly #costs: number[] = []
  #timer: NodeJS.Timeout | undefined
  #watchers = 0
  #running: Promise<void> | undefined
  #taken = 0
  #last = -Infinity
  #isEnded = false
  #next = 0

  /** How many processes answer as one; undefined for one alone. */
  processes: number | undefined

  /** @param take takes a sample; never rejects */
  constructor (take: () => Promise<void>) {
    this.#take = take
  }

  /** Milliseconds between two samples now. */
  get interval (): number {
    const { cost } = this
    const unwatched = this.processes === undefined ? UNWATCHED : Math.max(UNWATCHED_TOGETHER, this.processes * UNWATCHED_EACH)
    const least = this.#watchers > 0 ? WATCHED : unwatched
    return Math.min(LONGEST, Math.max(least, cost / (this.#watchers > 0 ? WATCHED_SHARE : UNWATCHED_SHARE)))
  }

  /** Milliseconds of a core that a sample takes; 0 while that is not known. */
  get cost (): number {
    return this.#costs.length === 0 ? 0 : Math.min(...this.#costs)
  }

  get isWatched (): boolean {
    return this.#watchers > 0
  }

  /** Takes the first sample now. */
  begin (): void {
    this.#run()
  }

  end (): void {
    this.#isEnded = true
    clearTimeout(this.#timer)
  }

  /** Somebody looks. @returns to be called when that is over */
  watch (): () => void {
    this.#watchers++
    // The next sample may be far away.
    const now = performance.now()
    if (this.#next - now > WATCHED) this.#schedule(Math.max(0, this.#last + WATCHED - now))
    return () => { this.#watchers-- }
  }

  /** Takes a sample now, unless the last one is as young as somebody who looks may expect. */
  async freshen (): Promise<void> {
    if (performance.now() - this.#last > WATCHED) await this.#run()
  }

  async #run (): Promise<void> {
    if (this.#isEnded) return
    this.#running ??= this.#runAlone()
    await this.#running
  }

  async #runAlone (): Promise<void> {
    const before = process.cpuUsage()
    await this.#take()
    const { user, system } = process.cpuUsage(before)
    if (++this.#taken > WARMING) this.#costs.push((user + system) / 1000)
    if (this.#costs.length > COSTS) this.#costs.shift()
    this.#last = performance.now()
    this.#running = undefined
    this.#schedule(this.interval)
  }

  #schedule (milliseconds: number): void {
    if (this.#isEnded || this.#running !== undefined) return
    clearTimeout(this.#timer)
    this.#next = performance.now() + milliseconds
    this.#timer = setTimeout(() => { this.#run() }, milliseconds).unref()
  }
}
