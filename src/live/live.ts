import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { performance } from 'node:perf_hooks'
import { catalogue, type Definition, type MetricName } from '../catalogue.js'
import type { Pages } from '../exposition/index.js'
import type { FamilySnapshot } from '../metrics/index.js'
import { Builds } from './builds.js'
import { Caches } from './cache.js'
import type { Chart } from './chart.js'
import { Databases } from './database.js'
import { Flow } from './flow.js'
import { History, RANGES } from './history.js'
import { Intake, type Tap } from './intake.js'
import { Outgoing } from './outgoing.js'
import { Own } from './own.js'
import { Problems } from './problems.js'
import { Process } from './process.js'
import { Processes } from './processes.js'
import { Sampler } from './sampler.js'
import { readService } from '../runtime/service.js'
import type { About, LeftOut, Live as Shown, Problem, Range, RouteName, Sample } from './shape.js'
import { Traffic } from './traffic.js'

/** What somebody looks at. */
export interface View {
  readonly range: Range
  readonly route: RouteName | undefined
}

/** Milliseconds between two calls of the users' `collect` callbacks: a scraper is about as frequent. */
const COLLECTING = 10_000
/** After so many intervals without a sample there is a gap. */
const GAP_INTERVALS = 2.5
const MINUTE = 60_000
const MOST_LEFT_OUT = 20

/**
 * prom-client's default metrics (its lib/metrics), without a prefix. The process measures itself here, and what is left of
 * them is garbage collection, and the sums of several processes.
 */
const OF_THE_PROCESS = /^(process_(cpu_(user_|system_)?seconds_total|start_time_seconds|(resident|virtual)_memory_bytes|heap_bytes|open_fds|max_fds)|nodejs_(eventloop_|active_(handles|requests|resources)|heap_|external_memory_bytes|version_info|gc_duration_seconds).*)$/

/** The live page of some registries: their history, and what is shown of it. */
export class Live {
  readonly #pages: Pick<Pages, 'look'>
  readonly #prefix: string
  readonly #taps: Readonly<Record<string, Tap>>
  readonly #history = new History()
  readonly #traffic = new Traffic(this.#history)
  readonly #databases = new Databases(this.#history)
  readonly #outgoing = new Outgoing(this.#history)
  readonly #caches = new Caches(this.#history)
  readonly #process = new Process(this.#history)
  readonly #own = new Own(this.#history)
  readonly #builds = new Builds()
  readonly #dropped = this.#history.flow(new Flow())
  readonly #instrumentationErrors = this.#history.flow(new Flow())
  readonly #problems = new Problems()
  readonly #intake: Intake
  readonly #sampler: Sampler
  readonly #package: About['service'] = { ...readService(), commit: null }
  #service = this.#package
  readonly #id = randomBytes(6).toString('hex')
  readonly #started = Math.round(performance.timeOrigin)
  readonly #processes = new Processes(this.#started, this.#package.version)
  /** The metrics that could not be read in the last sample. */
  #failed = new Set<string>()
  #collected = -Infinity
  #time = 0
  /** Which ranges the last sample gave a new step. */
  #hasStep: readonly boolean[] = []
  #problemsNow: readonly Problem[] = []
  /** What is made of the last sample when somebody asks. */
  #lastMinute: Pick<Shown, 'summary' | 'routes'> | undefined
  readonly #listeners = new Set<() => void>()

  /**
   * @param prefix before the names of the metrics of this package
   * @param isOneOfMany whether several processes answer as one
   */
  constructor (pages: Pick<Pages, 'look'>, prefix: string, isOneOfMany: boolean) {
    this.#pages = pages
    this.#prefix = prefix
    this.#taps = {
      ...this.#traffic.taps,
      ...this.#databases.taps,
      ...this.#outgoing.taps,
      ...this.#caches.taps,
      ...this.#process.taps(isOneOfMany),
      ...this.#builds.taps,
      metrics_series_dropped_total: () => [this.#dropped],
      metrics_instrumentation_errors_total: () => [this.#instrumentationErrors]
    }
    this.#intake = new Intake((family) => this.#tapOf(family))
    this.#sampler = new Sampler(() => this.sample())
    this.#sampler.processes = isOneOfMany ? 1 : undefined
  }

  begin (): void {
    this.#process.begin()
    this.#sampler.begin()
  }

  end (): void {
    this.#sampler.end()
    this.#process.end()
    this.#listeners.clear()
  }

  /** Calls back after each sample, which come faster from now on. @returns to be called when that is over */
  watch (sampled: () => void): () => void {
    this.#listeners.add(sampled)
    const unwatch = this.#sampler.watch()
    return () => {
      if (this.#listeners.delete(sampled)) unwatch()
    }
  }

  /** Sees that what there is to show is not old. */
  async freshen (): Promise<void> {
    await this.#sampler.freshen()
  }

  /** All that there is to show. */
  whole ({ range, route }: View): Shown {
    const index = indexOf(range)
    const { places, times } = this.#history.steps(index)
    const always = this.#always(index)
    const leftOut = route === undefined || this.#traffic.has(route) ? always.leftOut : [unknown(route), ...always.leftOut]
    return { version: 1, range, route: route ?? null, ...always, leftOut, times, charts: this.#charts(route).map((chart) => chart.shown(index, places)) }
  }

  /** What the last sample has added to that. */
  latest ({ range, route }: View): Sample {
    const index = indexOf(range)
    const charts = this.#charts(route)
    const newest = this.#hasStep[index] === true ? this.#history.newest(index) : undefined
    return {
      ...this.#always(index),
      step: newest === undefined ? null : { time: newest.time, values: charts.map((chart) => chart.values(index, newest.at)) },
      totals: charts.map((chart) => chart.totals())
    }
  }

  /** Another one as soon as there are other charts or lines: then what a sample adds says not enough. */
  layout ({ route }: View): string {
    return this.#charts(route).map(({ layout }) => layout).join()
  }

  #always (range: number): Pick<Shown, 'time' | 'about' | 'problems' | 'summary' | 'routes' | 'marks' | 'leftOut'> {
    return { time: this.#time, about: this.#about(range), problems: this.#problemsNow, ...this.#minute, marks: this.#processes.marks, leftOut: this.#leftOut }
  }

  #about (range: number): About {
    const { span = 0, step = 0 } = RANGES[range] ?? {}
    const interval = Math.round(this.#sampler.interval)
    return { service: this.#service, host: hostname(), pid: process.pid, node: process.version, id: this.#id, started: this.#started, processes: this.#processes.count ?? null, interval, step: Math.max(step, interval), span }
  }

  get #leftOut (): LeftOut[] {
    const failed = [...this.#failed].map((metric) => ({ what: `${metric} could not be read.`, where: 'the log, and metrics_instrumentation_errors_total' }))
    const full = this.#history.isFull ? [{ what: 'Lines of charts that came last: there is no room for more.', where: 'the page of all metrics' }] : []
    const all = [...failed, ...full, ...this.#traffic.leftOut, ...this.#own.leftOut]
    return all.length <= MOST_LEFT_OUT ? all : [...all.slice(0, MOST_LEFT_OUT), { what: `${all.length - MOST_LEFT_OUT} more of the kind.`, where: 'the page of all metrics' }]
  }

  /** Those of a route are followed by those of the service that are not of requests. */
  #charts (route: RouteName | undefined): readonly Chart[] {
    const traffic = route === undefined ? this.#traffic.charts : this.#traffic.chartsOf(route) ?? []
    return [...traffic, ...this.#databases.charts, ...this.#outgoing.charts, ...this.#caches.charts, ...this.#process.charts, ...this.#own.charts]
  }

  /** Takes a sample. Never rejects. */
  async sample (): Promise<void> {
    const isCollecting = performance.now() - this.#collected >= COLLECTING
    const failed = new Set<string>()
    const waiting = new Set<string>()
    try {
      const families = await this.#pages.look({
        collects: isCollecting,
        skips: (metric) => this.#isSkipped(metric),
        waits: (metric) => waiting.add(metric),
        failed: (metric) => {
          failed.add(metric)
          this.#intake.missed(metric)
        },
        counted: () => {}
      })
      this.#processes.read(families.find(({ name }) => this.#bare(name) === 'metrics_processes'))
      if (this.#processes.count !== undefined) this.#sampler.processes = this.#processes.count
      const read = families.filter((family) => this.#isOurs(family) || !this.#own.leavesOut(family))
      await this.#intake.take(read, this.#time === 0, (metric) => waiting.has(metric))
      if (isCollecting) this.#collected = performance.now()
    } catch {
      // The other processes could not be read: there is a gap.
      return
    }
    // Those with a `collect` were not asked now.
    this.#failed = isCollecting ? failed : new Set([...this.#failed, ...failed])
    const { sample } = this.#intake
    this.#identify(sample)
    this.#process.measure(sample, this.#sampler.isWatched)
    this.#hasStep = this.#history.advance(sample, performance.now(), Date.now(), this.#sampler.interval * GAP_INTERVALS)
    this.#time = Date.now()
    this.#judge()
    for (const listener of this.#listeners) listener()
  }

  /** What all processes say, this one among them, is true of it from its start on. */
  #identify (sample: number): void {
    const build = this.#service === this.#package ? this.#builds.of(sample) : undefined
    if (build === undefined) return
    this.#service = { name: this.#package.name, version: build.version ?? this.#package.version, commit: build.commit }
    this.#processes.identify(this.#service.version)
  }

  #judge (): void {
    const { service } = this.#traffic
    const facts = {
      requests: service.all, failed: service.failed, oldestRequest: service.oldest, databases: this.#databases.aliases, hosts: this.#outgoing.hosts, caches: this.#caches.all, loop: this.#process, dropped: this.#dropped, instrumentationErrors: this.#instrumentationErrors
    }
    this.#problemsNow = this.#problems.of(facts, { minute: this.#history.over(MINUTE), last: this.#history.over(0) }, this.#time)
    this.#lastMinute = undefined
  }

  get #minute (): Pick<Shown, 'summary' | 'routes'> {
    if (this.#lastMinute === undefined) {
      const minute = this.#history.over(MINUTE)
      this.#lastMinute = {
        summary: [...this.#traffic.summary(minute), ...this.#databases.summary(minute), ...this.#outgoing.summary(minute), ...this.#caches.summary(minute), ...this.#process.summary],
        routes: this.#traffic.rows(minute)
      }
    }
    return this.#lastMinute
  }

  /** Whether a metric is one of this package, and not somebody's own of the same name: that one has other labels, or another type. */
  #isOurs (family: FamilySnapshot): boolean {
    const name = this.#bare(family.name) ?? ''
    if (!Object.hasOwn(catalogue, name)) return false
    const { type, labels }: Definition = catalogue[name as MetricName]
    const [first] = family.series()
    return first === undefined || (type.endsWith(family.type) && labels.every((label) => first.labels.some(({ name }) => name === label)))
  }

  /** The metrics of the process that are made when they are read are none of the page's. */
  #isSkipped (metric: string): boolean {
    if (this.#own.isLeftOut(metric)) return true
    const name = this.#bare(metric) ?? metric
    return OF_THE_PROCESS.test(name) && !Object.hasOwn(this.#taps, name)
  }

  /** Null while it is not known whose a metric is. */
  #tapOf (family: FamilySnapshot): Tap | undefined | null {
    const name = this.#bare(family.name)
    if (!OF_THE_PROCESS.test(name ?? family.name)) {
      if (!this.#isOurs(family)) return this.#own.tap(family)
      if (family.size === 0) return null
    }
    return Object.hasOwn(this.#taps, name ?? '') ? this.#taps[name ?? ''] : undefined
  }

  /** The name of a metric without the prefix. */
  #bare (metric: string): string | undefined {
    return metric.startsWith(this.#prefix) ? metric.slice(this.#prefix.length) : undefined
  }
}

function unknown ({ method, route }: RouteName): LeftOut {
  return { what: `Charts of ${method} ${route}: no request of it ended since the process started.`, where: 'the table of routes' }
}

function indexOf (range: Range): number {
  return RANGES.findIndex((each) => each.range === range)
}
