import { Flow } from './flow.js'
import type { History, Step, Track } from './history.js'
import { Level } from './level.js'
import type { Chart as Shown, Line as ShownLine } from './shape.js'

/** Lines of a chart that have names of their own; what comes later is one line together. */
export const MOST_NAMED = 12
/** The name of all that came later. */
const OTHERS = 'all others'

interface Line {
  readonly name: string
  readonly track: Track
  readonly total: (() => number) | undefined
}

export type ChartSettings = Omit<Shown, 'lines'>

/** A chart of the page, and its lines, which may grow in number. */
export class Chart {
  readonly settings: ChartSettings
  readonly #history: History
  readonly #lines: Line[] = []
  readonly #named = new Map<string, Flow | Level>()
  /** Whether some series have no line of their own. */
  hasOthers = false

  constructor (history: History, settings: ChartSettings) {
    this.#history = history
    this.settings = settings
  }

  get isEmpty (): boolean {
    return this.#lines.length === 0
  }

  /** @param total what a counter has counted until now */
  line (name: string, value: (step: Step) => number | undefined, total?: () => number): void {
    const track = this.#history.track(value)
    if (track !== undefined) this.#lines.push({ name, track, total })
  }

  /** The flow of a name, whose line it makes: how often a second, unless another value is given. */
  flow (name: string, value: (step: Step, flow: Flow) => number | undefined = (step, flow) => step.rate(flow), isCounter = false): Flow {
    return this.#of(name, () => this.#history.flow(new Flow()), (chosen, flow) => {
      this.line(chosen, (step) => value(step, flow), isCounter ? () => flow.total : undefined)
    })
  }

  /** The level of a name, whose line it makes. Of levels beyond the last there is none: they do not add up. */
  level (name: string, how: 'sum' | 'max' = 'sum'): Level | undefined {
    if (this.#isBeyond(name)) {
      this.hasOthers = true
      return undefined
    }
    return this.#of(name, () => this.#history.level(new Level(how)), (chosen, level) => {
      this.line(chosen, (step) => how === 'max' ? step.most(level) : step.mean(level))
    })
  }

  #of<S extends Flow | Level> (name: string, make: () => S, draw: (name: string, sink: S) => void): S {
    const isOther = this.#isBeyond(name)
    const chosen = isOther ? OTHERS : name
    if (isOther) this.hasOthers = true
    const known = this.#named.get(chosen)
    if (known !== undefined) return known as S
    const made = make()
    this.#named.set(chosen, made)
    draw(chosen, made)
    return made
  }

  #isBeyond (name: string): boolean {
    return !this.#named.has(name) && this.#named.size >= MOST_NAMED
  }

  shown (range: number, places: readonly number[]): Shown {
    return {
      ...this.settings,
      lines: this.#lines.map(({ name, track, total }): ShownLine => ({ name, values: places.map((at) => track.at(range, at)), total: total === undefined ? null : total() }))
    }
  }

  /** The values of one step. */
  values (range: number, at: number): Array<number | null> {
    return this.#lines.map(({ track }) => track.at(range, at))
  }

  totals (): Array<number | null> {
    return this.#lines.map(({ total }) => total === undefined ? null : total())
  }

  /** Another one as soon as a line comes. */
  get layout (): string {
    return `${this.settings.id}:${this.#lines.length}`
  }
}

/** The lines p50, p95 and p99 of a histogram. */
export function drawQuantiles (chart: Chart, flow: Flow): void {
  for (const [name, quantile] of [['p50', 0.5], ['p95', 0.95], ['p99', 0.99]] as const) chart.line(name, (step) => step.quantile(flow, quantile))
}
