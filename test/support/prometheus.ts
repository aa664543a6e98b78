import type { ChildProcess } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from './postgres.js'
import { startProgram, type Test } from './program.js'
import { temporaryFolder } from './temporary-folder.js'

/**
 * What prometheus.yml says (https://prometheus.io/docs/prometheus/latest/configuration/configuration/); files in it by
 * their whole paths.
 */
export interface PrometheusConfig {
  readonly global?: object
  readonly scrape_configs?: readonly object[]
  readonly alerting?: object
  readonly rule_files?: readonly string[]
}

/** One series of an answer. */
export interface Series {
  /** `__name__` is among them where it has one. */
  readonly labels: Readonly<Record<string, string>>
  /** NaN where it is a native histogram. */
  readonly value: number
  readonly histogram: NativeHistogram | undefined
}

/** A native histogram as Prometheus has it. */
export interface NativeHistogram {
  readonly count: number
  readonly sum: number
  /** Those that count anything, growing. */
  readonly buckets: ReadonlyArray<{ readonly lower: number, readonly upper: number, readonly count: number }>
}

/** What is scraped, and how that goes. */
export interface Target {
  readonly labels: Readonly<Record<string, string>>
  readonly health: 'up' | 'down' | 'unknown'
  readonly lastError: string
}

/** What a target says of a metric. */
export interface Metadata {
  readonly metric: string
  readonly type: string
  readonly help: string
  readonly unit: string
}

interface RuleGroup {
  /** Seconds. */
  readonly interval: number
  readonly lastEvaluation: string
  readonly rules: readonly Rule[]
}

/** A rule of its rule_files, and how that goes. */
export interface Rule {
  readonly name: string
  readonly query: string
  readonly type: 'recording' | 'alerting'
  readonly health: 'ok' | 'err' | 'unknown'
  readonly lastError?: string
  readonly labels?: Readonly<Record<string, string>>
}

/** A series, and the exemplars that it had. */
export interface Exemplars {
  readonly seriesLabels: Readonly<Record<string, string>>
  readonly exemplars: ReadonlyArray<{ readonly labels: Readonly<Record<string, string>>, readonly value: string, readonly timestamp: number }>
}

/** Milliseconds between two looks, and after which somebody who waits is told that it was in vain. */
const LOOK = 100
const PATIENCE = 30_000

/**
 * Starts the Prometheus of the PATH on a free port of the loopback interface; stopped at teardown, and its files
 * removed. The first scrape comes some five seconds later: that is how long it waits for targets.
 * @param features of `--enable-feature`
 * @returns undefined where there is none: the test has failed with CI set, else it is skipped
 */
export async function startPrometheus (t: Test, config: PrometheusConfig, ...features: string[]): Promise<Prometheus | undefined> {
  const folder = await temporaryFolder(t, 'prom')
  const file = join(folder, 'prometheus.yml')
  // JSON is YAML.
  await writeFile(file, JSON.stringify(config))
  const address = `127.0.0.1:${await freePort()}`
  const args = [`--config.file=${file}`, `--storage.tsdb.path=${join(folder, 'data')}`, `--web.listen-address=${address}`]
  const child = await startProgram(t, 'prometheus', [...args, `--enable-feature=${features.join()}`], 'apt-get install prometheus', { stdio: ['ignore', 'ignore', 'pipe'] })
  return child && new Prometheus(`http://${address}`, await ready(child))
}

/** A running Prometheus, asked through its HTTP API (https://prometheus.io/docs/prometheus/latest/querying/api/). */
export class Prometheus {
  readonly url: string
  /** What it logged so far, a line each. */
  readonly log: readonly string[]

  constructor (url: string, log: readonly string[]) {
    this.url = url
    this.log = log
  }

  /** The series that a query gives now. A number alone is a series without labels. */
  async query (promql: string): Promise<Series[]> {
    const { resultType, result } = await this.get<{ resultType: string, result: unknown }>('query', { query: promql })
    if (resultType === 'scalar') return [{ labels: {}, value: Number((result as Point)[1]), histogram: undefined }]
    return (result as Answer[]).map(({ metric, value, histogram }) => ({
      labels: metric,
      value: numberOf(value?.[1] ?? 'NaN'),
      histogram: histogram && {
        count: numberOf(histogram[1].count),
        sum: numberOf(histogram[1].sum),
        buckets: (histogram[1].buckets ?? []).map(([, lower, upper, count]) => ({ lower: numberOf(lower), upper: numberOf(upper), count: numberOf(count) }))
      }
    }))
  }

  /** The value of the one series that a query gives. @throws Error where it gives none or more */
  async value (promql: string): Promise<number> {
    const found = await this.query(promql)
    if (found.length !== 1) throw new Error(`${promql} gives ${found.length} series instead of one`)
    return (found[0] as Series).value
  }

  /** The one native histogram that a query gives. @throws Error where it gives none or more */
  async native (promql: string): Promise<NativeHistogram> {
    const [series, ...more] = await this.query(promql)
    if (series?.histogram === undefined || more.length > 0) throw new Error(`${promql} is not one native histogram`)
    return series.histogram
  }

  /** The labels of the series that there were, whenever that was. */
  series (selector: string): Promise<Array<Record<string, string>>> {
    return this.get('series', { 'match[]': selector })
  }

  /** The exemplars of the series in a query, of the last hour. */
  exemplars (promql: string): Promise<Exemplars[]> {
    const now = Date.now() / 1000
    return this.get('query_exemplars', { query: promql, start: String(now - 3600), end: String(now + 60) })
  }

  async targets (): Promise<Target[]> {
    const { activeTargets } = await this.get<{ activeTargets: Target[] }>('targets', { state: 'active' })
    return activeTargets
  }

  /** What targets say of their metrics. @param selector of targets, by their labels */
  metadata (selector = '{}'): Promise<Metadata[]> {
    return this.get('targets/metadata', { match_target: selector })
  }

  /** Whatever else the API has: 'rules', 'alerts'. @throws Error with the reason that Prometheus gives */
  async get<T> (path: string, query: Record<string, string> = {}): Promise<T> {
    const response = await fetch(`${this.url}/api/v1/${path}?${new URLSearchParams(query).toString()}`)
    const answer = await response.json() as { status: string, data: T, error?: string }
    if (answer.status !== 'success') throw new Error(`${path} of ${JSON.stringify(query)}: ${answer.error}`)
    return answer.data
  }

  /**
   * Waits until each target was scraped with all that is there now: the scrape began later.
   * @param job of the targets that are meant; default: all
   */
  async scraped (job?: string): Promise<void> {
    const now = Date.now() / 1000
    await this.until(async () => {
      const targets = (await this.targets()).filter(({ labels }) => job === undefined || labels['job'] === job)
      const up = job === undefined ? 'up' : `up{job="${job}"}`
      const since = await this.query(`timestamp(${up}) > ${now} and ${up} == 1`)
      return targets.length > 0 && since.length === targets.length
    }, 'a scrape of each target')
  }

  /**
   * Waits until every rule was evaluated with all that was scraped until now: the evaluation began later.
   * @param type of the rules that are meant, 'alert' or 'record'; default: all
   */
  async evaluated (type?: 'alert' | 'record'): Promise<Rule[]> {
    const now = Date.now()
    const meant = async () => (await this.get<{ groups: RuleGroup[] }>('rules', type === undefined ? {} : { type })).groups.filter(({ rules }) => rules.length > 0)
    const longest = Math.max(0, ...(await meant()).map(({ interval }) => interval)) * 1000
    let groups: RuleGroup[] = []
    await this.until(async () => {
      groups = await meant()
      return groups.length > 0 && groups.every(({ lastEvaluation }) => Date.parse(lastEvaluation) > now)
    }, 'an evaluation of each group of rules', longest + PATIENCE)
    return groups.flatMap(({ rules }) => rules)
  }

  /**
   * Looks until it holds: Prometheus tells nobody.
   * @param patience milliseconds
   * @throws Error with what there was to say, when that is over
   */
  async until (holds: () => Promise<boolean>, what: string, patience = PATIENCE): Promise<void> {
    const end = Date.now() + patience
    while (!await holds()) {
      if (Date.now() > end) throw new Error(`waited in vain for ${what}; targets: ${JSON.stringify(await this.targets())}\n${this.log.join('\n')}`)
      await sleep(LOOK)
    }
  }
}

/** When, and a number as text. */
type Point = [seconds: number, value: string]

interface Answer {
  metric: Record<string, string>
  value?: Point
  /** Of a bucket the first number says which of its bounds are in it. */
  histogram?: [seconds: number, histogram: { count: string, sum: string, buckets?: Array<[bounds: number, lower: string, upper: string, count: string]> }]
}

function numberOf (text: string): number {
  return Number(text.replace('Inf', 'Infinity'))
}

/** Waits until it serves. @returns its log, which goes on. @throws Error with that, when it ends instead */
async function ready (child: ChildProcess): Promise<string[]> {
  const log: string[] = []
  const lines = createInterface(child.stderr as NodeJS.ReadableStream)
  await new Promise<void>((resolve, reject) => {
    lines.on('line', (line) => {
      log.push(line)
      if (line.includes('Server is ready to receive web requests')) resolve()
    })
    lines.once('close', () => reject(new Error(`Prometheus did not start:\n${log.join('\n')}`)))
  })
  return log
}
