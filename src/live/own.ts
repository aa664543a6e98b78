import type { FamilySnapshot } from '../metrics/index.js'
import { Chart, drawQuantiles } from './chart.js'
import { Flow } from './flow.js'
import type { History } from './history.js'
import { present, type LabelValues, type Tap } from './intake.js'
import type { LeftOut, Unit } from './shape.js'

/** The metrics that have charts; those that came later are left out. */
export const MOST_METRICS = 60
/** A metric with more series is not read, for that would cost the service more than it shows. */
export const MOST_SERIES = 1000

/** The service's own metrics: whatever is in the registry beside those of this package and of the process. */
export class Own {
  readonly #history: History
  readonly #metrics = new Map<string, Chart[]>()
  readonly #large = new Map<string, number>()
  #late = 0

  constructor (history: History) {
    this.#history = history
  }

  /** Where the numbers of a metric go; undefined for one that has no charts. */
  tap ({ name, help, type, bounds }: FamilySnapshot): Tap | undefined {
    if (this.#metrics.size >= MOST_METRICS || this.#history.isFull) {
      this.#late++
      return undefined
    }
    const chart = (part: string, title: string, unit: Unit, kind: Chart['settings']['kind'] = 'line') => {
      const made = new Chart(this.#history, { id: `own.${name}${part}`, section: 'own', title, help, unit, kind, of: 'all' })
      this.#metrics.set(name, [...this.#metrics.get(name) ?? [], made])
      return made
    }
    switch (type) {
      case 'counter': {
        const rate = chart('', name, 'per second')
        return (labels) => [rate.flow(nameOf(labels), undefined, true)]
      }
      case 'histogram': {
        const all = this.#history.flow(new Flow())
        drawQuantiles(chart('', name, unitOf(name)), all)
        const rate = chart('.rate', `${name}, observations`, 'per second')
        if (bounds.length > 0) drawBuckets(chart('.heatmap', `${name}, distribution`, unitOf(name), 'heatmap'), all, bounds)
        return (labels) => [all, rate.flow(nameOf(labels), undefined, true)]
      }
      case 'summary': {
        // A summary's quantiles are not those of many series together, nor of a time: they are left to the page.
        const rate = chart('.rate', `${name}, observations`, 'per second')
        const average = chart('', `${name}, average`, unitOf(name))
        return (labels) => [rate.flow(nameOf(labels), undefined, true), average.flow(nameOf(labels), (step, flow) => step.average(flow))]
      }
      default: {
        const values = chart('', name, unitOf(name))
        return (labels) => present(values.level(nameOf(labels)))
      }
    }
  }

  /** Leaves a metric out, from now on, that has more series than are read. @returns whether it does */
  leavesOut ({ name, size }: Pick<FamilySnapshot, 'name' | 'size'>): boolean {
    if (size > MOST_SERIES) this.#large.set(name, size)
    return this.#large.has(name)
  }

  /** Whether a metric is left out for the number of its series. */
  isLeftOut (name: string): boolean {
    return this.#large.has(name)
  }

  get charts (): Chart[] {
    return [...this.#metrics.values()].flat()
  }

  get leftOut (): LeftOut[] {
    return [
      ...[...this.#large].map(([name, size]) => ({ what: `${name}: ${size} series, and more than ${MOST_SERIES} are not read here.`, where: name })),
      ...this.#late === 0 ? [] : [{ what: `${this.#late} more metrics: there is room for ${MOST_METRICS}.`, where: 'the page of all metrics' }],
      ...this.charts.filter(({ hasOthers }) => hasOthers).map(({ settings: { title } }) => ({ what: `Some series of ${title}: they are in 'all others', or if they are gauges in no line.`, where: title }))
    ]
  }
}

/** A line for each bucket: how many observations came into it. */
function drawBuckets (chart: Chart, flow: Flow, bounds: readonly number[]): void {
  for (const [bucket, name] of [...bounds.map(String), '+Inf'].entries()) chart.line(name, ({ own }) => own.grown(flow)?.buckets[bucket])
}

/** The label values of a series; of one without labels, its type says enough. */
function nameOf (labels: LabelValues): string {
  const values = Object.entries(labels)
  return values.length === 0 ? 'all' : values.length === 1 ? String(values[0]?.[1]) : values.map(([name, value]) => `${name}=${value}`).join(', ')
}

function unitOf (name: string): Unit {
  return /_seconds$/.test(name) ? 'seconds' : /_bytes$/.test(name) ? 'bytes' : /_ratio$/.test(name) ? 'ratio' : 'number'
}
