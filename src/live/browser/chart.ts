import type uPlot from 'uplot'
import type { Chart, Live } from '../shape.js'
import { timeOfDay } from './clock.js'
import { element, setAttribute, setText } from './element.js'
import { allDigits, NO_DATA, text, visible } from './format.js'
import { heatData, heatIndex, heatPlot, heatWords } from './heat-plot.js'
import { Legend } from './legend.js'
import { dataOf, linePlot, type Card, type Drawn } from './plot.js'
import { hasValue, inOrder } from './state.js'

const HEIGHT = 168

/** One chart with its title, its explanation and its legend. It draws only when it is told to. */
export class ChartCard implements Card {
  readonly element: HTMLElement
  readonly #title = element('h3')
  readonly #of = element('span', { class: 'of' })
  readonly #moment = element('span', { class: 'moment' })
  readonly #help = element('p', { class: 'help' })
  readonly #canvas = element('div', { class: 'plot', role: 'img', tabindex: '0' })
  readonly #empty = element('p', { class: 'empty' }, NO_DATA)
  readonly #legend = new Legend()
  readonly #words = element('p', { class: 'words' })
  #drawn: Drawn
  #plot: uPlot | null = null
  #lines = ''
  #width = 0
  #near = false
  #dirty = true

  constructor (chart: Chart, live: Live) {
    this.#drawn = { chart: { ...chart, lines: inOrder(chart.lines) }, live }
    const caption = element('figcaption', {}, element('div', { class: 'caption' }, this.#title, this.#of, this.#moment), this.#help)
    this.element = element('figure', { class: 'chart' }, caption, this.#canvas, this.#words, this.#legend.element)
    this.#canvas.addEventListener('keydown', (event) => { this.#key(event) })
    this.#canvas.addEventListener('blur', () => { this.#plot?.setCursor({ left: -10, top: -10 }) })
    this.#caption()
    this.#name()
  }

  drawn = (): Drawn => this.#drawn
  near = (): boolean => this.#near
  /** The part whose width the plot takes. */
  get measured (): HTMLElement { return this.#canvas }
  /** Whether drawing would change anything that can be seen. */
  get due (): boolean { return this.#dirty && this.#near && this.#width > 0 }

  update (chart: Chart, live: Live): void {
    this.#drawn = { chart: { ...chart, lines: inOrder(chart.lines) }, live }
    this.#dirty = true
  }

  /** The card came near what can be seen, or went from there. */
  approach (near: boolean): void {
    this.#near = near
  }

  resize (width: number): void {
    if (width === this.#width) return
    this.#width = width
    this.#dirty = true
  }

  /** The theme has changed. */
  recolour (): void {
    this.#dirty = true
  }

  draw (): void {
    this.#dirty = false
    const { chart } = this.#drawn
    this.#caption()
    const lines = JSON.stringify([chart.kind, chart.unit, chart.lines.map(({ name }) => name)])
    if (lines !== this.#lines) {
      this.#plot?.destroy()
      this.#plot = null
      this.#lines = lines
      if (chart.kind !== 'heatmap') this.#legend.rebuild(chart)
    }
    if (chart.lines.some(hasValue)) this.#empty.remove()
    else if (!this.#empty.isConnected) this.#canvas.append(this.#empty)
    this.#redraw()
    this.#write()
    this.#name()
  }

  destroy (): void {
    this.#plot?.destroy()
    this.#plot = null
    this.element.remove()
  }

  pointed = (): void => { this.#write() }

  #redraw (): void {
    const heat = this.#drawn.chart.kind === 'heatmap'
    if (this.#plot === null) {
      this.#plot = (heat ? heatPlot : linePlot)(this.#canvas, { width: this.#width, height: HEIGHT }, this)
      return
    }
    if (this.#plot.width !== this.#width) this.#plot.setSize({ width: this.#width, height: HEIGHT })
    this.#plot.setData((heat ? heatData : dataOf)(this.#drawn))
  }

  /** The index of the time that the pointer is at. */
  #pointed (): number | null {
    if (this.#plot === null) return null
    return this.#drawn.chart.kind === 'heatmap' ? heatIndex(this.#plot, this.#drawn) : this.#plot.cursor.idx ?? null
  }

  #caption (): void {
    const { chart, live } = this.#drawn
    const title = visible(chart.title)
    setText(this.#title, title)
    setAttribute(this.#title, 'title', title)
    setText(this.#help, visible(chart.help))
    setAttribute(this.#help, 'title', visible(chart.help))
    setText(this.#of, chart.of === 'process' && live.about.processes !== null ? 'this process' : '')
  }

  /** Writes the values at the pointer, or else the newest ones. */
  #write (): void {
    const { chart, live } = this.#drawn
    const pointed = this.#pointed()
    const index = pointed !== null && pointed < live.times.length ? pointed : live.times.length - 1
    const time = live.times[index]
    setText(this.#moment, pointed === null || time === undefined ? '' : timeOfDay(time))
    if (chart.kind === 'heatmap' && this.#plot !== null) {
      const totals = chart.lines.map(({ total }) => total)
      const all = totals.every((total) => total !== null) ? `, ${allDigits(totals.reduce<number>((sum, total) => sum + (total ?? 0), 0))} in all` : ''
      setText(this.#words, `${heatWords(this.#plot, this.#drawn, index)}${all}`)
    } else {
      this.#legend.show(chart, index)
    }
  }

  /** Tells assistive technology the title and the newest values. */
  #name (): void {
    setAttribute(this.#canvas, 'aria-label', this.#label())
  }

  #label (): string {
    const { chart, live } = this.#drawn
    const title = visible(chart.title)
    if (!chart.lines.some(hasValue)) return `${title}: ${NO_DATA}`
    if (chart.kind === 'heatmap') return `${title}: ${this.#words.textContent}`
    const last = live.times.length - 1
    return `${title}: ${chart.lines.slice(0, 12).map((line) => `${visible(line.name)} ${text(line.values[last] ?? null, chart.unit)}`).join(', ')}`
  }

  /** The arrow keys move the moment. */
  #key (event: KeyboardEvent): void {
    const plot = this.#plot
    const last = this.#drawn.live.times.length - 1
    if (plot === null || last < 0) return
    const now = plot.cursor.idx ?? last + 1
    const to = { ArrowLeft: now - 1, ArrowRight: now + 1, Home: 0, End: last, Escape: null }[event.key]
    if (to === undefined) return
    event.preventDefault()
    const time = to === null ? undefined : this.#drawn.live.times[Math.min(last, Math.max(0, to))]
    plot.setCursor(time === undefined ? { left: -10, top: -10 } : { left: plot.valToPos(time, 'x'), top: 0 })
  }
}
