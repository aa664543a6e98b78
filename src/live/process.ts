import { performance, type EventLoopUtilization } from 'node:perf_hooks'
import { Chart } from './chart.js'
import { Flow } from './flow.js'
import type { History } from './history.js'
import { present, type Tap } from './intake.js'
import { Level } from './level.js'
import { LoopDelay } from './loop-delay.js'
import type { SummaryItem } from './shape.js'
import { summaryItem } from './summary.js'

/** Milliseconds: a share of less says nothing. */
const SHORTEST = 500
/** Milliseconds between two looks at the delay of the event loop. */
const WATCHED_RESOLUTION = 20
const UNWATCHED_RESOLUTION = 100
const UNKNOWN = { longest: NaN, p99: NaN }
const NANOSECOND = 1e-9
const MICROSECOND = 1e-6

/**
 * The process itself. It is measured here and not read from the registry, because prom-client's metrics of the process
 * are made when a scrape comes, and some of them start anew with each.
 */
export class Process {
  /** The longest delay of the event loop since the sample before, in seconds. */
  readonly longest: Level
  readonly p99: Level
  /** The share of the time in which the event loop worked, from 0 to 1. */
  readonly utilisation: Level
  readonly #measured: ReadonlyArray<readonly [Level, () => number]>
  readonly #charts: readonly Chart[]
  readonly #gc: Chart
  readonly #allBusy: Chart
  readonly #allLoops: Flow
  readonly #allCpu: Chart
  readonly #allMemory: Chart
  readonly #log: Chart
  readonly #memory: Level
  readonly #cpu: Level
  #delay: LoopDelay | undefined
  /** The one before, until the next sample: a new one does not see at once. */
  #leaving: LoopDelay | undefined
  #busy: EventLoopUtilization = performance.eventLoopUtilization()
  #used = process.cpuUsage()
  #at = performance.now()

  constructor (history: History) {
    const level = (how?: 'max') => history.level(new Level(how))
    const chart = (id: string, title: string, unit: Chart['settings']['unit'], help: string, kind: 'line' | 'area' = 'line', of: 'process' | 'all' = 'process') =>
      new Chart(history, { id: `process.${id}`, section: 'process', title, unit, kind, of, help })
    this.longest = level('max')
    this.p99 = level('max')
    this.utilisation = level()
    this.#cpu = level()
    const [user, system, rss, heap, heapTotal, external] = Array.from({ length: 6 }, () => level()) as [Level, Level, Level, Level, Level, Level]
    this.#memory = rss
    let [cpu, memory] = [process.cpuUsage(), process.memoryUsage()]
    let seconds = 1
    let delay = UNKNOWN
    this.#measured = [
      [user, () => {
        const now = performance.now()
        seconds = Math.max((now - this.#at) / 1000, NANOSECOND)
        this.#at = now
        cpu = process.cpuUsage(this.#used)
        this.#used = process.cpuUsage()
        memory = process.memoryUsage()
        return cpu.user * MICROSECOND / seconds
      }],
      [system, () => cpu.system * MICROSECOND / seconds],
      [this.#cpu, () => (cpu.user + cpu.system) * MICROSECOND / seconds],
      [rss, () => memory.rss],
      [heap, () => memory.heapUsed],
      [heapTotal, () => memory.heapTotal],
      [external, () => memory.external],
      [this.longest, () => {
        delay = this.#delay?.read() ?? UNKNOWN
        const before = this.#leaving?.read().longest ?? NaN
        return Number.isNaN(before) || before < delay.longest ? delay.longest : before
      }],
      [this.p99, () => delay.p99],
      [this.utilisation, () => {
        const now = performance.eventLoopUtilization()
        const { utilization } = performance.eventLoopUtilization(now, this.#busy)
        this.#busy = now
        return utilization
      }]
    ]
    const loop = chart('loop', 'Event loop delay', 'seconds', 'By how much the event loop was late: its longest delay, and the one that 99 % are below.')
    loop.line('longest', (step) => step.most(this.longest))
    loop.line('p99', (step) => step.most(this.p99))
    const busy = chart('utilisation', 'Event loop utilisation', 'ratio', 'The share of the time in which the event loop worked and did not wait.')
    busy.line('busy', (step) => step.mean(this.utilisation))
    const cpus = chart('cpu', 'CPU', 'cores', 'Processor time, in cores.', 'area')
    cpus.line('user', (step) => step.mean(user))
    cpus.line('system', (step) => step.mean(system))
    const bytes = chart('memory', 'Memory', 'bytes', 'All that the system gave to the process, and the heap of JavaScript in it.')
    for (const [name, of] of [['resident', rss], ['heap used', heap], ['heap total', heapTotal], ['external', external]] as const) bytes.line(name, (step) => step.mean(of))
    this.#gc = chart('gc', 'Garbage collection', 'ratio', 'The share of the time that garbage collection took, by kind.', 'area', 'all')
    this.#allBusy = chart('utilisation.all', 'Event loop utilisation of all processes', 'ratio', 'The share of the time in which the event loops of all processes that answer as one worked and did not wait.', 'line', 'all')
    this.#allLoops = history.flow(new Flow())
    this.#allCpu = chart('cpu.all', 'CPU of all processes', 'cores', 'Processor time of all processes that answer as one, in cores.', 'line', 'all')
    this.#allMemory = chart('memory.all', 'Memory of all processes', 'bytes', 'Resident memory of all processes that answer as one.', 'line', 'all')
    this.#log = chart('log', 'Log lines', 'per second', 'Lines that the logger has written, by level.', 'area', 'all')
    this.#charts = [loop, busy, cpus, bytes]
  }

  /** Metrics that say something of all processes; in one process most of them would say the same once more. */
  taps (isOneOfMany: boolean): Readonly<Record<string, Tap>> {
    return {
      nodejs_gc_duration_seconds: ({ kind = '' }) => [this.#gc.flow(kind, (step, flow) => {
        const grown = step.grown(flow)
        return grown && grown.sum / step.seconds
      })],
      log_messages_total: ({ level = '' }) => [this.#log.flow(level)],
      ...isOneOfMany ? this.#tapsOfAll : {}
    }
  }

  get #tapsOfAll (): Readonly<Record<string, Tap>> {
    return {
      nodejs_eventloop_time_seconds_total: ({ state }) => {
        const busy = this.#allBusy.flow('all processes', (step, active) => step.share(active, this.#allLoops))
        return [this.#allLoops, ...state === 'active' ? [busy] : []]
      },
      process_cpu_seconds_total: () => [this.#allCpu.flow('all processes')],
      process_resident_memory_bytes: () => present(this.#allMemory.level('all processes'))
    }
  }

  begin (): void {
    this.#busy = performance.eventLoopUtilization()
    this.#used = process.cpuUsage()
    this.#at = performance.now()
    this.#delay = new LoopDelay(UNWATCHED_RESOLUTION)
  }

  end (): void {
    this.#delay?.end()
    this.#leaving?.end()
  }

  /** Takes a sample. @param isWatched whether it may cost a little more to see short delays of the event loop from now on */
  measure (sample: number, isWatched: boolean): void {
    if (performance.now() - this.#at < SHORTEST) return
    for (const [level, value] of this.#measured) level.add(value(), sample)
    const resolution = isWatched ? WATCHED_RESOLUTION : UNWATCHED_RESOLUTION
    this.#leaving?.end()
    this.#leaving = undefined
    if (this.#delay === undefined || this.#delay.resolution === resolution) return
    this.#leaving = this.#delay
    this.#delay = new LoopDelay(resolution)
  }

  get charts (): Chart[] {
    return [...this.#charts, ...[this.#gc, this.#allBusy, this.#allCpu, this.#allMemory, this.#log].filter(({ isEmpty }) => !isEmpty)]
  }

  get summary (): SummaryItem[] {
    return [
      summaryItem('loop', 'Event loop delay', 'seconds', this.longest.value),
      summaryItem('cpu', 'CPU', 'cores', this.#cpu.value),
      summaryItem('memory', 'Memory', 'bytes', this.#memory.value)
    ]
  }
}
