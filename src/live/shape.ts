/**
 * What the live page is told, and what `/metrics/live.json` answers. Times are milliseconds since the epoch. A number
 * that is not known is null, and never 0.
 */
export interface Live {
  /** Grows when a field changes its meaning or goes. New fields may come at any time. */
  readonly version: 1
  /** When the newest numbers were read. */
  readonly time: number
  readonly range: Range
  /** The route whose charts these are; null for the whole service. */
  readonly route: RouteName | null
  readonly about: About
  /** What is wrong now, the worst first; empty if nothing is. */
  readonly problems: readonly Problem[]
  /** The most important numbers of the last minute. */
  readonly summary: readonly SummaryItem[]
  /** The ends of the steps on each chart, growing. The steps may differ in length. */
  readonly times: readonly number[]
  readonly charts: readonly Chart[]
  /** The routes of the last minute, the busiest first. */
  readonly routes: readonly RouteRow[]
  /** Starts and ends of processes. */
  readonly marks: readonly Mark[]
  /** What there is and is not shown, and where to find it. */
  readonly leftOut: readonly LeftOut[]
}

/** The last 5 minutes, hour or day. */
export type Range = '5m' | '1h' | '1d'

export interface RouteName {
  readonly method: string
  readonly route: string
}

/** Which service and which process answers. */
export interface About {
  /**
   * By the service's package.json; the version and the commit by app_build_info, where all processes are of one build.
   * Null where none was found.
   */
  readonly service: { readonly name: string | null, readonly version: string | null, readonly commit: string | null }
  readonly host: string
  readonly pid: number
  readonly node: string
  /** Another one after each start of the process. */
  readonly id: string
  /** When the process began. */
  readonly started: number
  /** How many processes answer as one here; null where this one speaks for itself alone. */
  readonly processes: number | null
  /** Milliseconds between two samples now. */
  readonly interval: number
  /** Milliseconds between two steps of this range, while somebody looks. */
  readonly step: number
  /** Milliseconds that the range goes back. */
  readonly span: number
}

export interface Problem {
  /** Such as 'http-errors': the heading of docs/runbook.md. */
  readonly id: string
  readonly severity: 'critical' | 'warning'
  /** A sentence, with the number that is wrong. */
  readonly text: string
  /** What to do first: the first step of the runbook. */
  readonly first: string
  /** The address of the runbook's entry. */
  readonly runbook: string
  readonly since: number
}

/** How a number is written. 'number' is a plain one; the unit of a metric of the service's own is in its name. */
export type Unit = 'per second' | 'seconds' | 'bytes' | 'ratio' | 'cores' | 'number'

export interface SummaryItem {
  readonly id: string
  readonly title: string
  readonly unit: Unit
  readonly value: number | null
  /** Of what there may be at most, such as the connections of a pool; null where there is no such bound. */
  readonly max: number | null
}

export interface Chart {
  /** Stable, such as 'http.requests' or 'own.walks_started'. */
  readonly id: string
  readonly section: 'traffic' | 'database' | 'outgoing' | 'cache' | 'process' | 'own'
  readonly title: string
  /** What it shows, in a sentence; of a metric of the service's own, its help text. */
  readonly help: string
  readonly unit: Unit
  /** 'area': the lines stand on each other, and their sum means something. 'heatmap': a line for each bucket. */
  readonly kind: 'line' | 'area' | 'heatmap'
  /** Whether it is of all processes that answer as one, or of the one that answers. */
  readonly of: 'all' | 'process'
  readonly lines: readonly Line[]
}

export interface Line {
  /** Such as '2xx', 'p95', or the label values of a series. Of a bucket, its upper bound: '0.5', '+Inf'. */
  readonly name: string
  /** One for each of `times`. */
  readonly values: ReadonlyArray<number | null>
  /** All that a counter has counted until now; null for what is no counter. */
  readonly total: number | null
}

/** One route in the last minute. */
export interface RouteRow extends RouteName {
  /** Requests per second. */
  readonly rate: number | null
  /** The share of requests that failed (5xx, or no answer), from 0 to 1; null without requests. */
  readonly errors: number | null
  /** Seconds. */
  readonly p50: number | null
  /** Seconds. */
  readonly p95: number | null
  readonly inFlight: number | null
  /** Seconds in the database, a request; null where that is not measured. */
  readonly databaseSeconds: number | null
  /** Queries a request; null where that is not measured. */
  readonly queries: number | null
}

export interface Mark {
  readonly time: number
  readonly kind: 'start' | 'end'
  /** Such as 'started, 1.4.2'. */
  readonly text: string
}

export interface LeftOut {
  readonly what: string
  readonly where: string
}

/** What comes after that with each sample, as an event 'sample'. When a chart or a line comes or goes, a whole Live comes. */
export interface Sample extends Pick<Live, 'time' | 'about' | 'problems' | 'summary' | 'routes' | 'marks' | 'leftOut'> {
  /** What all charts get at their end; null where the step of the range is not over. */
  readonly step: { readonly time: number, readonly values: ReadonlyArray<ReadonlyArray<number | null>> } | null
  /** `Line.total` by chart and line. */
  readonly totals: ReadonlyArray<ReadonlyArray<number | null>>
}
