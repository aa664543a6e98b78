// Run by vitest, which clock.test.ts starts: its fake clock is there only inside it.
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Counter, Gauge, Histogram, type Exemplar } from '../../src/metrics/index.js'

const config = { name: 'subject', help: 'Of the test.', labelNames: ['a'], registers: [] }

beforeEach(() => { vi.useFakeTimers() })
afterEach(() => { vi.useRealTimers() })

test('timers measure what the fake clock says', () => {
  const gauge = new Gauge(config)
  const histogram = new Histogram(config)
  const ends = [gauge.startTimer(), gauge.labels('x').startTimer(), histogram.startTimer(), histogram.labels('x').startTimer()]
  vi.advanceTimersByTime(1500)
  expect(ends.map((end) => end())).toEqual([1.5, 1.5, 1.5, 1.5])

  const started = histogram.startTimer()
  vi.advanceTimersByTime(60_000)
  vi.useRealTimers()
  expect(started()).toBe(60)

  const real = histogram.startTimer()
  vi.useFakeTimers()
  vi.advanceTimersByTime(60_000)
  expect(real()).toBeGreaterThan(0)
  expect(real()).toBeLessThan(60)
})

test('times are those of the fake clock', async () => {
  vi.setSystemTime(1_700_000_000_000)
  const gauge = new Gauge(config)
  const counter = new Counter({ ...config, enableExemplars: true })
  gauge.setToCurrentTime()
  counter.inc({ exemplarLabels: { trace_id: 'x' } })
  expect((await gauge.get()).values[0]?.value).toBe(1_700_000_000)
  expect(((await counter.get()).values[0]?.exemplar as Exemplar).timestamp).toBe(1_700_000_000)
})
