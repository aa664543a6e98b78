import { Registry } from 'prom-client'
import { metric, type LabelsOf, type MetricName } from '../../src/catalogue.js'
import { Exposition } from '../../src/exposition/index.js'
import { Live, type Chart, type LiveNumbers } from '../../src/live/index.js'

/** A registry, and its live page, of which the test takes the samples. */
export class Watched {
  readonly registry = new Registry()
  readonly live: Live
  readonly #gauges = new Map<MetricName, Map<string, number>>()

  constructor (isOneOfMany = false) {
    const pages = new Exposition(this.registry, { maxScrapes: 10, created: false }, { counted () {}, failed () {}, ended () {}, refused () {} })
    this.live = new Live(pages, '', isOneOfMany)
  }

  /** Counts in a counter of this package. */
  count<N extends MetricName> (name: N, labels: Record<LabelsOf<N>, string>, times = 1): void {
    (metric(name, { registry: this.registry }) as unknown as { inc (labels: object, value: number): void }).inc(labels, times)
  }

  /** Observes in a histogram of this package. */
  observe<N extends MetricName> (name: N, labels: Record<LabelsOf<N>, string>, value: number, times = 1): void {
    const histogram = metric(name, { registry: this.registry }) as unknown as { observe (labels: object, value: number): void }
    for (let i = 0; i < times; i++) histogram.observe(labels, value)
  }

  /** Says what an observable gauge or counter is from now on; undefined for one that is gone. */
  set<N extends MetricName> (name: N, labels: Record<LabelsOf<N>, string>, value: number | undefined): void {
    let known = this.#gauges.get(name)
    if (known === undefined) {
      const series = known = new Map<string, number>()
      this.#gauges.set(name, known)
      const family = metric(name, { registry: this.registry }) as unknown as { addCallback (collect: () => void): void, inc (labels: object, value: number): void }
      family.addCallback(() => { for (const [labels, value] of series) family.inc(JSON.parse(labels) as object, value) })
    }
    if (value === undefined) known.delete(JSON.stringify(labels))
    else known.set(JSON.stringify(labels), value)
  }

  /** What the page is told after another sample. */
  async next (): Promise<Told> {
    await this.live.sample()
    return new Told(this.live.whole({ range: '5m', route: undefined }))
  }
}

/** What a page is told. */
export class Told {
  constructor (readonly numbers: LiveNumbers) {}

  /** @throws Error when there is none */
  chart (id: string): Chart {
    const chart = this.numbers.charts.find((each) => each.id === id)
    if (chart === undefined) throw new Error(`no chart ${id} among ${this.ids().join()}`)
    return chart
  }

  ids (section?: Chart['section']): string[] {
    return this.numbers.charts.filter((chart) => section === undefined || chart.section === section).map(({ id }) => id)
  }

  /** The newest values of a chart, by the names of its lines. */
  last (id: string): Record<string, number | null | undefined> {
    return Object.fromEntries(this.chart(id).lines.map(({ name, values }) => [name, values.at(-1)]))
  }

  /** The newest values of a chart of rates, each divided by that of one line. */
  ratios (id: string, unit: string): Record<string, number> {
    const last = this.last(id)
    return Object.fromEntries(Object.entries(last).map(([name, value]) => [name, Number(((value ?? NaN) / (last[unit] ?? NaN)).toPrecision(6))]))
  }

  tile (id: string): number | null | undefined {
    return this.numbers.summary.find((item) => item.id === id)?.value
  }
}
