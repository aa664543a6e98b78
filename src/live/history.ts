import { Flow, Growth, NOTHING, type Counted } from './flow.js'
import type { Level } from './level.js'
import type { Range } from './shape.js'

/** A range of the page, and how many steps of it are kept. */
interface RangeSettings {
  readonly range: Range
  /** Milliseconds that it goes back. */
  readonly span: number
  /** The shortest step in milliseconds; 0 for that of each sample. */
  readonly step: number
  readonly steps: number
}

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE

/** From the finest on. In memory they are 414 numbers a line. */
export const RANGES: readonly RangeSettings[] = [
  { range: '5m', span: 5 * MINUTE, step: 0, steps: 150 },
  { range: '1h', span: HOUR, step: 30 * SECOND, steps: 120 },
  { range: '1d', span: 24 * HOUR, step: 10 * MINUTE, steps: 144 }
]
/** Milliseconds over which the finest range looks back, so that it has something to count in each step. */
const WINDOW = 10 * SECOND
/** A sample may come a little early. */
const EARLY = 500
/** So many steps without a sample are a gap. */
const GAP_STEPS = 2.5
/** The lines that are kept at most: in memory some 4 MB. */
export const MOST_LINES = 1100

/** What happened between two moments. */
export class Step {
  readonly seconds: number
  /** The step itself, where this one looks back farther. */
  own: Step = this
  readonly #sample: number
  readonly #range: number
  readonly #then: (flow: Flow) => Counted
  readonly #growths = new Map<Flow, Growth>()

  /** @param range the number of the range whose step it is; that of a level's values */
  constructor (seconds: number, sample: number, range: number, then: (flow: Flow) => Counted) {
    this.seconds = seconds
    this.#sample = sample
    this.#range = range
    this.#then = then
  }

  /** By how much a flow has grown; undefined where its series are not there. */
  grown (flow: Flow | undefined): Growth | undefined {
    if (flow === undefined || flow.seen !== this.#sample) return undefined
    let growth = this.#growths.get(flow)
    if (growth === undefined) this.#growths.set(flow, growth = new Growth(flow, flow.counted, this.#then(flow)))
    return growth
  }

  /** How often a second. */
  rate (flow: Flow | undefined): number | undefined {
    const growth = this.grown(flow)
    return growth && growth.count / this.seconds
  }

  /** Which part of what one flow counted another one counted too; undefined where nothing was counted. */
  share (part: Flow, whole: Flow): number | undefined {
    const all = this.grown(whole)?.count ?? 0
    return all === 0 ? undefined : (this.grown(part)?.count ?? 0) / all
  }

  quantile (flow: Flow | undefined, quantile: number): number | undefined {
    return this.grown(flow)?.quantile(quantile)
  }

  /** The mean of the observed values. */
  average (flow: Flow | undefined): number | undefined {
    const growth = this.grown(flow)
    return growth === undefined || growth.count === 0 ? undefined : growth.sum / growth.count
  }

  /** What a level is at the end; undefined where its series are not there. */
  now (level: Level): number | undefined {
    return level.seen === this.#sample ? level.value : undefined
  }

  mean (level: Level | undefined): number | undefined {
    return level === undefined || level.seen !== this.#sample ? undefined : level.mean(this.#range)
  }

  most (level: Level | undefined): number | undefined {
    return level === undefined || level.seen !== this.#sample ? undefined : level.most(this.#range)
  }
}

/** The values of one line of a chart, in all ranges. */
export class Track {
  readonly #value: (step: Step) => number | undefined
  readonly #rings = RANGES.map(({ steps }) => new Float64Array(steps).fill(NaN))

  constructor (value: (step: Step) => number | undefined) {
    this.#value = value
  }

  /** @param step undefined for a gap */
  put (range: number, at: number, step: Step | undefined): void {
    (this.#rings[range] as Float64Array)[at] = step === undefined ? NaN : this.#value(step) ?? NaN
  }

  /** Null where it has none. */
  at (range: number, at: number): number | null {
    const value = (this.#rings[range] as Float64Array)[at] as number
    // Nine digits are those of a count that a person compares; more would only be longer.
    return Number.isFinite(value) ? Number.isInteger(value) ? value : Number(value.toPrecision(9)) : null
  }
}

/** The ends of the steps of a range, in a ring. */
class Times {
  readonly #times: Float64Array
  #next = 0
  #size = 0

  constructor (steps: number) {
    this.#times = new Float64Array(steps)
  }

  /** @returns where the values of that step go */
  push (time: number): number {
    const at = this.#next
    this.#times[at] = time
    this.#next = (at + 1) % this.#times.length
    this.#size = Math.min(this.#size + 1, this.#times.length)
    return at
  }

  /** The places of the steps since a time, oldest first. */
  since (time: number): number[] {
    const places: number[] = []
    for (let i = 0; i < this.#size; i++) {
      const at = (this.#next - this.#size + i + this.#times.length) % this.#times.length
      if ((this.#times[at] as number) > time) places.push(at)
    }
    return places
  }

  time (at: number): number {
    return this.#times[at] as number
  }

  shift (milliseconds: number): void {
    for (let i = 0; i < this.#times.length; i++) (this.#times[i] as number) += milliseconds
  }
}

/** The numbers of the last day, coarser the older they are, in a fixed amount of memory. */
export class History {
  readonly #tracks: Track[] = []
  readonly #flows: Flow[] = []
  readonly #levels: Level[] = []
  readonly #times = RANGES.map(({ steps }) => new Times(steps))
  /** The moments that later ones are compared with, by a clock that nobody sets. */
  readonly #checkpoints: number[] = []
  /** What each flow had counted when the step of a coarser range began. */
  readonly #bases = RANGES.map(() => new Map<Flow, Counted>())
  readonly #began: number[] = RANGES.map(() => NaN)
  #sample = 0
  #wall = NaN
  #mono = NaN

  /** A line; undefined where there is no room for another one. */
  track (value: (step: Step) => number | undefined): Track | undefined {
    if (this.#tracks.length >= MOST_LINES) return undefined
    const track = new Track(value)
    this.#tracks.push(track)
    return track
  }

  get isFull (): boolean {
    return this.#tracks.length >= MOST_LINES
  }

  flow (flow: Flow): Flow {
    for (let i = 0; i < this.#checkpoints.length; i++) flow.marks.push(NOTHING)
    this.#flows.push(flow)
    return flow
  }

  level<L extends Level> (level: L): L {
    this.#levels.push(level)
    return level
  }

  /**
   * A sample was taken. Ends the steps that are over.
   * @param mono milliseconds of a clock that nobody sets
   * @param wall milliseconds since the epoch
   * @param longest milliseconds since the sample before from which on there is a gap
   * @returns which ranges have a new step
   */
  advance (sample: number, mono: number, wall: number, longest: number): boolean[] {
    this.#sample = sample
    const passed = mono - this.#mono
    const jumped = wall - this.#wall - passed
    // A clock that was put back: what came before was told too late. A clock that was put forward cannot be told from a
    // machine that slept.
    if (jumped < -SECOND) for (const times of this.#times) times.shift(jumped)
    const unseen = Math.max(passed, passed + jumped)
    this.#mono = mono
    this.#wall = wall
    for (const level of this.#levels) level.keep(RANGES.length)
    const isFirst = this.#checkpoints.length === 0
    const ended = RANGES.map(({ step }, range) => {
      if (isFirst) return false
      // Nothing is known of the time since the last step.
      if (unseen > Math.max(longest, GAP_STEPS * step)) return this.#put(range, wall, undefined)
      const lasted = mono - (this.#began[range] as number)
      if (lasted < step - EARLY) return false
      return this.#put(range, wall, range === 0 ? this.#finest() : new Step(lasted / SECOND, sample, range, (flow) => this.#bases[range]?.get(flow) ?? NOTHING))
    })
    if (unseen > longest) this.#forgetAll()
    for (const [range, hasEnded] of ended.entries()) if (hasEnded || isFirst) this.#begin(range)
    this.#check(mono)
    return ended
  }

  #finest (): Step {
    const step = this.over(WINDOW)
    step.own = this.over(0)
    return step
  }

  /** What happened in the last so many milliseconds, or since the history began; at least since the sample before. */
  over (milliseconds: number): Step {
    const at = this.#mono
    let chosen = 0
    for (let i = 0; i < this.#checkpoints.length; i++) {
      const checkpoint = this.#checkpoints[i] as number
      if (checkpoint < at && checkpoint <= at - milliseconds + EARLY) chosen = i
    }
    const then = this.#checkpoints[chosen] ?? at
    return new Step(Math.max(at - then, 1) / SECOND, this.#sample, 0, (flow) => flow.marks[chosen] ?? NOTHING)
  }

  /** The places of a range's steps in its rings, and their times. */
  steps (range: number): { readonly places: readonly number[], readonly times: readonly number[] } {
    const times = this.#times[range] as Times
    const { span } = RANGES[range] as RangeSettings
    const places = times.since(this.#wall - span)
    return { places, times: places.map((at) => Math.round(times.time(at))) }
  }

  /** The newest step of a range. */
  newest (range: number): { readonly at: number, readonly time: number } | undefined {
    const { places, times } = this.steps(range)
    const at = places.at(-1)
    return at === undefined ? undefined : { at, time: times.at(-1) as number }
  }

  /** @param step undefined for a gap */
  #put (range: number, wall: number, step: Step | undefined): true {
    const at = (this.#times[range] as Times).push(wall)
    for (const track of this.#tracks) track.put(range, at, step)
    return true
  }

  #begin (range: number): void {
    this.#began[range] = this.#mono
    for (const level of this.#levels) level.begin(range)
    // The finest range looks back to checkpoints instead.
    if (range > 0) for (const flow of this.#flows) this.#bases[range]?.set(flow, flow.counted)
  }

  #forgetAll (): void {
    this.#checkpoints.length = 0
    for (const flow of this.#flows) flow.marks.length = 0
  }

  /** Keeps each sample of the last ten seconds, and of the last minute one in ten seconds. */
  #check (mono: number): void {
    this.#checkpoints.push(mono)
    for (const flow of this.#flows) flow.marks.push(flow.counted)
    for (let i = this.#checkpoints.length - 2; i > 0; i--) {
      const [before, at, after] = this.#checkpoints.slice(i - 1, i + 2) as [number, number, number]
      if (mono - at > WINDOW + 2 * SECOND && after - before < WINDOW) this.#forget(i)
    }
    while (this.#checkpoints.length > 2 && mono - (this.#checkpoints[1] as number) >= MINUTE) this.#forget(0)
  }

  #forget (checkpoint: number): void {
    this.#checkpoints.splice(checkpoint, 1)
    for (const flow of this.#flows) flow.marks.splice(checkpoint, 1)
  }
}
