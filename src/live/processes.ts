import type { FamilySnapshot } from '../metrics/index.js'
import type { Mark } from './shape.js'

const MOST_MARKS = 50

/** The processes that answer as one, or the one alone: how many there are, and when each started or ended. */
export class Processes {
  readonly #marks: Mark[] = []
  readonly #started: number
  #count: number | undefined
  #ended = 0

  /** @param started when this one did, in milliseconds since the epoch */
  constructor (started: number, version: string | null) {
    this.#started = started
    this.#mark('start', startOf(version), started)
  }

  get marks (): readonly Mark[] {
    return this.#marks
  }

  /** How many answer as one; undefined where one answers for itself alone. */
  get count (): number | undefined {
    return this.#count
  }

  /** The version of this one is known now. */
  identify (version: string | null): void {
    const at = this.#marks.findIndex(({ kind, time }) => kind === 'start' && time === this.#started)
    if (at !== -1) this.#marks[at] = { time: this.#started, kind: 'start', text: startOf(version) }
  }

  /** Counts those that answer as one, and marks when some come or go. @param family metrics_processes */
  read (family: FamilySnapshot | undefined): void {
    const states = new Map<string, number>()
    for (const series of family?.series() ?? []) states.set(series.labels.find(({ name }) => name === 'state')?.value ?? '', series.value)
    if (states.size === 0) return
    const ended = states.get('ended') ?? 0
    const processes = (states.get('live') ?? 0) + (states.get('silent') ?? 0)
    if (this.#count !== undefined) {
      // Those that this process has not seen before: a process that ended between two samples has another one in its place.
      const gone = Math.max(0, ended - this.#ended, this.#count - processes)
      const come = processes - this.#count + gone
      if (gone > 0) this.#mark('end', gone === 1 ? 'a process ended' : `${gone} processes ended`, Date.now())
      if (come > 0) this.#mark('start', come === 1 ? 'a process started' : `${come} processes started`, Date.now())
    }
    this.#count = processes
    this.#ended = ended
  }

  #mark (kind: Mark['kind'], text: string, time: number): void {
    this.#marks.push({ time, kind, text })
    if (this.#marks.length > MOST_MARKS) this.#marks.shift()
  }
}

function startOf (version: string | null): string {
  return version === null ? 'started' : `started, ${version}`
}
