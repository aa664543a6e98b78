import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { assets, type LiveNumbers } from '../../src/live/index.js'
import type { Chart, Sample } from '../../src/live/shape.js'

/** Milliseconds between two samples of the story. The page is told them as fast as it takes them. */
export const STEP = 2000
export const SPAN = 300_000
const BEGAN = Date.UTC(2026, 10, 28, 12)
export const BUCKETS = ['0.1', '0.5', '1', '+Inf']

export const timeOf = (step: number): number => BEGAN + step * STEP
/** What a bucket has counted in a step; no two are the same. */
export const countOf = (step: number, bucket: number): number => 10 * step + bucket

const AREA: Omit<Chart, 'lines'> = { id: 'http.requests', section: 'traffic', title: 'Requests', help: 'Requests.', unit: 'per second', kind: 'area', of: 'all' }
const HEAT: Omit<Chart, 'lines'> = { id: 'own.walk_seconds.heatmap', section: 'own', title: 'walk_seconds, distribution', help: 'Walks.', unit: 'seconds', kind: 'heatmap', of: 'all' }
const OWN: Omit<Chart, 'lines'> = { id: 'own.walks', section: 'own', title: 'walks', help: 'Walks.', unit: 'per second', kind: 'line', of: 'all' }

/** A server that tells the page a story, by the contract of src/live/shape.ts: a step, a sample. */
export class LiveServer {
  readonly #server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost')
    const send = (type: string, text: string) => response.setHeader('content-type', type).end(text)
    if (pathname === '/live') send('text/html; charset=utf-8', assets.html.replaceAll('__LIVE__', 'live'))
    else if (pathname === '/live/page.js') send('text/javascript; charset=utf-8', assets.js.text)
    else if (pathname === '/live/page.css') send('text/css; charset=utf-8', assets.css.text)
    else if (pathname === '/live.json') send('application/json', JSON.stringify(this.#whole()))
    else if (pathname === '/live/events') {
      this.#viewer = response.setHeader('content-type', 'text/event-stream')
      this.#write('live', this.#whole())
    } else {
      response.writeHead(404).end()
    }
  })

  #viewer: ServerResponse | undefined
  #step = 0

  async listen (t: { teardown: (fn: () => unknown) => void }): Promise<string> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    t.teardown(() => {
      this.#server.closeAllConnections()
      this.#server.close()
    })
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/live`
  }

  /** Tells the steps until this one. */
  async tell (until: number): Promise<void> {
    while (this.#step < until) {
      const layout = layoutOf(this.#step)
      this.#step++
      const isFull = layout === layoutOf(this.#step)
        ? this.#write('sample', this.#sample())
        : this.#write('live', this.#whole())
      if (!isFull) await once(this.#viewer as ServerResponse, 'drain')
    }
  }

  #write (event: string, data: object): boolean {
    return this.#viewer?.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`) ?? true
  }

  #whole (): LiveNumbers {
    const first = Math.max(1, this.#step - SPAN / STEP + 1)
    const steps = Array.from({ length: this.#step - first + 1 }, (_, index) => first + index)
    const charts = chartsAt(this.#step).map(({ values, total, names, ...chart }) => ({
      ...chart, lines: names.map((name, line) => ({ name, values: steps.map((step) => values(step, line)), total: total(this.#step) }))
    }))
    return { version: 1, range: '5m', route: null, ...this.#always(), times: steps.map(timeOf), charts }
  }

  #sample (): Sample {
    const charts = chartsAt(this.#step)
    return {
      ...this.#always(),
      step: { time: timeOf(this.#step), values: charts.map(({ names, values }) => names.map((_, line) => values(this.#step, line))) },
      totals: charts.map(({ names, total }) => names.map(() => total(this.#step)))
    }
  }

  /** Problems, routes and marks come and go. */
  #always (): Omit<Sample, 'step' | 'totals'> {
    const step = this.#step
    return {
      time: timeOf(step),
      about: { service: { name: 'story', version: '1.0.0', commit: null }, host: 'here', pid: 1, node: 'v20.0.0', id: 'a', started: BEGAN, processes: null, interval: STEP, step: STEP, span: SPAN },
      problems: step % 20 < 10 ? [] : ['cats', 'dogs'].map((database) => ({ id: 'database-down', severity: 'critical', text: `${database} failed ${step} times.`, first: 'Look.', runbook: 'https://example.com/', since: timeOf(step - step % 20 + 10) })),
      summary: [{ id: 'step', title: 'Step', unit: 'number', value: step, max: null }],
      routes: Array.from({ length: 10 }, (_, index) => ({ method: 'GET', route: `/${(step + index) % 50}`, rate: 1 / (index + 1), errors: 0, p50: 0.1, p95: 0.2, inFlight: 0, databaseSeconds: null, queries: null })),
      marks: [{ time: timeOf(step - step % 50), kind: 'start', text: `started ${step - step % 50}` }],
      leftOut: step % 30 < 15 ? [] : [{ what: 'something', where: 'elsewhere' }]
    }
  }
}

/** A line comes or goes. It goes for longer than the page has points of it. */
const layoutOf = (step: number): number => Math.floor(step / 200) % 2

function chartsAt (step: number) {
  const none = () => null
  return [
    { ...AREA, names: layoutOf(step) === 0 ? ['2xx', '5xx'] : ['2xx', '4xx', '5xx'], values: (at: number, line: number) => at % 10 + line, total: none },
    { ...HEAT, names: BUCKETS, values: countOf, total: none },
    { ...OWN, names: ['small', 'large'], values: (at: number) => at % 7, total: (at: number) => at }
  ]
}
